"""What verification returns, and only verification makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import consent_challenge
from ..jwk import Jwk
from ..token.claims import RootClaims
from ..token.entry import Entry
from ..token.grant import Grant


@dataclass(frozen=True)
class VerifiedLink:
    """A root or link of a verified chain."""

    grant: Grant
    token: str
    hash: bytes
    """The digest of the signing input: ``par_hash`` of a child."""
    subsumed_by: tuple[int, ...]
    """For each entry, the entry of the parent that subsumes it."""

    @property
    def jti(self) -> str:
        """``jti``."""
        return self.grant.jti

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What it grants."""
        return self.grant.entries


@dataclass(frozen=True)
class VerifiedChain:
    """A chain that was verified from a known authority down to its holder, for the moment of
    verification. Take one from ``verify_chain`` alone: made by hand, it proves nothing."""

    root: RootClaims
    root_claims: dict[str, Any]
    links: tuple[VerifiedLink, ...]
    audience: tuple[str, ...]
    digest: bytes
    """``cth``: the digest of the links joined by commas."""

    @property
    def leaf(self) -> VerifiedLink:
        """The last link, which is the root where nothing was delegated further."""
        return self.links[-1]

    @property
    def leaf_subject(self) -> str:
        """The one who may present this chain."""
        return self.leaf.grant.subject

    @property
    def leaf_key(self) -> Jwk:
        """The key that signs proofs and children."""
        return self.leaf.grant.key

    def consent_challenge(self) -> bytes:
        """The challenge that the person's consent answers."""
        return consent_challenge.consent_challenge(self.root_claims)
