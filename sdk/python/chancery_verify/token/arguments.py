"""The arguments of a call as they are judged, digested and kept."""

from __future__ import annotations

from typing import Any

from ..canonical import CanonicalError, to_jcs
from ..reason import Reason, Refused
from ..strict_json import StrictJsonError, parse_strict_with_floats


def read_arguments(data: bytes) -> dict[str, Any]:
    """Reads arguments strictly from what arrived, and again from their RFC 8785 form, so that
    ``5.0`` and ``5`` are one number and a verifier that has only the canonical text comes to the
    same decision. Refuses as malformed what has several readings, and integers beyond what every
    reader represents exactly: RFC 8785 rounds them, so that two calls would share one digest."""
    try:
        kept = parse_strict_with_floats(to_jcs(parse_strict_with_floats(data)))
        # A float may be written as an integer that is not exact.
        to_jcs(kept)
    except (StrictJsonError, CanonicalError):
        raise Refused(Reason.MALFORMED) from None
    if not isinstance(kept, dict):
        raise Refused(Reason.MALFORMED)
    return kept
