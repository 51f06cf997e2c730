"""Assertions, and whether a known credential made one."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

from .. import base64url, signature
from ..base64url import sha256
from ..jwk import Jwk
from ..strict_json import StrictJsonError, parse_strict
from .authenticator_data import AuthenticatorData
from .client_data import ClientData
from .errors import ConsentRefused, Flaw, require

_MAX_BYTES = 16_384
_MAX_SIGNATURE_BYTES = 96
_MEMBERS = ("credential_id", "client_data_json", "authenticator_data", "signature")


@dataclass(frozen=True)
class Assertion:
    """An assertion as it travels: four values in base64url. Not verified."""

    credential_id: str
    client_data_json: str
    authenticator_data: str
    signature: str

    @staticmethod
    def parse(data: bytes) -> Assertion:
        """Reads the document strictly."""
        require(len(data) <= _MAX_BYTES, Flaw.MALFORMED)
        try:
            members = parse_strict(data)
        except StrictJsonError:
            raise ConsentRefused(Flaw.MALFORMED) from None
        return Assertion.read(members)

    @staticmethod
    def read(members: Any) -> Assertion:
        """Takes the four values of a document that was read."""
        if not isinstance(members, dict) or members.keys() != set(_MEMBERS):
            raise ConsentRefused(Flaw.MALFORMED)
        require(all(isinstance(held, str) for held in members.values()), Flaw.MALFORMED)
        return Assertion(*(members[name] for name in _MEMBERS))


@dataclass(frozen=True)
class Credential:
    """A credential as the verifier knows it: from its trust, never from the assertion."""

    credential_id: str
    key: Jwk
    rp_id: str
    origin: str
    last_counter: int | None = None
    """The counter of its last assertion; ``None`` where nobody keeps it, as offline."""


@dataclass(frozen=True)
class VerifiedAssertion:
    """An assertion that a credential made for one statement, its person present and verified. Take
    one from ``verify_assertion`` alone."""

    credential_id: str
    challenge: bytes
    counter: int
    backed_up: bool


def verify_assertion(
    assertion: Assertion, challenge: bytes, credential: Credential
) -> VerifiedAssertion:
    """Verifies that ``credential`` answered exactly ``challenge`` (WebAuthn Level 3, section 7.2)."""
    require(assertion.credential_id == credential.credential_id, Flaw.CREDENTIAL)
    client_data_json = _decode(assertion.client_data_json)
    authenticator_data = _decode(assertion.authenticator_data)
    signed = _decode(assertion.signature)
    require(len(signed) <= _MAX_SIGNATURE_BYTES, Flaw.MALFORMED)
    client = ClientData.parse(client_data_json)
    require(hmac.compare_digest(client.challenge, challenge), Flaw.CHALLENGE)
    require(client.origin == credential.origin, Flaw.ORIGIN)
    data = AuthenticatorData.parse(authenticator_data)
    expected = sha256(credential.rp_id.encode("utf-8"))
    require(hmac.compare_digest(data.rp_id_hash, expected), Flaw.RELYING_PARTY)
    message = authenticator_data + sha256(client_data_json)
    if credential.key.algorithm == "Ed25519":
        stands = signature.verify(credential.key, message, signed)
    else:
        stands = signature.verify_es256_der(credential.key, message, signed)
    require(stands, Flaw.SIGNATURE)
    last = credential.last_counter
    unjudged = last is None or (last == 0 and data.counter == 0)
    require(unjudged or data.counter > (last or 0), Flaw.COUNTER)
    return VerifiedAssertion(assertion.credential_id, challenge, data.counter, data.backed_up)


def _decode(text: str) -> bytes:
    try:
        return base64url.decode(text)
    except ValueError:
        raise ConsentRefused(Flaw.MALFORMED) from None
