"""The person's own agreement to the root of a chain."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from .base64url import sha256
from .chain.verified import VerifiedChain
from .webauthn.assertion import Assertion, Credential, VerifiedAssertion, verify_assertion
from .webauthn.errors import Flaw, require


@dataclass(frozen=True)
class Consent:
    """A consent that was verified. Take one from ``verify_consent`` alone; a chain without one is
    asserted by its authority alone."""

    assertion: VerifiedAssertion
    artefact: bytes
    chain_root: bytes


def verify_consent(chain: VerifiedChain, artefact: bytes, credential: Credential) -> Consent:
    """Verifies that ``artefact``, the bytes of an assertion, is the consent that the chain's root
    names and that ``credential`` made it over this very root. That the credential is one of the
    chain's principal is the caller's to look up."""
    digest = sha256(artefact)
    require(hmac.compare_digest(digest, chain.root.principal.consent), Flaw.ARTEFACT)
    assertion = Assertion.parse(artefact)
    verified = verify_assertion(assertion, chain.consent_challenge(), credential)
    return Consent(verified, digest, chain.links[0].hash)
