"""SPIFFE IDs in their one spelling (SPIFFE-ID section 2)."""

import re

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}\Z")
_ID = re.compile(r"spiffe://([a-z0-9._-]{1,255})((?:/[A-Za-z0-9._-]+)*)\Z")

_MAX_MINTED_BYTES = 2_048
# ``/instance/ins_`` and 26 digits.
_INSTANCE_BYTES = len("/instance/ins_") + 26


def path(text: str) -> str:
    """The path of a SPIFFE ID, empty where it names a trust domain alone. Raises ``ValueError`` on
    any other text, dot segments and upper-case trust domains included."""
    found = _ID.match(text)
    if found is None or any(segment in (".", "..") for segment in found[2].split("/")):
        raise ValueError("not a SPIFFE ID")
    return found[2]


def is_spiffe_id(text: str) -> bool:
    """Whether the text is a SPIFFE ID."""
    try:
        path(text)
    except ValueError:
        return False
    return True


def is_agent(text: str) -> bool:
    """Whether the text is the ID of an agent: it has a path without ``/instance/`` in it and leaves
    room for the ID of an instance."""
    if not is_spiffe_id(text):
        return False
    named = path(text)
    fits = len(text) + _INSTANCE_BYTES <= _MAX_MINTED_BYTES
    return named != "" and "/instance/" not in named and fits


def is_trust_domain(text: str) -> bool:
    """Whether the text is the name of a trust domain."""
    return _TRUST_DOMAIN.match(text) is not None


def trust_domain(id: str) -> str:
    """The trust domain of a SPIFFE ID."""
    return id.removesuffix(path(id)).removeprefix("spiffe://")
