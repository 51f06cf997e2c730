"""JSON read strictly: one reading per text, so that no two parsers can disagree about it."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from .limits import MAX_JSON_DEPTH

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


# How names begin that the library of the other verifier takes for marks of its own, and reads what stands
# there as another value than was written.
_MARKS = "$serde_json::private::"


class StrictJsonError(ValueError):
    """Why a text is refused. The message names what was found, never the content."""


def parse_strict(data: bytes) -> Any:
    """Parses one JSON text. Refuses duplicate members, members that some readers take for marks of their
    own (``$serde_json::private::``), floating point numbers (``-0`` among them), integers of more than
    64 bits, lone surrogates, nesting beyond ``MAX_JSON_DEPTH`` and anything after the value."""
    return _parse(data, _no_float, _integer)


def parse_strict_with_floats(data: bytes) -> Any:
    """As ``parse_strict``, but admits finite floating point numbers and integers of any size: for
    what others wrote."""
    return _parse(data, _float, _integer_or_minus_zero)


def _parse(data: bytes, parse_float: Any, parse_int: Any) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise StrictJsonError("not UTF-8") from None
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=parse_float,
            parse_int=parse_int,
            parse_constant=_no_constant,
        )
    except StrictJsonError:
        raise
    except (ValueError, RecursionError):
        raise StrictJsonError("not JSON") from None
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        if depth > MAX_JSON_DEPTH:
            raise StrictJsonError("nested too deeply")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJsonError("a duplicate member")
    if any(name.startswith(_MARKS) for name in members):
        raise StrictJsonError("a member that readers take for a mark")
    return members


def _integer(text: str) -> int:
    if text == "-0":
        raise StrictJsonError("a floating point number")
    # Twenty digits hold every integer of 64 bits; longer ones are not worth reading.
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise StrictJsonError("an integer of more than 64 bits")
    return int(text)


def _integer_or_minus_zero(text: str) -> int | float:
    if text == "-0":
        return -0.0
    if len(text) > 309:
        raise StrictJsonError("not a finite number")
    return int(text)


def _no_float(text: str) -> NoReturn:
    raise StrictJsonError("a floating point number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise StrictJsonError("not a finite number")
    return value


def _no_constant(text: str) -> NoReturn:
    raise StrictJsonError("not a JSON number")


def _check_surrogates(value: Any) -> None:
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise StrictJsonError("a lone surrogate")
    elif isinstance(value, list):
        for item in value:
            _check_surrogates(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_surrogates(name)
            _check_surrogates(item)
