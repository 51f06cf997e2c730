"""Judges signed requests."""

from __future__ import annotations

from typing import Any

from .. import base64url, digest
from ..http_signature.errors import HttpRefused
from ..http_signature.presentation import HttpContext, verify_presentation
from ..http_signature.request import HttpRequest
from ..jwk import Jwk
from ..proof.replay import ReplayMemory
from ..reason import Refused
from ..timestamp import from_seconds, plus_seconds
from ..wit import WitBundle
from .chain import context_of

Verdict = dict[str, Any]


def judge_request(defaults: dict[str, Any], vector: dict[str, Any]) -> Verdict:
    """Judges a signed request; ``cause`` says why its credential or its chain is refused."""
    context = {**defaults, **vector.get("context", {})}
    given = vector["request"]
    fields = [(name, value) for name, value in given["fields"]]
    body = base64url.decode(given["body"])
    request = HttpRequest(given["method"], given["target"], fields, body)
    now = from_seconds(context["now"])
    replay = ReplayMemory(64, 64)
    for nonce in context["seen_nonces"]:
        replay.remember(vector["peer_spiffe_id"], nonce, plus_seconds(now, 60), now)
    try:
        verify_presentation(request, _context(context, vector["peer_spiffe_id"]), replay)
    except HttpRefused as refusal:
        verdict = {"expect": "reject", "reason": refusal.reason.value}
        if refusal.cause is not None:
            verdict["cause"] = refusal.cause.reason.value
        if isinstance(refusal.cause, Refused):
            verdict["link"] = refusal.cause.link
        return verdict
    return {"expect": "accept", "reason": None}


def _context(context: dict[str, Any], peer: str) -> HttpContext:
    known = {digest.text(base64url.sha256(",".join(links).encode())): links for links in context["referenced"]}
    wits = [
        WitBundle(bundle["trust_domain"], tuple(map(Jwk.parse, bundle["keys"])))
        for bundle in context["wits"]
    ]
    return HttpContext(
        now=from_seconds(context["now"]),
        audience=context["audience"],
        started_at=from_seconds(context["started_at"]),
        peer=peer,
        wits=tuple(wits),
        chains=context_of({"now": context["now"], **context["chains"]}),
        referenced=known.get,
    )
