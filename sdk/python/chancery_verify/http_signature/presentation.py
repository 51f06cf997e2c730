"""Verification of a signed request and of the chain that came with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .. import spiffe_id
from ..chain.context import ChainContext
from ..chain.verified import VerifiedChain
from ..chain.verify import verify_chain
from ..proof.replay import ReplayMemory
from ..reason import Refused
from ..timestamp import Timestamp
from ..wit import VerifiedWit, WitBundle, WitReason, WitRefused, verify_wit
from .delegation import read_delegation
from .errors import HttpReason, HttpRefused, require
from .received import CREDENTIAL_FIELD, DELEGATION_FIELD, ReceivedSignature
from .request import HttpRequest


@dataclass(frozen=True)
class HttpContext:
    """What a verifier knows about a request that was presented."""

    now: Timestamp
    audience: str
    """The own SPIFFE ID: whom the signature is meant for."""
    started_at: Timestamp
    """When the replay memory was empty: signatures made before are refused."""
    peer: str
    """Who stands at the other end of the transport."""
    wits: tuple[WitBundle, ...]
    """The token authorities that are believed, one bundle for each trust domain."""
    chains: ChainContext
    """What a chain is verified against. Its audience is the home gateway, not the one who answers."""
    referenced: Callable[[str], list[str] | None]
    """The links of a chain that this peer presented before in this session, by its digest."""


@dataclass(frozen=True)
class PresentedRequest:
    """A request that the transport's peer signed with the key of its credential, for this audience,
    now and once; and the chain that it holds by that key, where it presented one. Take one from
    ``verify_presentation`` alone, which makes each only once."""

    credential: VerifiedWit
    delegation: VerifiedChain | None
    nonce: str
    created: Timestamp


def verify_presentation(
    request: HttpRequest, context: HttpContext, replay: ReplayMemory
) -> PresentedRequest:
    """Verifies a signed request whole. The replay memory learns of the nonce only after everything
    else about the signature holds, so that nobody but the holder uses one up."""
    received = ReceivedSignature.parse(request)
    token = request.field(CREDENTIAL_FIELD)
    if token is None:
        raise HttpRefused(HttpReason.CREDENTIAL_MISSING)
    credential = _credential(token, context)
    received.verify(request, credential.agent_key)
    require(received.audience == context.audience, HttpReason.WRONG_AUDIENCE)
    until = received.check_time(context.now, context.started_at)
    try:
        replay.remember(credential.spiffe_id, received.nonce, until, context.now)
    except Refused:
        raise HttpRefused(HttpReason.REPLAY) from None
    field = request.field(DELEGATION_FIELD)
    chain = None if field is None else _delegation(field, credential, context)
    return PresentedRequest(credential, chain, received.nonce, received.created)


def _credential(token: str, context: HttpContext) -> VerifiedWit:
    domain = spiffe_id.trust_domain(context.peer)
    bundle = next((known for known in context.wits if known.trust_domain == domain), None)
    try:
        if bundle is None:
            raise WitRefused(WitReason.WRONG_TRUST_DOMAIN)
        credential = verify_wit(token, bundle, context.now)
    except WitRefused as refusal:
        if refusal.reason is WitReason.EXPIRED:
            raise HttpRefused(HttpReason.CREDENTIAL_EXPIRED) from None
        raise HttpRefused(HttpReason.CREDENTIAL, refusal) from None
    require(credential.spiffe_id == context.peer, HttpReason.HOLDER_MISMATCH)
    return credential


def _delegation(field: str, credential: VerifiedWit, context: HttpContext) -> VerifiedChain:
    read = read_delegation(field)
    links = context.referenced(read) if isinstance(read, str) else read
    if links is None:
        raise HttpRefused(HttpReason.UNKNOWN_REFERENCE)
    try:
        chain = verify_chain(links, context.chains)
    except Refused as refusal:
        raise HttpRefused(HttpReason.CHAIN, refusal) from None
    is_holder = chain.leaf_subject == context.peer and chain.leaf_key == credential.agent_key
    require(is_holder, HttpReason.HOLDER_MISMATCH)
    return chain
