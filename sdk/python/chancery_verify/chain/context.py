"""What a verifier knows and a chain cannot say."""

from __future__ import annotations

from dataclasses import dataclass

from ..jwk import Jwk
from ..revocation.set import RevocationSet
from ..timestamp import Timestamp


@dataclass(frozen=True)
class TrustAnchor:
    """An authority whose roots are believed: the ``iss`` of its roots, and its key."""

    issuer: str
    key: Jwk


@dataclass(frozen=True)
class ChainContext:
    """Time, audience and trust, all from outside of the chain."""

    now: Timestamp
    audience: str
    anchors: tuple[TrustAnchor, ...]
    epoch: int
    """The authorities' epoch; a root of any other is refused."""
    revoked: RevocationSet
    """What is revoked."""
