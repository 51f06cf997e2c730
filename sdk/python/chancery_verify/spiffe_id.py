"""SPIFFE IDs in their one spelling (SPIFFE-ID section 2)."""

import re

_ID = re.compile(r"spiffe://([a-z0-9._-]{1,255})((?:/[A-Za-z0-9._-]+)*)\Z")


def path(text: str) -> str:
    """The path of a SPIFFE ID, empty where it names a trust domain alone. Raises ``ValueError`` on
    any other text, dot segments and upper-case trust domains included."""
    found = _ID.match(text)
    if found is None or any(segment in (".", "..") for segment in found[2].split("/")):
        raise ValueError("not a SPIFFE ID")
    return found[2]
