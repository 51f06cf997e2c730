"""Something that was revoked, named in the one spelling that its kind has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .. import digest, spiffe_id
from ..ids import is_id
from ..limits import MAX_SAFE_INTEGER
from ..timestamp import Timestamp
from .kind import RevocationKind

_JTI = re.compile(r"[!-~]{1,128}\Z")

_EXPECTED = {
    RevocationKind.TOKEN: "a jti of 1 to 128 visible characters",
    RevocationKind.SESSION: "ses_ and 26 characters",
    RevocationKind.MISSION: "sha256: and 64 hex digits",
    RevocationKind.AGENT: "the SPIFFE ID of an agent",
    RevocationKind.INSTANCE: "the SPIFFE ID of an instance",
    RevocationKind.PERSON: "per_ and 26 characters",
    RevocationKind.KEY: "the key's thumbprint: sha256: and 64 hex digits",
    RevocationKind.CONSENT: "cns_ and 26 characters",
}


class RevocationError(ValueError):
    """Why something names nothing that can be revoked, or a set is not taken."""


@dataclass(frozen=True)
class Revocation:
    """What was revoked, and when. Its identifier is one of its kind: made in any other way than by
    ``of`` and ``read`` it proves nothing."""

    kind: RevocationKind
    id: str
    at: Timestamp

    @staticmethod
    def of(kind: RevocationKind, id: str, at: Timestamp = Timestamp(0)) -> Revocation:
        """Checks an identifier; raises ``RevocationError`` with what one of that kind looks like."""
        if not _is_identifier(kind, id):
            raise RevocationError(f"not the identifier of a {kind}: expected {_EXPECTED[kind]}")
        return Revocation(kind, id, at)

    @staticmethod
    def read(value: Any) -> Revocation:
        """Reads exactly ``{kind, id, at}``, ``at`` in microseconds since the epoch."""
        if not isinstance(value, dict) or value.keys() != {"kind", "id", "at"}:
            raise RevocationError("a revocation is an object of kind, id and at")
        kind, id, at = value["kind"], value["id"], value["at"]
        if kind not in list(RevocationKind):
            raise RevocationError(f"not a kind of revocation: expected {', '.join(RevocationKind)}")
        if not isinstance(id, str):
            raise RevocationError("the id of a revocation is a text")
        if type(at) is not int or not 0 <= at <= MAX_SAFE_INTEGER:
            raise RevocationError("at is not a time in microseconds since the epoch")
        return Revocation.of(RevocationKind(kind), id, Timestamp(at))


def _is_identifier(kind: RevocationKind, id: str) -> bool:
    match kind:
        case RevocationKind.TOKEN:
            return _JTI.match(id) is not None
        case RevocationKind.SESSION:
            return is_id(id, "ses")
        case RevocationKind.PERSON:
            return is_id(id, "per")
        case RevocationKind.CONSENT:
            return is_id(id, "cns")
        case RevocationKind.MISSION | RevocationKind.KEY:
            return digest.is_digest(id)
        case RevocationKind.AGENT:
            return spiffe_id.is_agent(id)
        case RevocationKind.INSTANCE:
            return spiffe_id.is_spiffe_id(id)
