"""Judges chains, and what comes with them."""

from __future__ import annotations

from typing import Any

from .. import base64url
from ..chain.context import ChainContext, TrustAnchor
from ..chain.scope import authorise
from ..chain.verified import VerifiedChain
from ..chain.verify import verify_chain
from ..consent import verify_consent
from ..jwk import Jwk
from ..proof.replay import ReplayMemory
from ..proof.verify import ProofContext, verify_proof
from ..reason import Reason, Refused
from ..revocation.kind import RevocationKind
from ..revocation.revocation import Revocation
from ..revocation.set import RevocationSet
from ..rules.breach import RulesBroken
from ..rules.chain_rules import ChainRules
from ..rules.level import AttestationLevel
from ..timestamp import from_seconds, plus_seconds
from ..token.arguments import read_arguments
from ..token.call import KINDS, Call
from ..webauthn.assertion import Credential
from ..webauthn.errors import ConsentRefused

Verdict = dict[str, Any]


def judge_chain(defaults: dict[str, Any], vector: dict[str, Any]) -> Verdict:
    """Judges a chain, and where they are there the rules, its consent, its proof and its call."""
    context = {**defaults, **vector.get("context", {})}
    verdict: Verdict = {"expect": "accept", "reason": None, "link": None}
    try:
        chain = verify_chain(vector["chain"], context_of(context))
        if "rules" in vector:
            _rules(chain, vector)
        if vector.get("consent") is not None:
            _consent(chain, vector["consent"])
        if vector.get("request") is not None:
            verdict |= _call(chain, context, vector)
    except Refused as refusal:
        verdict |= {"expect": "reject", "reason": refusal.reason.value, "link": refusal.link}
        if refusal.revoked is not None:
            verdict["revoked"] = refusal.revoked.value
    except RulesBroken as broken:
        verdict |= {"expect": "reject", "reason": broken.reason.value, "link": broken.link}
    except ConsentRefused as refusal:
        verdict |= {"expect": "reject", "reason": "consent_invalid", "flaw": refusal.flaw.value}
    return verdict


def context_of(context: dict[str, Any]) -> ChainContext:
    """What a chain is verified against."""
    tokens = (Revocation.of(RevocationKind.TOKEN, jti) for jti in context.get("revoked_jti", []))
    revoked = RevocationSet.of([*tokens, *map(Revocation.read, context.get("revoked", []))])
    anchors = context.get("anchors") or [
        {"issuer": context["authority"], "jwk": key} for key in context["trust_anchors"]
    ]
    return ChainContext(
        now=from_seconds(context["now"]),
        audience=context["audience"],
        anchors=tuple(TrustAnchor(one["issuer"], Jwk.parse(one["jwk"])) for one in anchors),
        epoch=context["current_epoch"],
        revoked=revoked,
    )


def _rules(chain: VerifiedChain, vector: dict[str, Any]) -> None:
    rules = ChainRules.parse(vector["rules"].encode("utf-8"))
    if "level" in vector:
        rules.check_level(AttestationLevel(vector["level"]))
    rules.check_chain(chain)


def _consent(chain: VerifiedChain, consent: dict[str, Any]) -> None:
    known = consent["credential"]
    credential = Credential(
        credential_id=known["credential_id"],
        key=Jwk.parse(known["jwk"]),
        rp_id=known["rp_id"],
        origin=known["origin"],
        last_counter=known.get("last_counter"),
    )
    verify_consent(chain, base64url.decode(consent["artefact"]), credential)


def _call(chain: VerifiedChain, context: dict[str, Any], vector: dict[str, Any]) -> Verdict:
    now = from_seconds(context["now"])
    call = _request(vector["request"])
    replay = ReplayMemory(64, 64)
    for jti in context["seen_nonces"]:
        replay.remember(chain.leaf_subject, jti, plus_seconds(now, 60), now)
    started_at = context.get("started_at", context["now"] - 3_600)
    proof = ProofContext(
        now=now,
        audience=context["audience"],
        started_at=from_seconds(started_at),
        peer=vector.get("peer_spiffe_id", ""),
        call=call,
    )
    verify_proof(vector.get("pop"), chain, proof, replay)
    scope = authorise(chain, call)
    verdict: Verdict = {
        "covered": [[found.link, found.entry] for found in scope.covers],
        "forbidden": [[found.link, found.entry] for found in scope.forbidden],
        "asked": [[found.link, found.entry] for found in scope.asked],
    }
    if not scope.covers or scope.forbidden:
        verdict |= {"expect": "reject", "reason": Reason.NOT_IN_SCOPE.value}
    return verdict


def _request(request: dict[str, Any]) -> Call:
    if "args_json" in request:
        args = read_arguments(request["args_json"].encode("utf-8"))
    else:
        args = request.get("args", {})
    for kind, named in KINDS.items():
        if named in request:
            return Call(request["server"], request[named], args, kind)
    raise ValueError("a request names a tool, uri or prompt")
