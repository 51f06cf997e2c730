"""What a person signs when they consent to a root."""

from typing import Any

from .base64url import sha256
from .canonical import to_jcs

_TAG = b"chancery/consent/v1\0"


def consent_challenge(root_claims: dict[str, Any]) -> bytes:
    """SHA-256 over a tag, a zero byte and the RFC 8785 form of the root's claims without
    ``prn.apr``."""
    claims = dict(root_claims)
    if isinstance(claims.get("prn"), dict):
        claims["prn"] = {name: held for name, held in claims["prn"].items() if name != "apr"}
    return sha256(_TAG + to_jcs(claims))
