"""Verification of a proof of possession."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..base64url import sha256
from ..canonical import CanonicalError, to_jcs
from ..chain.verified import VerifiedChain
from ..ids import is_id
from ..jws import Compact
from ..reason import Reason, Refused, require
from ..timestamp import Timestamp, plus_seconds
from ..token.call import Call
from ..token.members import Members
from .replay import ReplayMemory

PROOF_TYP = "adt-pop+jwt"
MAX_AGE_SECONDS = 60
MAX_AHEAD_SECONDS = 5


@dataclass(frozen=True)
class ProofContext:
    """What a verifier knows about the call that a proof is for."""

    now: Timestamp
    audience: str
    """The home gateway's SPIFFE ID."""
    started_at: Timestamp
    """When the replay memory was empty: proofs made before are refused."""
    peer: str
    """The SPIFFE ID at the other end of the transport."""
    call: Call


@dataclass(frozen=True)
class VerifiedProof:
    """A proof that the holder of a chain made for one call. Take one from ``verify_proof`` alone,
    which makes each only once."""

    jti: str
    issued_at: Timestamp
    execution: str | None
    step: str | None
    digest: bytes


def verify_proof(
    text: str | None, chain: VerifiedChain, context: ProofContext, replay: ReplayMemory
) -> VerifiedProof:
    """Verifies that the leaf's holder made this proof for this call, now and once, and that it
    stands at the other end. The replay memory learns of the proof only after everything else holds,
    so that nobody but the holder uses one up."""
    if text is None:
        raise Refused(Reason.POP_MISSING)
    token = Compact.parse(text)
    require(token.header.typ == PROOF_TYP, Reason.WRONG_TYP)
    require(token.header.kid is None, Reason.MALFORMED)
    require(token.verify(chain.leaf_key), Reason.POP_BAD_SIGNATURE)
    claims = _Claims.parse(token.claims)
    require(claims.is_for(chain, context), Reason.POP_MISMATCH)
    until = plus_seconds(claims.issued_at, MAX_AGE_SECONDS)
    in_window = (
        context.now <= until
        and claims.issued_at <= plus_seconds(context.now, MAX_AHEAD_SECONDS)
        and claims.issued_at >= context.started_at
    )
    require(in_window, Reason.POP_STALE)
    require(context.peer == chain.leaf_subject, Reason.HOLDER_MISMATCH)
    # By name and not by key: one instance may be the leaf of chains with many keys.
    replay.remember(chain.leaf_subject, claims.jti, until, context.now)
    return VerifiedProof(
        claims.jti, claims.issued_at, claims.execution, claims.step, sha256(text.encode("utf-8"))
    )


def arguments_digest(args: dict[str, Any]) -> bytes:
    """``ah``: the digest of the arguments' RFC 8785 form. Refuses integers beyond what every reader
    represents exactly: RFC 8785 rounds them, so two calls would share one digest."""
    try:
        return sha256(to_jcs(args))
    except CanonicalError:
        raise Refused(Reason.MALFORMED) from None


@dataclass(frozen=True)
class _Claims:
    audience: str
    issued_at: Timestamp
    jti: str
    chain: bytes
    target: list[Any]
    arguments: bytes
    execution: str | None
    step: str | None

    @staticmethod
    def parse(claims: dict[str, Any]) -> _Claims:
        members = Members(claims)
        execution = members.text("exec") if members.has("exec") else None
        require(execution is None or is_id(execution, "exe"), Reason.MALFORMED)
        step = members.id("step") if members.has("step") else None
        parsed = _Claims(
            audience=members.text("aud"),
            issued_at=members.time("iat"),
            jti=members.id("jti"),
            chain=members.digest("cth"),
            target=members.array("tool"),
            arguments=members.digest("ah"),
            execution=execution,
            step=step,
        )
        members.finish()
        return parsed

    def is_for(self, chain: VerifiedChain, context: ProofContext) -> bool:
        return (
            self.audience == context.audience
            and self.chain == chain.digest
            and self.target == context.call.proof_target()
            and self.arguments == arguments_digest(context.call.args)
        )
