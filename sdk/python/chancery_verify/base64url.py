"""Base64url without padding, one spelling per value (RFC 4648 section 5, RFC 7515 section 2)."""

import base64
import hashlib


def encode(data: bytes) -> str:
    """Encodes without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Decodes; raises ``ValueError`` on padding, other alphabets and non-zero trailing bits."""
    if len(text) % 4 == 1:
        raise ValueError("not canonical unpadded base64url")
    # The library skips what is not of the alphabet; the comparison does not.
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not canonical unpadded base64url")
    return data


def sha256(data: bytes) -> bytes:
    """The SHA-256 digest."""
    return hashlib.sha256(data).digest()
