"""Verifies Chancery delegation chains, proofs of possession, consents and signed requests, offline.

Pure: time and trust are arguments; nothing here reads a clock, a file or a network. Refusals are
exceptions and carry one reason code each, the same as the Rust verifier's.
"""

import sys

if sys.version_info < (3, 11):
    raise ImportError(f"chancery_verify needs Python 3.11 or later; this is {sys.version.split()[0]}")
try:
    import cryptography as _cryptography  # noqa: F401
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "chancery_verify needs the package cryptography: python3 -m pip install 'cryptography>=42'",
        name=_missing.name,
    ) from None

from .chain.context import ChainContext, TrustAnchor
from .chain.scope import Coverage, Restriction, Scope, authorise
from .chain.verified import VerifiedChain, VerifiedLink
from .chain.verify import verify_chain
from .consent import Consent, verify_consent
from .http_signature.errors import HttpReason, HttpRefused
from .http_signature.presentation import HttpContext, PresentedRequest, verify_presentation
from .http_signature.request import HttpRequest
from .jwk import Jwk, JwkError
from .proof.replay import ReplayMemory
from .proof.verify import ProofContext, VerifiedProof, arguments_digest, verify_proof
from .reason import Reason, Refused
from .revocation.kind import RevocationKind
from .revocation.revocation import Revocation, RevocationError
from .revocation.set import RevocationSet
from .rules.breach import RuleReason, RulesBroken
from .rules.chain_rules import ChainRules
from .rules.level import AttestationLevel
from .rules.parse import RulesError
from .timestamp import Timestamp, from_seconds
from .token.arguments import read_arguments
from .token.call import Call
from .token.claims import StandingUse
from .webauthn.assertion import Assertion, Credential, VerifiedAssertion
from .webauthn.errors import ConsentRefused, Flaw
from .wit import VerifiedWit, WitBundle, WitReason, WitRefused

__all__ = [
    "Assertion",
    "AttestationLevel",
    "Call",
    "ChainContext",
    "ChainRules",
    "Consent",
    "ConsentRefused",
    "Coverage",
    "Credential",
    "Flaw",
    "HttpContext",
    "HttpReason",
    "HttpRefused",
    "HttpRequest",
    "Jwk",
    "JwkError",
    "PresentedRequest",
    "ProofContext",
    "Reason",
    "Refused",
    "ReplayMemory",
    "Restriction",
    "Revocation",
    "RevocationError",
    "RevocationKind",
    "RevocationSet",
    "RuleReason",
    "RulesBroken",
    "RulesError",
    "Scope",
    "StandingUse",
    "Timestamp",
    "TrustAnchor",
    "VerifiedAssertion",
    "VerifiedChain",
    "VerifiedLink",
    "VerifiedProof",
    "VerifiedWit",
    "WitBundle",
    "WitReason",
    "WitRefused",
    "arguments_digest",
    "authorise",
    "from_seconds",
    "read_arguments",
    "verify_chain",
    "verify_consent",
    "verify_presentation",
    "verify_proof",
]
