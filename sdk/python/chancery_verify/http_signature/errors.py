"""Why a signed request is refused."""

from __future__ import annotations

from enum import StrEnum

from ..reason import Refused
from ..wit import WitRefused


class HttpReason(StrEnum):
    """One code for each cause, the same as the Rust verifier's."""

    MISSING = "http_signature_missing"
    MALFORMED = "http_signature_malformed"
    TOO_LONG = "http_signature_too_long"
    DUPLICATE_FIELD = "http_duplicate_field"
    PARAMETER = "http_signature_parameter"
    WRONG_TAG = "http_wrong_tag"
    UNCOVERED = "http_uncovered"
    CONTENT_DIGEST = "http_content_digest"
    CREDENTIAL_MISSING = "http_credential_missing"
    CREDENTIAL_EXPIRED = "http_credential_expired"
    CREDENTIAL = "http_credential_refused"
    HOLDER_MISMATCH = "http_holder_mismatch"
    BAD_SIGNATURE = "http_bad_signature"
    WRONG_AUDIENCE = "http_wrong_audience"
    STALE = "http_stale"
    REPLAY = "http_replay"
    DELEGATION = "http_delegation_malformed"
    UNKNOWN_REFERENCE = "delegation_reference_unknown"
    CHAIN = "http_chain_refused"


class HttpRefused(Exception):
    """A refusal: the reason, and why the credential or the chain is refused where that is why."""

    def __init__(self, reason: HttpReason, cause: WitRefused | Refused | None = None) -> None:
        super().__init__(f"{reason.value}: {cause}" if cause else reason.value)
        self.reason = reason
        self.cause = cause


def require(holds: bool, reason: HttpReason) -> None:
    """Refuses with ``reason`` unless ``holds``."""
    if not holds:
        raise HttpRefused(reason)
