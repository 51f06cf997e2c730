"""Verifies Chancery delegation chains, proofs of possession and consents, offline.

Pure: time and trust are arguments; nothing here reads a clock, a file or a network. Refusals are
exceptions and carry one reason code each, the same as the Rust verifier's.
"""

from .chain.context import ChainContext, TrustAnchor
from .chain.scope import Coverage, Restriction, Scope, authorise
from .chain.verified import VerifiedChain, VerifiedLink
from .chain.verify import verify_chain
from .consent import Consent, verify_consent
from .jwk import Jwk, JwkError
from .proof.replay import ReplayMemory
from .proof.verify import ProofContext, VerifiedProof, arguments_digest, verify_proof
from .reason import Reason, Refused
from .timestamp import Timestamp, from_seconds
from .token.arguments import read_arguments
from .token.call import Call
from .webauthn.assertion import Assertion, Credential, VerifiedAssertion
from .webauthn.errors import ConsentRefused, Flaw

__all__ = [
    "Assertion",
    "Call",
    "ChainContext",
    "Consent",
    "ConsentRefused",
    "Coverage",
    "Credential",
    "Flaw",
    "Jwk",
    "JwkError",
    "ProofContext",
    "Reason",
    "Refused",
    "ReplayMemory",
    "Restriction",
    "Scope",
    "Timestamp",
    "TrustAnchor",
    "VerifiedAssertion",
    "VerifiedChain",
    "VerifiedLink",
    "VerifiedProof",
    "arguments_digest",
    "authorise",
    "from_seconds",
    "read_arguments",
    "verify_chain",
    "verify_consent",
    "verify_proof",
]
