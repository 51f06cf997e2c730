"""Runs vectors: what the repository's ``vectors`` folder describes, and files of the same formats
by others. Files are read with an ordinary JSON reader; what is under test stands in texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import base64url
from .canonical import CanonicalError, to_jcs
from .chain.context import ChainContext, TrustAnchor
from .chain.scope import authorise
from .chain.verified import VerifiedChain
from .chain.verify import verify_chain
from .consent import verify_consent
from .jwk import Jwk, JwkError
from .proof.replay import ReplayMemory
from .proof.verify import ProofContext, verify_proof
from .reason import Reason, Refused
from .strict_json import StrictJsonError, parse_strict, parse_strict_with_floats
from .timestamp import from_seconds, plus_seconds
from .token.arguments import read_arguments
from .token.call import KINDS, Call
from .token.constraint import Constraint
from .token.entry import Entry
from .webauthn.assertion import Credential
from .webauthn.errors import ConsentRefused

Verdict = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """One vector with its verdict; ``wrong`` names the members that differ from what it states."""

    file: str
    id: str
    verdict: Verdict
    wrong: tuple[str, ...]


def run(paths: list[Path]) -> Iterator[Outcome]:
    """Judges every vector of the files, and of the JSON files below the folders."""
    for path in paths:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        for file in files:
            document = json.loads(file.read_bytes())
            judge = _JUDGES.get(str(document.get("format"))) if isinstance(document, dict) else None
            if judge is None:
                if path.is_dir():
                    continue
                raise ValueError(f"{file}: not a file of vectors")
            for vector in document["vectors"]:
                verdict = judge(document.get("context", {}), vector)
                yield Outcome(str(file), vector["id"], verdict, _wrong(verdict, vector))


def _wrong(verdict: Verdict, vector: dict[str, Any]) -> tuple[str, ...]:
    stated = ("expect", "reason", "link", "flaw", "covered", "forbidden", "asked", "is", "digest")
    return tuple(name for name in stated if name in vector and verdict.get(name) != vector[name])


def judge_chain(defaults: dict[str, Any], vector: dict[str, Any]) -> Verdict:
    """Judges a chain, and where they are there its consent, its proof and its call."""
    context = {**defaults, **vector.get("context", {})}
    verdict: Verdict = {"expect": "accept", "reason": None, "link": None}
    try:
        chain = verify_chain(vector["chain"], _context(context))
        if vector.get("consent") is not None:
            _consent(chain, vector["consent"])
        if vector.get("request") is not None:
            verdict |= _call(chain, context, vector)
    except Refused as refusal:
        verdict |= {"expect": "reject", "reason": refusal.reason.value, "link": refusal.link}
    except ConsentRefused as refusal:
        verdict |= {"expect": "reject", "reason": "consent_invalid", "flaw": refusal.flaw.value}
    return verdict


def _context(context: dict[str, Any]) -> ChainContext:
    revoked = frozenset(context["revoked_jti"])
    anchors = context.get("anchors") or [
        {"issuer": context["authority"], "jwk": key} for key in context["trust_anchors"]
    ]
    return ChainContext(
        now=from_seconds(context["now"]),
        audience=context["audience"],
        anchors=tuple(TrustAnchor(one["issuer"], Jwk.parse(one["jwk"])) for one in anchors),
        epoch=context["current_epoch"],
        revoked=revoked.__contains__,
    )


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


def judge_key(_: dict[str, Any], vector: dict[str, Any]) -> Verdict:
    """Judges a key by itself; ``is`` is its thumbprint."""
    try:
        key = Jwk.parse(parse_strict(vector["jwk"].encode("utf-8")))
        accepted = key.is_on_curve()
    except (JwkError, StrictJsonError):
        accepted = False
    if not accepted:
        return {"expect": Reason.BAD_KEY.value}
    return {"expect": "accept", "is": key.kid()}


def judge_constraint(_: dict[str, Any], vector: dict[str, Any]) -> Verdict:
    """Judges a constraint, and its child or a value."""
    try:
        constraint = _read(vector["constraint"])
        if "child" in vector:
            narrows = constraint.subsumes(_read(vector["child"]))
            return {"expect": "accept" if narrows else Reason.SCOPE_ESCALATION.value}
    except Refused as refusal:
        return {"expect": refusal.reason.value}
    args = {"value": vector["value"]} if "value" in vector else {}
    return {"expect": constraint.judge(args, "value").name.lower()}


def _read(constraint: Any) -> Constraint:
    entry = {"type": "mcp_tool", "server": "s", "tool": "t", "args": {"a": constraint}}
    return Entry.parse(entry).args["a"]


def judge_canonical(_: dict[str, Any], vector: dict[str, Any]) -> Verdict:
    """Judges the canonical form of arguments; ``is`` is the form."""
    try:
        value = parse_strict_with_floats(vector["json"].encode("utf-8"))
        canonical = to_jcs(value)
    except (StrictJsonError, CanonicalError):
        return {"expect": Reason.MALFORMED.value}
    digest = base64url.encode(base64url.sha256(canonical))
    return {"expect": "accept", "is": canonical.decode("utf-8"), "digest": digest}


_JUDGES = {
    "adt-vectors/1": judge_chain,
    "chancery-key-vectors/1": judge_key,
    "chancery-constraint-vectors/1": judge_constraint,
    "chancery-canonical-vectors/1": judge_canonical,
}
