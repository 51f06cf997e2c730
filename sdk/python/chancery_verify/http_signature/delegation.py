"""What stands in ``Agent-Delegation``."""

from __future__ import annotations

import re

from .. import digest
from ..limits import MAX_CHAIN_BYTES, MAX_CHAIN_LINKS
from .errors import HttpReason, require

_LINK = re.compile(r"[A-Za-z0-9_.-]+\Z")


def read_delegation(text: str) -> list[str] | str:
    """The links of a chain, root first, or the digest by which one is referred to that was presented
    before. Nothing longer than a chain is taken apart."""
    require(len(text.encode("utf-8")) <= MAX_CHAIN_BYTES, HttpReason.TOO_LONG)
    if text.startswith("sha256:"):
        require(digest.is_digest(text), HttpReason.DELEGATION)
        return text
    links = text.split(",")
    require(len(links) <= MAX_CHAIN_LINKS, HttpReason.TOO_LONG)
    require(all(_LINK.match(link) for link in links), HttpReason.DELEGATION)
    return links
