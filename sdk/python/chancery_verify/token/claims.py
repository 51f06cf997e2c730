"""The claims of roots and links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..ids import is_id
from ..reason import Reason, require
from ..timestamp import Timestamp
from .grant import Grant
from .members import Members

_INHERITED = ("sid", "ep", "prn", "mission_s256")


@dataclass(frozen=True)
class Principal:
    """The person on whose behalf a chain acts."""

    issuer: str
    subject: str
    acr: str
    authenticated_at: Timestamp
    consent: bytes
    """``apr``: the digest of the consent artefact."""
    standing: StandingUse | None
    """``standing``: which use of a standing consent the root is; ``None`` where the person
    consented to this very root."""


@dataclass(frozen=True)
class StandingUse:
    """Which use of which standing consent a root is."""

    consent: str
    number: int

    @staticmethod
    def take(members: Members) -> StandingUse:
        """Takes the claim; uses are counted from 1 on."""
        used = StandingUse(consent=members.text("consent"), number=members.integer("use"))
        require(is_id(used.consent, "cns") and used.number > 0, Reason.MALFORMED)
        members.finish()
        return used


@dataclass(frozen=True)
class RootClaims:
    """What the authority grants to the first holder on a person's behalf."""

    grant: Grant
    sid: str
    epoch: int
    principal: Principal
    mission: bytes

    @staticmethod
    def parse(claims: dict[str, Any]) -> RootClaims:
        """Reads the claims of a root; unknown ones are refused."""
        members = Members(claims)
        person = members.object("prn")
        root = RootClaims(
            grant=Grant.take(members),
            sid=members.id("sid"),
            epoch=members.integer("ep"),
            principal=Principal(
                issuer=person.text("iss"),
                subject=person.text("sub"),
                acr=person.text("acr"),
                authenticated_at=person.time("auth_time"),
                consent=person.digest("apr"),
                standing=(
                    StandingUse.take(person.object("standing")) if person.has("standing") else None
                ),
            ),
            mission=members.digest("mission_s256"),
        )
        person.finish()
        members.finish()
        require(root.grant.audience is not None, Reason.MALFORMED)
        return root


@dataclass(frozen=True)
class LinkClaims:
    """What one holder grants to the next, never more than it has."""

    grant: Grant
    parent: bytes
    """``par_hash``: the digest of the parent's signing input."""

    @staticmethod
    def parse(claims: dict[str, Any]) -> LinkClaims:
        """Reads the claims of a link; what only the root says is refused."""
        members = Members(claims)
        restated = any(members.has(name) for name in _INHERITED)
        require(not restated, Reason.INHERITED_CLAIM_RESTATED)
        link = LinkClaims(grant=Grant.take(members), parent=members.digest("par_hash"))
        members.finish()
        return link
