"""The digest of a body (RFC 9530)."""

from __future__ import annotations

from ..base64url import sha256
from .errors import HttpReason, HttpRefused, require
from .request import HttpRequest
from .structured import Bare, Item, Kind, StructuredError, parse_dictionary

CONTENT_DIGEST = "content-digest"


def check_body(request: HttpRequest) -> None:
    """Checks the body against the field. A body has one; without a body one is checked where it
    came."""
    text = request.field(CONTENT_DIGEST)
    if text is None:
        require(not request.body, HttpReason.CONTENT_DIGEST)
        return
    try:
        claimed = parse_dictionary(text).get("sha-256")
    except StructuredError:
        raise HttpRefused(HttpReason.CONTENT_DIGEST) from None
    digest = Bare(Kind.BYTES, sha256(request.body))
    same = isinstance(claimed, Item) and claimed.bare == digest
    require(same, HttpReason.CONTENT_DIGEST)
