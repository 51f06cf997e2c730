"""Whether a link continues its parent and narrows it."""

from __future__ import annotations

from collections.abc import Iterable

from ..reason import Reason, Refused, require
from ..timestamp import Timestamp
from ..token.claims import LinkClaims
from ..token.entry import Entry
from ..token.grant import Grant


def check_narrowing(
    parent: Grant, parent_audience: tuple[str, ...], parent_hash: bytes, child: LinkClaims
) -> tuple[int, ...]:
    """Checks linkage, depth, time, audience and subsumption, in the order of the format. Returns
    for each entry of the child the parent entry that subsumes it."""
    grant = child.grant
    linked = grant.issuer == parent.subject and child.parent == parent_hash
    require(linked, Reason.BROKEN_LINK)
    require(grant.depth == parent.depth + 1, Reason.BAD_DEPTH)
    require(grant.max_depth <= parent.max_depth, Reason.DEPTH_ESCALATION)
    require(grant.depth <= grant.max_depth, Reason.DEPTH_EXCEEDED)
    inside = grant.not_before >= parent.not_before and grant.expires_at <= parent.expires_at
    require(inside, Reason.TTL_ESCALATION)
    subset = all(name in parent_audience for name in grant.audience or ())
    require(subset, Reason.AUDIENCE_ESCALATION)
    return tuple(_subsuming(parent.entries, entry) for entry in grant.entries)


def _subsuming(known: tuple[Entry, ...], entry: Entry) -> int:
    for index, candidate in enumerate(known):
        if candidate.subsumes(entry):
            return index
    raise Refused(Reason.SCOPE_ESCALATION)


def check_unique(before: Iterable[Grant], last: Grant) -> None:
    """Checks that neither the subject nor the key of the last grant stands in one before it."""
    seen = any(grant.subject == last.subject or grant.key == last.key for grant in before)
    require(not seen, Reason.CYCLE)


def check_time(grant: Grant, now: Timestamp) -> None:
    """Checks that the grant is in force: ``nbf`` <= now < ``exp``."""
    require(now >= grant.not_before, Reason.NOT_YET_VALID)
    require(now < grant.expires_at, Reason.EXPIRED)
