"""Reason codes: one for each refusal, the same as in the log and in the Rust verifier."""

from __future__ import annotations

from enum import StrEnum

from .revocation.kind import RevocationKind


class Reason(StrEnum):
    """Why a chain, a proof or a call is refused."""

    MALFORMED = "malformed"
    TOO_LONG = "too_long"
    WRONG_TYP = "wrong_typ"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    BAD_KEY = "bad_key"
    UNTRUSTED_ROOT = "untrusted_root"
    BAD_SIGNATURE = "bad_signature"
    BROKEN_LINK = "broken_link"
    CYCLE = "cycle"
    BAD_DEPTH = "bad_depth"
    DEPTH_EXCEEDED = "depth_exceeded"
    DEPTH_ESCALATION = "depth_escalation"
    TTL_ESCALATION = "ttl_escalation"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    AUDIENCE_ESCALATION = "audience_escalation"
    WRONG_AUDIENCE = "wrong_audience"
    INHERITED_CLAIM_RESTATED = "inherited_claim_restated"
    SCOPE_ESCALATION = "scope_escalation"
    CONSTRAINT_UNKNOWN = "constraint_unknown"
    REVOKED = "revoked"
    STALE_EPOCH = "stale_epoch"
    POP_MISSING = "pop_missing"
    POP_BAD_SIGNATURE = "pop_bad_signature"
    POP_MISMATCH = "pop_mismatch"
    POP_STALE = "pop_stale"
    REPLAY = "replay"
    HOLDER_MISMATCH = "holder_mismatch"
    NOT_IN_SCOPE = "not_in_scope"


class Refused(Exception):
    """A refusal: the reason, which link of the chain it is about where it is about one, and what of
    that link was revoked where that is why."""

    def __init__(
        self, reason: Reason, link: int | None = None, revoked: RevocationKind | None = None
    ) -> None:
        where = "" if link is None else f" at link {link}"
        what = "" if revoked is None else f" ({revoked})"
        super().__init__(f"refused{where}: {reason.value}{what}")
        self.reason = reason
        self.link = link
        self.revoked = revoked


def require(holds: bool, reason: Reason) -> None:
    """Refuses with ``reason`` unless ``holds``."""
    if not holds:
        raise Refused(reason)
