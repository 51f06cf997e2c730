"""The client data of an assertion (WebAuthn Level 3, section 5.8.1), read strictly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import base64url
from ..strict_json import StrictJsonError, parse_strict
from .errors import ConsentRefused, Flaw, require

_MAX_BYTES = 4_096


@dataclass(frozen=True)
class ClientData:
    """Challenge and origin. Members that later versions add are ignored, as the specification asks;
    the ones that decide are not."""

    challenge: bytes
    origin: str

    @staticmethod
    def parse(data: bytes) -> ClientData:
        """Reads the bytes that the authenticator's signature covers."""
        require(len(data) <= _MAX_BYTES, Flaw.CLIENT_DATA)
        try:
            members = parse_strict(data)
        except StrictJsonError:
            raise ConsentRefused(Flaw.CLIENT_DATA) from None
        if not isinstance(members, dict):
            raise ConsentRefused(Flaw.CLIENT_DATA)
        require(_text(members, "type") == "webauthn.get", Flaw.TYPE)
        crossed = members.get("crossOrigin", False)
        require(isinstance(crossed, bool), Flaw.CLIENT_DATA)
        require(crossed is False and "topOrigin" not in members, Flaw.CROSS_ORIGIN)
        try:
            challenge = base64url.decode(_text(members, "challenge"))
        except ValueError:
            raise ConsentRefused(Flaw.CLIENT_DATA) from None
        require(len(challenge) == 32, Flaw.CLIENT_DATA)
        return ClientData(challenge, _text(members, "origin"))


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise ConsentRefused(Flaw.CLIENT_DATA)
    return value
