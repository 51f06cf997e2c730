"""Who is allowed and who is blocked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Lists(Generic[_Item]):
    """Blocked wins; a list of the allowed that is there allows nobody else, also when it is empty."""

    allow: tuple[_Item, ...] | None = None
    block: tuple[_Item, ...] = ()

    def admit(self, covers: Callable[[_Item], bool]) -> bool:
        """Whether one is admitted of whom ``covers`` says which entries are about it."""
        if any(map(covers, self.block)):
            return False
        return self.allow is None or any(map(covers, self.allow))


@dataclass(frozen=True)
class AgentPattern:
    """Which SPIFFE IDs an entry is about: one and, of an agent, its instances; or with ``below`` also
    all whose path continues it by whole segments."""

    id: str
    below: bool

    def covers(self, id: str) -> bool:
        """Whether the entry is about that ID."""
        return id == self.id or id.startswith(self.id + ("/" if self.below else "/instance/"))
