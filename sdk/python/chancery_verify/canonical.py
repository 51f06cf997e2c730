"""Canonical JSON (RFC 8785), floating point numbers as ECMAScript writes them."""

from __future__ import annotations

import math
from typing import Any

from .limits import MAX_SAFE_INTEGER

_ESCAPES = {
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
    '"': '\\"',
    "\\": "\\\\",
}


class CanonicalError(ValueError):
    """Why a value has no canonical form."""


def to_jcs(value: Any) -> bytes:
    """The RFC 8785 bytes. Raises ``CanonicalError`` on what is not JSON and on integers that not
    every reader represents exactly."""
    try:
        return _write(value).encode("utf-8")
    except UnicodeEncodeError:
        raise CanonicalError("a lone surrogate") from None


def _write(value: Any) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER:
            raise CanonicalError("an integer outside of -(2^53-1) to 2^53-1")
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return "[" + ",".join(_write(item) for item in value) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=_utf16)
        return "{" + ",".join(f"{_string(name)}:{_write(value[name])}" for name in names) + "}"
    raise CanonicalError("not a JSON value")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


def _string(text: str) -> str:
    def escape(character: str) -> str:
        if character in _ESCAPES:
            return _ESCAPES[character]
        return f"\\u{ord(character):04x}" if character < " " else character

    return '"' + "".join(map(escape, text)) + '"'


def number(value: float) -> str:
    """A number as ECMAScript's ``Number::toString`` writes it (RFC 8785 section 3.2.2.3)."""
    if not math.isfinite(value):
        raise CanonicalError("not a finite number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    # repr is the shortest text that reads back as the same number, as ECMAScript asks.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)
    if whole == "0":
        point = int(exponent or 0) - (len(fraction) - len(fraction.lstrip("0")))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"{point - 1:+d}"
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{rest}e{power}"
