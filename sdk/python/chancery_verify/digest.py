"""SHA-256 digests as texts: ``sha256:`` and 64 lower-case hex digits, no other spelling."""

import re

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def text(digest: bytes) -> str:
    """The text of 32 bytes that are a digest."""
    return f"sha256:{digest.hex()}"


def is_digest(text: str) -> bool:
    """Whether the text is a digest."""
    return _DIGEST.match(text) is not None
