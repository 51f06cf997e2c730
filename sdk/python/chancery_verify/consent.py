"""The person's own agreement to the root of a chain."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from .base64url import sha256
from .chain.verified import VerifiedChain
from .standing import SignedStanding, parse_artefact
from .token.claims import StandingUse
from .webauthn.assertion import Credential, VerifiedAssertion, verify_assertion
from .webauthn.errors import Flaw, require


@dataclass(frozen=True)
class Consent:
    """A consent that was verified. Take one from ``verify_consent`` alone; a chain without one is
    asserted by its authority alone."""

    assertion: VerifiedAssertion
    artefact: bytes
    chain_root: bytes
    standing: StandingUse | None
    """Which use of a standing consent it is; ``None`` where it is for this root alone."""


def verify_consent(chain: VerifiedChain, artefact: bytes, credential: Credential) -> Consent:
    """Verifies that ``artefact`` is the consent that the chain's root names: the bytes of an
    assertion that ``credential`` made over this very root, or of a standing consent that covers it.
    That the credential is one of the chain's principal is the caller's to look up, and how often a
    standing consent was used, the log's to show."""
    digest = sha256(artefact)
    require(hmac.compare_digest(digest, chain.root.principal.consent), Flaw.ARTEFACT)
    read = parse_artefact(artefact)
    standing = chain.root.principal.standing
    require(isinstance(read, SignedStanding) == (standing is not None), Flaw.KIND)
    if isinstance(read, SignedStanding):
        read.statement.check()
        verified = verify_assertion(read.assertion, read.statement.challenge, credential)
        read.statement.covers(chain.root)
    else:
        verified = verify_assertion(read, chain.consent_challenge(), credential)
    return Consent(verified, digest, chain.links[0].hash, standing)
