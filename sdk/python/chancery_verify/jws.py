"""Compact JWS (RFC 7515), read in one strict profile. Which key verifies a token is never the
token's to say: callers pass it to ``Compact.verify``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import base64url, signature
from .jwk import Algorithm, Jwk
from .limits import MAX_JWS_BYTES
from .reason import Reason, Refused, require
from .strict_json import StrictJsonError, parse_strict


@dataclass(frozen=True)
class Header:
    """A protected header of exactly ``alg``, ``typ`` and, where the format has it, ``kid``."""

    algorithm: Algorithm
    typ: str
    kid: str | None


@dataclass(frozen=True)
class Compact:
    """A compact JWS that is well-formed and not yet verified."""

    header: Header
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes

    @staticmethod
    def parse(token: str) -> Compact:
        """Splits and reads a token without verifying anything."""
        try:
            size = len(token.encode("utf-8"))
        except UnicodeEncodeError:
            raise Refused(Reason.MALFORMED) from None
        require(size <= MAX_JWS_BYTES, Reason.TOO_LONG)
        signing_input, last_dot, signed = token.rpartition(".")
        header, first_dot, payload = signing_input.partition(".")
        require(bool(last_dot and first_dot), Reason.MALFORMED)
        return Compact(
            header=_header(_object(header)),
            claims=_object(payload),
            signing_input=signing_input.encode("utf-8"),
            signature=_decode(signed),
        )

    def verify(self, key: Jwk) -> bool:
        """Whether ``key`` signed this token with the algorithm that the header names."""
        return key.algorithm == self.header.algorithm and signature.verify(
            key, self.signing_input, self.signature
        )

    def signing_input_digest(self) -> bytes:
        """The digest of the signing input: ``par_hash`` of a child."""
        return base64url.sha256(self.signing_input)


def _decode(part: str) -> bytes:
    try:
        return base64url.decode(part)
    except ValueError:
        raise Refused(Reason.MALFORMED) from None


def _object(part: str) -> dict[str, Any]:
    try:
        value = parse_strict(_decode(part))
    except StrictJsonError:
        raise Refused(Reason.MALFORMED) from None
    if not isinstance(value, dict):
        raise Refused(Reason.MALFORMED)
    return value


def _header(members: dict[str, Any]) -> Header:
    require(members.keys() <= {"alg", "typ", "kid"}, Reason.MALFORMED)
    algorithm, typ, kid = (members.get(name) for name in ("alg", "typ", "kid"))
    require(isinstance(algorithm, str), Reason.MALFORMED)
    if algorithm not in ("Ed25519", "ES256"):
        raise Refused(Reason.ALG_NOT_ALLOWED)
    if not isinstance(typ, str) or ("kid" in members and not isinstance(kid, str)):
        raise Refused(Reason.MALFORMED)
    return Header("Ed25519" if algorithm == "Ed25519" else "ES256", typ, kid)
