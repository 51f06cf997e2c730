"""What a root and a link have in common: who grants what to whom, until when and how deep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import spiffe_id
from ..jwk import Jwk, JwkError
from ..reason import Reason, Refused, require
from ..timestamp import Timestamp
from .entry import Entry
from .members import Members, array, text


@dataclass(frozen=True)
class Grant:
    """The claims that roots and links share."""

    issuer: str
    subject: str
    audience: tuple[str, ...] | None
    issued_at: Timestamp
    not_before: Timestamp
    expires_at: Timestamp
    jti: str
    depth: int
    max_depth: int
    key: Jwk
    entries: tuple[Entry, ...]
    forbid: tuple[Entry, ...]
    ask: tuple[Entry, ...]

    @staticmethod
    def take(members: Members) -> Grant:
        """Takes the shared claims out of a token's."""
        subject = members.text("sub")
        try:
            path = spiffe_id.path(subject)
        except ValueError:
            raise Refused(Reason.MALFORMED) from None
        require(path != "", Reason.MALFORMED)
        audience = _audience(members.value("aud")) if members.has("aud") else None
        cnf = members.object("cnf")
        key = cnf.value("jwk")
        cnf.finish()
        return Grant(
            issuer=members.text("iss"),
            subject=subject,
            audience=audience,
            issued_at=members.time("iat"),
            not_before=members.time("nbf"),
            expires_at=members.time("exp"),
            jti=members.id("jti"),
            depth=members.integer("del_depth"),
            max_depth=members.integer("del_max_depth"),
            key=_key(key),
            entries=_entries(members.array("authorization_details")),
            forbid=_restrictions(members, "forbid"),
            ask=_restrictions(members, "ask"),
        )


def _audience(value: Any) -> tuple[str, ...]:
    return tuple(map(text, array(value)))


def _key(value: Any) -> Jwk:
    try:
        return Jwk.parse(value)
    except JwkError:
        raise Refused(Reason.BAD_KEY) from None


def _entries(values: list[Any]) -> tuple[Entry, ...]:
    return tuple(map(Entry.parse, values))


def _restrictions(members: Members, name: str) -> tuple[Entry, ...]:
    return _entries(members.array(name)) if members.has(name) else ()
