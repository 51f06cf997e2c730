"""What is revoked at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .. import digest
from ..base64url import sha256
from ..canonical import to_jcs
from ..limits import MAX_REVOCATIONS
from ..strict_json import StrictJsonError, parse_strict
from ..timestamp import Timestamp
from ..token.claims import RootClaims
from ..token.grant import Grant
from .kind import RevocationKind
from .revocation import Revocation, RevocationError

_ORDER = {kind: place for place, kind in enumerate(RevocationKind)}

# An agent's id never contains it, so that the first one ends the agent's name.
_INSTANCE = "/instance/"


@dataclass(frozen=True)
class RevocationSet:
    """Bounded, each thing once. One lookup for each kind."""

    _since: Mapping[tuple[RevocationKind, str], Timestamp] = field(default_factory=dict)

    @staticmethod
    def of(revocations: Iterable[Revocation]) -> RevocationSet:
        """A set of these, in any order; of two of the same thing the later stands."""
        since: dict[tuple[RevocationKind, str], Timestamp] = {}
        for one in revocations:
            named = (one.kind, one.id)
            since[named] = max(since.get(named, one.at), one.at)
        return _bounded(since)

    @staticmethod
    def parse(data: bytes) -> RevocationSet:
        """Reads the member ``revoked`` of a snapshot: a list in the order of kind and identifier, each
        once. Raises ``RevocationError``. Who signed the snapshot is for the caller to know."""
        try:
            value = parse_strict(data)
        except StrictJsonError as error:
            raise RevocationError(f"not strict JSON: {error}") from None
        if not isinstance(value, list):
            raise RevocationError("revocations are a list")
        if len(value) > MAX_REVOCATIONS:
            raise RevocationError(f"more than {MAX_REVOCATIONS} revocations")
        read = [Revocation.read(item) for item in value]
        places = [(_ORDER[one.kind], one.id) for one in read]
        if any(next <= one for one, next in zip(places, places[1:])):
            raise RevocationError("revocations are not in the order of kind and identifier, each once")
        return RevocationSet({(one.kind, one.id): one.at for one in read})

    def since(self, kind: RevocationKind, id: str) -> Timestamp | None:
        """Since when this is revoked; ``None`` where it is not."""
        return self._since.get((kind, id))

    def of_instance(self, instance: str) -> RevocationKind | None:
        """Whether the instance with that SPIFFE ID is revoked, itself or with its agent."""
        if self._has(RevocationKind.INSTANCE, instance):
            return RevocationKind.INSTANCE
        agent = instance.split(_INSTANCE, 1)[0]
        return RevocationKind.AGENT if self._has(RevocationKind.AGENT, agent) else None

    def of_grant(self, grant: Grant) -> RevocationKind | None:
        """What of a root or link is revoked: its ``jti``, its holder's key, its holder."""
        if self._has(RevocationKind.TOKEN, grant.jti):
            return RevocationKind.TOKEN
        if self._has(RevocationKind.KEY, digest.text(grant.key.thumbprint())):
            return RevocationKind.KEY
        return self.of_instance(grant.subject)

    def of_root(self, root: RootClaims) -> RevocationKind | None:
        """What is revoked of that which only a root says: its session, its mission, its person, the
        standing consent that it rests on."""
        named = {
            RevocationKind.SESSION: root.sid,
            RevocationKind.MISSION: digest.text(root.mission),
            RevocationKind.PERSON: root.principal.subject,
        }
        if root.principal.standing is not None:
            named[RevocationKind.CONSENT] = root.principal.standing.consent
        found = (kind for kind, id in named.items() if self._has(kind, id))
        return next(found, None)

    def revocations(self) -> list[Revocation]:
        """All, in the order of kind and identifier."""
        named = sorted(self._since, key=lambda one: (_ORDER[one[0]], one[1]))
        return [Revocation(kind, id, self._since[kind, id]) for kind, id in named]

    def digest(self) -> str:
        """The digest of the canonical form: what gateways enrol of it."""
        written = [{"kind": one.kind.value, "id": one.id, "at": one.at} for one in self.revocations()]
        return digest.text(sha256(to_jcs(written)))

    def __len__(self) -> int:
        return len(self._since)

    def _has(self, kind: RevocationKind, id: str) -> bool:
        return (kind, id) in self._since


def _bounded(since: dict[tuple[RevocationKind, str], Timestamp]) -> RevocationSet:
    if len(since) > MAX_REVOCATIONS:
        raise RevocationError(f"more than {MAX_REVOCATIONS} revocations")
    return RevocationSet(since)
