"""A request as a signature sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import HttpReason, require


@dataclass(frozen=True)
class HttpRequest:
    """Method, request target as it was sent (path and query), header fields in the order in which
    they came, and the whole body."""

    method: str
    target: str
    fields: Sequence[tuple[str, str]]
    body: bytes

    def field(self, name: str) -> str | None:
        """The value of a field, without blanks around it. Refuses one that came twice: a signature
        says which values it covers, not which line of them somebody reads."""
        found = [value for known, value in self.fields if _same(known, name)]
        if not found:
            return None
        require(len(found) == 1, HttpReason.DUPLICATE_FIELD)
        value = found[0].strip(" \t")
        # A line end in a value would write lines of the signature base.
        controls = any(character < " " or character == "\x7f" for character in value)
        require(not controls, HttpReason.MALFORMED)
        return value

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return any(_same(known, name) for known, _ in self.fields)


def _same(known: str, name: str) -> bool:
    # Names of fields are ASCII; ``lower`` maps some other letters to ASCII.
    return known.isascii() and known.lower() == name.lower()
