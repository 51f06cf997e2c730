"""Workload identity tokens: the credential of an agent key."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from . import digest, spiffe_id
from .ids import is_id
from .jwk import Jwk, JwkError
from .jws import Compact
from .reason import Reason, Refused
from .rules.level import AttestationLevel
from .timestamp import Timestamp, from_seconds

WIT_TYP = "wit+jwt"

_CLAIMS = {"sub", "cnf", "iat", "exp", "jti", "manifest_digest", "attestation_level", "isolation"}


class WitReason(StrEnum):
    """Why a token is refused."""

    MALFORMED = "malformed"
    WRONG_TYP = "wrong_typ"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    CLAIMS = "claims"
    BAD_KEY = "bad_key"
    WRONG_TRUST_DOMAIN = "wrong_trust_domain"
    EXPIRED = "expired"


class WitRefused(Exception):
    """A refusal with its reason."""

    def __init__(self, reason: WitReason) -> None:
        super().__init__(f"workload identity token refused: {reason.value}")
        self.reason = reason


@dataclass(frozen=True)
class WitBundle:
    """The keys that may sign workload identity tokens of one trust domain."""

    trust_domain: str
    keys: tuple[Jwk, ...]


@dataclass(frozen=True)
class VerifiedWit:
    """What a token says of the instance that holds an agent key. Take one from ``verify_wit`` alone.
    It is never proof of anything by itself: who presents it proves possession of the key."""

    spiffe_id: str
    agent_key: Jwk
    jti: str
    manifest_digest: str
    level: AttestationLevel
    isolated: bool
    expires: Timestamp


def verify_wit(token: str, bundle: WitBundle, now: Timestamp) -> VerifiedWit:
    """Verifies a token with the keys of the trust domain that it must belong to."""
    try:
        jws = Compact.parse(token)
    except Refused as refusal:
        other = refusal.reason is Reason.ALG_NOT_ALLOWED
        raise WitRefused(WitReason.ALG_NOT_ALLOWED if other else WitReason.MALFORMED) from None
    _require(jws.header.typ == WIT_TYP, WitReason.WRONG_TYP)
    _require(jws.header.algorithm == "ES256", WitReason.ALG_NOT_ALLOWED)
    key = next((key for key in bundle.keys if key.kid() == jws.header.kid), None)
    if key is None:
        raise WitRefused(WitReason.UNKNOWN_KEY)
    _require(jws.verify(key), WitReason.BAD_SIGNATURE)
    read = _read(jws.claims)
    _require(read.agent_key.is_on_curve(), WitReason.BAD_KEY)
    domain = spiffe_id.trust_domain(read.spiffe_id)
    _require(domain == bundle.trust_domain, WitReason.WRONG_TRUST_DOMAIN)
    _require(now < read.expires, WitReason.EXPIRED)
    return read


def _require(holds: bool, reason: WitReason) -> None:
    if not holds:
        raise WitRefused(reason)


def _read(claims: dict[str, Any]) -> VerifiedWit:
    _require(claims.keys() == _CLAIMS, WitReason.CLAIMS)
    texts = ("sub", "jti", "manifest_digest", "attestation_level", "isolation")
    _require(all(isinstance(claims[name], str) for name in texts), WitReason.CLAIMS)
    times = ("iat", "exp")
    whole = all(type(claims[name]) is int and claims[name] >= 0 for name in times)
    _require(whole and spiffe_id.is_spiffe_id(claims["sub"]), WitReason.CLAIMS)
    named = is_id(claims["jti"], "crd") and digest.is_digest(claims["manifest_digest"])
    _require(named and claims["isolation"] in ("isolated", "unisolated"), WitReason.CLAIMS)
    try:
        level = AttestationLevel(claims["attestation_level"])
    except ValueError:
        raise WitRefused(WitReason.CLAIMS) from None
    return VerifiedWit(
        spiffe_id=claims["sub"],
        agent_key=_key(claims["cnf"]),
        jti=claims["jti"],
        manifest_digest=claims["manifest_digest"],
        level=level,
        isolated=claims["isolation"] == "isolated",
        expires=from_seconds(claims["exp"]),
    )


def _key(cnf: Any) -> Jwk:
    _require(isinstance(cnf, dict) and cnf.keys() == {"jwk"}, WitReason.CLAIMS)
    try:
        return Jwk.parse(cnf["jwk"])
    except JwkError:
        raise WitRefused(WitReason.CLAIMS) from None
