"""The document that holds the rules, member by member."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from .. import base64url, spiffe_id
from ..limits import MAX_RULES_BYTES, MAX_RULES_ENTRIES
from ..strict_json import StrictJsonError, parse_strict
from .level import AttestationLevel
from .lists import AgentPattern, Lists

RULES_FORM = "chancery/delegation-rules/v1"
"""What the member ``rules`` of every document says: its form."""

_Item = TypeVar("_Item")


class RulesError(ValueError):
    """Why bytes are not rules for chains: the member and what is wrong with it."""


@dataclass(frozen=True)
class Lifetimes:
    """How long a root or a link lives: where nobody asks for another time, and at most."""

    default_seconds: int | None = None
    max_seconds: int | None = None

    def by_default(self, otherwise: int) -> int:
        """The lifetime of one for which nobody asks another: ``otherwise`` where the rules name
        none, and never more than the most."""
        seconds = otherwise if self.default_seconds is None else self.default_seconds
        return seconds if self.max_seconds is None else min(seconds, self.max_seconds)


class Document:
    """Takes the members out one by one; what is left over is unknown and refused."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._left = members

    @staticmethod
    def read(data: bytes) -> Document:
        """Reads strict JSON: one object of this form."""
        if len(data) > MAX_RULES_BYTES:
            raise RulesError(f"more than {MAX_RULES_BYTES} bytes: split the lists or name prefixes")
        try:
            members = parse_strict(data)
        except StrictJsonError as error:
            raise RulesError(f"not strict JSON: {error}") from None
        if not isinstance(members, dict) or members.pop("rules", None) != RULES_FORM:
            raise RulesError(f'expected one JSON object with "rules": "{RULES_FORM}"')
        return Document(members)

    def finish(self) -> None:
        """Refuses what was not taken."""
        for name in self._left:
            raise RulesError(
                f"{name}: no such member; known are root, link, max_depth, agents, trust_domains, "
                "keys and min_attestation"
            )

    def integer(self, name: str) -> int | None:
        """A non-negative integer."""
        return _integer(name, self._left.pop(name)) if name in self._left else None

    def lifetimes(self, name: str) -> Lifetimes:
        """Lifetimes of at least a second, the default not more than the most."""
        members = self._object(name, {"default_seconds", "max_seconds"})
        default, most = (
            _integer(name, members[member]) if member in members else None
            for member in ("default_seconds", "max_seconds")
        )
        positive = default != 0 and most != 0
        if not positive or default is not None and most is not None and default > most:
            raise RulesError(
                f"{name}: lifetimes are at least a second, and the default is not more than the most"
            )
        return Lifetimes(default, most)

    def lists(self, name: str, read: Callable[[str, Any], _Item]) -> Lists[_Item]:
        """Who is allowed and who is blocked."""
        members = self._object(name, {"allow", "block"})
        allow, block = (_items(name, members, member, read) for member in ("allow", "block"))
        return Lists(allow, block or ())

    def level(self, name: str) -> AttestationLevel | None:
        """An attestation level by its name."""
        if name not in self._left:
            return None
        value = self._left.pop(name)
        for level in AttestationLevel:
            if level.value == value:
                return level
        known = ", ".join(level.value for level in AttestationLevel)
        raise RulesError(f"{name}: not an attestation level: expected one of {known}")

    def _object(self, name: str, known: set[str]) -> dict[str, Any]:
        members = self._left.pop(name, {})
        if not isinstance(members, dict):
            raise RulesError(f"{name}: not an object")
        for member in members.keys() - known:
            raise RulesError(f"{name}: unknown field {member}")
        return members


def pattern(name: str, value: Any) -> AgentPattern:
    """Which agents: exactly one of ``exact`` and ``path_prefix``, a SPIFFE ID."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, id),) = value.items()
        if kind in ("exact", "path_prefix") and isinstance(id, str) and spiffe_id.is_spiffe_id(id):
            return AgentPattern(id, kind == "path_prefix")
    raise RulesError(f'{name}: an entry is {{"exact": ID}} or {{"path_prefix": ID}}, ID a SPIFFE ID')


def trust_domain(name: str, value: Any) -> str:
    """The name of a trust domain."""
    if not isinstance(value, str) or not spiffe_id.is_trust_domain(value):
        raise RulesError(f"{name}: {value!r} is not the name of a trust domain")
    return value


def thumbprint(name: str, value: Any) -> bytes:
    """The thumbprint of a key in base64url."""
    try:
        data = base64url.decode(value) if isinstance(value, str) else b""
    except ValueError:
        data = b""
    if len(data) != 32:
        raise RulesError(f"{name}: {value!r} is not a key's thumbprint in base64url")
    return data


def _items(
    name: str, members: dict[str, Any], member: str, read: Callable[[str, Any], _Item]
) -> tuple[_Item, ...] | None:
    if member not in members:
        return None
    values = members[member]
    if not isinstance(values, list):
        raise RulesError(f"{name}: {member} is not a list")
    if len(values) > MAX_RULES_ENTRIES:
        raise RulesError(f"{name}: more than {MAX_RULES_ENTRIES} entries: name prefixes instead")
    return tuple(read(name, value) for value in values)


def _integer(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise RulesError(f"{name}: {value!r} is not a non-negative integer")
    return value
