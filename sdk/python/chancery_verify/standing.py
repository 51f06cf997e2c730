"""Standing consents: what a person signs once for many roots, and whether it covers one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import digest, spiffe_id
from .base64url import sha256
from .canonical import CanonicalError, to_jcs
from .ids import is_id
from .limits import MAX_ROOT_SECONDS
from .reason import Refused
from .strict_json import StrictJsonError, parse_strict
from .timestamp import Timestamp, plus_seconds
from .token.claims import RootClaims
from .token.entry import Entry
from .webauthn.assertion import Assertion
from .webauthn.errors import ConsentRefused, Flaw, require

_TAG = b"chancery/standing/v1\0"
_FORM = "chancery/standing/v1"
_MAX_BYTES = 32_768
_MAX_USES = 10_000
_MAX_ENTRIES = 64
_TEXTS = ("standing", "id", "issuer", "person", "mission", "agent", "gateway")
_NUMBERS = ("signed_at", "epoch", "max_uses", "max_seconds", "max_depth", "expires_at")


@dataclass(frozen=True)
class StandingStatement:
    """What a person signs once for many roots."""

    id: str
    issuer: str
    person: str
    signed_at: Timestamp
    epoch: int
    mission: bytes
    agent: str
    gateway: str
    entries: tuple[Any, ...]
    max_uses: int
    max_seconds: int
    max_depth: int
    expires_at: Timestamp
    challenge: bytes
    """SHA-256 over a tag, a zero byte and the RFC 8785 form."""

    @staticmethod
    def parse(members: Any) -> StandingStatement:
        """Reads the statement; any other shape is malformed."""
        names = {*_TEXTS, *_NUMBERS, "entries"}
        if not isinstance(members, dict) or members.keys() != names:
            raise ConsentRefused(Flaw.MALFORMED)
        texts = all(isinstance(members[name], str) for name in _TEXTS)
        numbers = all(type(members[name]) is int and members[name] >= 0 for name in _NUMBERS)
        require(texts and numbers and isinstance(members["entries"], list), Flaw.MALFORMED)
        require(members["standing"] == _FORM, Flaw.MALFORMED)
        require(is_id(members["id"], "cns") and is_id(members["person"], "per"), Flaw.MALFORMED)
        require(digest.is_digest(members["mission"]), Flaw.MALFORMED)
        require(spiffe_id.is_agent(members["agent"]), Flaw.MALFORMED)
        try:
            canonical = to_jcs(members)
        except CanonicalError:
            raise ConsentRefused(Flaw.MALFORMED) from None
        return StandingStatement(
            id=members["id"],
            issuer=members["issuer"],
            person=members["person"],
            signed_at=Timestamp(members["signed_at"]),
            epoch=members["epoch"],
            mission=bytes.fromhex(members["mission"].removeprefix("sha256:")),
            agent=members["agent"],
            gateway=members["gateway"],
            entries=tuple(members["entries"]),
            max_uses=members["max_uses"],
            max_seconds=members["max_seconds"],
            max_depth=members["max_depth"],
            expires_at=Timestamp(members["expires_at"]),
            challenge=sha256(_TAG + canonical),
        )

    def check(self) -> tuple[Entry, ...]:
        """What does not follow from its form; returns the entries, read."""
        require(1 <= self.max_uses <= _MAX_USES, Flaw.STATEMENT)
        require(1 <= self.max_seconds <= MAX_ROOT_SECONDS, Flaw.STATEMENT)
        require(1 <= len(self.entries) <= _MAX_ENTRIES, Flaw.STATEMENT)
        require(self.expires_at > self.signed_at, Flaw.STATEMENT)
        try:
            return tuple(map(Entry.parse, self.entries))
        except Refused:
            raise ConsentRefused(Flaw.STATEMENT) from None

    def covers(self, root: RootClaims) -> None:
        """Refuses a root that it does not cover, by the first reason found. How often it was used
        is the signer's to count and the log's to show."""
        entries = self.check()
        grant, person = root.grant, root.principal
        used = person.standing
        if used is None or used.consent != self.id:
            raise ConsentRefused(Flaw.CONSENT_OTHER)
        own = (
            person.subject == self.person
            and person.issuer == self.issuer
            and grant.issuer == self.issuer
            and person.authenticated_at // 1_000_000 == self.signed_at // 1_000_000
        )
        require(own, Flaw.CONSENT_PERSON)
        require(root.mission == self.mission, Flaw.CONSENT_MISSION)
        agent, instance, _ = grant.subject.partition("/instance/")
        require(instance != "" and agent == self.agent, Flaw.CONSENT_AGENT)
        require(grant.audience == (self.gateway,), Flaw.CONSENT_GATEWAY)
        # Exactly the same entries: one that stood twice would have its limits twice.
        require(grant.entries == entries, Flaw.CONSENT_SCOPE)
        begin = min(grant.not_before, grant.issued_at)
        longest = plus_seconds(begin, self.max_seconds)
        require(grant.expires_at <= longest, Flaw.CONSENT_LIFETIME)
        require(grant.max_depth <= self.max_depth, Flaw.CONSENT_DEPTH)
        require(root.epoch == self.epoch, Flaw.CONSENT_EPOCH)
        require(used.number <= self.max_uses, Flaw.CONSENT_USED_UP)
        require(grant.expires_at <= self.expires_at, Flaw.CONSENT_EXPIRED)


@dataclass(frozen=True)
class SignedStanding:
    """A standing consent with the person's assertion over it. Not verified."""

    statement: StandingStatement
    assertion: Assertion


def parse_artefact(data: bytes) -> Assertion | SignedStanding:
    """Reads what a root rests on: the person's assertion over it, or a standing consent."""
    require(len(data) <= _MAX_BYTES, Flaw.MALFORMED)
    try:
        members = parse_strict(data)
    except StrictJsonError:
        raise ConsentRefused(Flaw.MALFORMED) from None
    if not isinstance(members, dict) or "statement" not in members:
        return Assertion.parse(data)
    require(members.keys() == {"statement", "assertion"}, Flaw.MALFORMED)
    statement = StandingStatement.parse(members["statement"])
    return SignedStanding(statement, Assertion.read(members["assertion"]))
