"""Verification of a chain, root first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from ..base64url import sha256
from ..jwk import Jwk
from ..jws import Compact
from ..limits import MAX_CHAIN_BYTES, MAX_CHAIN_LINKS
from ..reason import Reason, Refused, require
from ..revocation.kind import RevocationKind
from ..token.claims import LinkClaims, RootClaims
from ..token.grant import Grant
from .context import ChainContext
from .narrowing import check_narrowing, check_time, check_unique
from .verified import VerifiedChain, VerifiedLink

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

LINK_TYP = "adt+jwt"
"""``typ`` of a root and of a link."""


def verify_chain(links: Sequence[str], context: ChainContext) -> VerifiedChain:
    """Verifies a chain: limits, strict reading, the authority, then link by link signature,
    linkage, depth, time, audience, subsumption, uniqueness and revocation, and the epoch last.
    Raises ``Refused`` with the first reason found."""
    digest = check_limits(links)
    tokens = [_at(number, parse, link) for number, link in enumerate(links)]
    chain = _at(0, _verify_root, tokens[0], links[0], digest, context)
    for number in range(1, len(links)):
        chain = _at(number, _verify_link, chain, tokens[number], links[number], context)
    if chain.root.epoch != context.epoch:
        raise Refused(Reason.STALE_EPOCH, 0)
    return chain


def check_limits(links: Sequence[str]) -> bytes:
    """Checks number and size of the links before any of them is read; returns ``cth``."""
    require(len(links) > 0, Reason.MALFORMED)
    require(len(links) <= MAX_CHAIN_LINKS, Reason.TOO_LONG)
    # What is no Unicode text counts as if it were; it is refused when it is read.
    joined = ",".join(links).encode("utf-8", "surrogatepass")
    require(len(joined) <= MAX_CHAIN_BYTES, Reason.TOO_LONG)
    return sha256(joined)


def parse(link: str) -> Compact:
    """Reads a root or link without verifying it."""
    token = Compact.parse(link)
    require(token.header.typ == LINK_TYP, Reason.WRONG_TYP)
    require(token.header.kid is not None, Reason.MALFORMED)
    return token


def _at(
    number: int,
    judge: Callable[_Arguments, _Result],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result:
    """Judges a link; a refusal names it."""
    try:
        return judge(*arguments, **named)
    except Refused as refusal:
        raise Refused(refusal.reason, number, refusal.revoked) from None


def _verify_root(token: Compact, text: str, digest: bytes, context: ChainContext) -> VerifiedChain:
    named = [anchor.key for anchor in context.anchors if anchor.key.kid() == token.header.kid]
    require(len(named) > 0, Reason.UNTRUSTED_ROOT)
    _verify_signature(token, named[0])
    root = RootClaims.parse(token.claims)
    speaks = any(
        anchor.key == named[0] and anchor.issuer == root.grant.issuer for anchor in context.anchors
    )
    require(speaks, Reason.UNTRUSTED_ROOT)
    require(root.grant.depth == 0, Reason.BAD_DEPTH)
    audience = root.grant.audience or ()
    _check_holder(root.grant, audience, context)
    _check_revoked(context.revoked.of_grant(root.grant))
    _check_revoked(context.revoked.of_root(root))
    link = VerifiedLink(root.grant, text, token.signing_input_digest(), ())
    return VerifiedChain(root, token.claims, (link,), audience, digest)


def _verify_link(
    chain: VerifiedChain, token: Compact, text: str, context: ChainContext
) -> VerifiedChain:
    parent = chain.leaf
    require(token.header.kid == parent.grant.key.kid(), Reason.BAD_SIGNATURE)
    _verify_signature(token, parent.grant.key)
    child = LinkClaims.parse(token.claims)
    subsumed_by = check_narrowing(parent.grant, chain.audience, parent.hash, child)
    grant = child.grant
    audience = chain.audience if grant.audience is None else grant.audience
    check_unique((link.grant for link in chain.links), grant)
    _check_holder(grant, audience, context)
    _check_revoked(context.revoked.of_grant(grant))
    link = VerifiedLink(grant, text, token.signing_input_digest(), subsumed_by)
    return VerifiedChain(
        chain.root, chain.root_claims, (*chain.links, link), audience, chain.digest
    )


def _verify_signature(token: Compact, key: Jwk) -> None:
    require(token.header.algorithm == key.algorithm, Reason.ALG_NOT_ALLOWED)
    require(token.verify(key), Reason.BAD_SIGNATURE)


def _check_holder(grant: Grant, audience: tuple[str, ...], context: ChainContext) -> None:
    """What holds for a grant by itself at this verifier and moment."""
    check_time(grant, context.now)
    require(context.audience in audience, Reason.WRONG_AUDIENCE)
    authority = any(anchor.key == grant.key for anchor in context.anchors)
    require(not authority, Reason.CYCLE)
    require(grant.key.is_on_curve(), Reason.BAD_KEY)


def _check_revoked(found: RevocationKind | None) -> None:
    if found is not None:
        raise Refused(Reason.REVOKED, revoked=found)
