"""The arguments of a call as they are judged, digested and kept."""

from __future__ import annotations

import re
from typing import Any

from ..canonical import CanonicalError, to_jcs
from ..reason import Reason, Refused
from ..strict_json import StrictJsonError, parse_strict_with_floats

# A string, or a number. In valid JSON nothing else looks like either.
_PARTS = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)', re.DOTALL)


def read_arguments(data: bytes) -> dict[str, Any]:
    """Reads arguments strictly from what arrived, and again from their RFC 8785 form, so that
    ``5.0`` and ``5`` are one number and a verifier that has only the canonical text comes to the
    same decision. Refuses as malformed what has several readings, and numbers that readers of doubles
    round: RFC 8785 rounds them, so that two calls would share one digest, and a reader of decimals
    would be handed another number than was judged."""
    try:
        kept = parse_strict_with_floats(to_jcs(parse_strict_with_floats(data)))
        # A float may be written as an integer that is not exact.
        to_jcs(kept)
    except (StrictJsonError, CanonicalError):
        raise Refused(Reason.MALFORMED) from None
    if not isinstance(kept, dict) or not _numbers_are_exact(data):
        raise Refused(Reason.MALFORMED)
    return kept


def _numbers_are_exact(data: bytes) -> bool:
    """Whether the shortest text of each double is the number that was written; integers were looked
    at before."""
    numbers = (found[1].decode("ascii") for found in _PARTS.finditer(data) if found[1])
    fractions = (number.lstrip("-") for number in numbers)
    return all(number.isdigit() or _is_exact(number) for number in fractions)


def _is_exact(number: str) -> bool:
    read = _decimal(repr(float(number)))
    return read is not None and read == _decimal(number)


def _decimal(number: str) -> tuple[str, int] | None:
    """A number without a sign as its significant digits and the power of ten behind the last of
    them; none of zero. None where the power is no integer of 64 bits."""
    mantissa, _, written = number.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    significant = digits.rstrip("0")
    magnitude = written.lstrip("+-0")
    # Longer than any integer of 64 bits; Python does not read much longer ones.
    if len(magnitude) > 19:
        return None
    power = -int(magnitude or "0") if written.startswith("-") else int(magnitude or "0")
    for step in (0, -len(fraction), len(digits) - len(significant)):
        power += step
        if not -(2**63) <= power < 2**63:
            return None
    significant = significant.lstrip("0")
    return significant, power if significant else 0
