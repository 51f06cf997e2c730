"""What a chain says about one call."""

from __future__ import annotations

from dataclasses import dataclass

from ..reason import Reason, require
from ..token.call import Call
from ..token.entry import Entry
from ..token.spending import Limits
from .verified import VerifiedChain


@dataclass(frozen=True)
class Coverage:
    """The entry of one link that covers a call, with what calls and costs are counted against."""

    link: int
    jti: str
    entry: int
    limits: Limits


@dataclass(frozen=True)
class Restriction:
    """A ``forbid`` or ``ask`` entry that applies to a call."""

    link: int
    jti: str
    entry: int


@dataclass(frozen=True)
class Scope:
    """Which entries cover a call, root first, and which restrictions apply. Any prohibition denies;
    each question needs an approval; whoever reads ``covers`` reads ``forbidden`` first."""

    covers: tuple[Coverage, ...]
    forbidden: tuple[Restriction, ...]
    asked: tuple[Restriction, ...]

    def covered(self) -> tuple[Coverage, ...]:
        """The entries that cover the call, one for each link, or refused as ``not_in_scope``."""
        require(len(self.covers) > 0, Reason.NOT_IN_SCOPE)
        return self.covers


def authorise(chain: VerifiedChain, call: Call) -> Scope:
    """Judges a call by a chain alone. Policy and session may only take away from what this covers."""
    return Scope(
        covers=_covered(chain, call),
        forbidden=_restrictions(chain, call, "forbid"),
        asked=_restrictions(chain, call, "ask"),
    )


def _covered(chain: VerifiedChain, call: Call) -> tuple[Coverage, ...]:
    for index, entry in enumerate(chain.leaf.entries):
        if entry.permits(call):
            path = _path_to_root(chain, call, index)
            if path:
                return path
    return ()


def _path_to_root(chain: VerifiedChain, call: Call, leaf_entry: int) -> tuple[Coverage, ...]:
    """Follows an entry of the leaf up to the root by what subsumes it, asking each on the way."""
    path: list[Coverage] = []
    index = leaf_entry
    for number in reversed(range(len(chain.links))):
        link = chain.links[number]
        entry = link.entries[index]
        if not entry.permits(call):
            return ()
        path.append(Coverage(number, link.jti, index, entry.limits))
        if number > 0:
            index = link.subsumed_by[index]
    return tuple(reversed(path))


def _restrictions(chain: VerifiedChain, call: Call, name: str) -> tuple[Restriction, ...]:
    found = []
    for number, link in enumerate(chain.links):
        entries: tuple[Entry, ...] = getattr(link.grant, name)
        for index, entry in enumerate(entries):
            if entry.applies_to(call):
                found.append(Restriction(number, link.jti, index))
    return tuple(found)
