"""``python -m chancery_verify chain``: one chain, and what comes with it."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from . import base64url, files
from .chain.context import ChainContext
from .chain.scope import Scope, authorise
from .chain.verified import VerifiedChain
from .chain.verify import verify_chain
from .consent import verify_consent
from .proof.replay import ReplayMemory
from .proof.verify import ProofContext, verify_proof
from .reason import Refused
from .revocation.set import RevocationSet
from .rules.breach import RulesBroken
from .rules.chain_rules import ChainRules
from .rules.level import AttestationLevel
from .timestamp import Timestamp, from_seconds
from .webauthn.errors import ConsentRefused

Answer = dict[str, Any]


def add_to(commands: Any) -> None:
    """Adds the command to those of a parser."""
    chain = commands.add_parser("chain", help="verify one chain, and what comes with it")
    chain.set_defaults(run=run)
    add = chain.add_argument
    add("chain", type=Path, help="the links: a JSON array, or joined by commas; - is stdin")
    add(
        "--anchor",
        action="append",
        required=True,
        metavar="ISSUER=FILE",
        help="an authority that is believed, and the file of its JWK; may be repeated",
    )
    add("--audience", required=True, help="who verifies: the name that the chain is meant for")
    add("--epoch", type=int, help="the authorities' epoch; needed unless --revocations says it")
    add("--now", type=int, help="seconds since the epoch; without it, the machine's clock")
    add(
        "--revocations",
        type=Path,
        metavar="FILE",
        help="what is revoked: a list of {kind, id, at}, or what `chancery --format json revoke list` prints",
    )
    add(
        "--revoked",
        action="append",
        default=[],
        metavar="KIND=ID",
        help="what is revoked: token, session, mission, agent, instance, person or key; may be repeated",
    )
    add("--rules", type=Path, metavar="FILE", help="the operator's rules for chains: delegation.json")
    levels = [level.value for level in AttestationLevel]
    add("--level", choices=levels, help="what vouches for the leaf's holder; goes with --rules")
    add("--consent", type=Path, help="the consent artefact of the root")
    add("--credential", type=Path, help="the person's credential; goes with --consent")
    add("--request", type=Path, help="a call: {server, tool | uri | prompt, args}")
    add("--proof", type=Path, help="the proof of possession that came with the call")
    add("--peer", help="the SPIFFE ID at the other end; goes with --request")


def run(options: argparse.Namespace) -> int:
    """Prints the verdict as JSON and returns the exit code."""
    _check_usage(options)
    context = _context(options)
    links = files.chain(options.chain)
    rules = None if options.rules is None else files.rules(options.rules)
    try:
        answer = _judge(verify_chain(links, context), rules, options, context)
    except Refused as refusal:
        answer = {"verdict": "reject", "reason": refusal.reason.value, "link": refusal.link}
        if refusal.revoked is not None:
            answer["revoked"] = refusal.revoked.value
    except RulesBroken as broken:
        answer = {"verdict": "reject", "reason": broken.reason.value, "link": broken.link}
    except ConsentRefused as refusal:
        answer = {"verdict": "reject", "reason": "consent_invalid", "flaw": refusal.flaw.value}
    print(json.dumps(answer, indent=2))
    return 0 if answer["verdict"] == "accept" else 1


def _check_usage(options: argparse.Namespace) -> None:
    if (options.consent is None) != (options.credential is None):
        raise ValueError("--consent and --credential go together")
    if (options.request is None) != (options.peer is None):
        raise ValueError("--request and --peer go together: who stands at the other end of the call")
    if options.level is not None and options.rules is None:
        raise ValueError("--level goes with --rules")
    if options.proof is not None and options.request is None:
        raise ValueError("--proof goes with --request: the call that it is for")


def _context(options: argparse.Namespace) -> ChainContext:
    revoked, epoch = ([], None) if options.revocations is None else files.revocations(options.revocations)
    if options.epoch is not None:
        if epoch is not None and epoch != options.epoch:
            raise ValueError(f"--epoch {options.epoch}: {options.revocations} says {epoch}")
        epoch = options.epoch
    if epoch is None:
        raise ValueError("--epoch is missing: the authorities' epoch, which a fresh deployment begins with 1")
    return ChainContext(
        now=from_seconds(int(time.time()) if options.now is None else options.now),
        audience=options.audience,
        anchors=tuple(map(files.anchor, options.anchor)),
        epoch=epoch,
        revoked=RevocationSet.of([*revoked, *map(files.revoked, options.revoked)]),
    )


def _judge(
    chain: VerifiedChain,
    rules: ChainRules | None,
    options: argparse.Namespace,
    context: ChainContext,
) -> Answer:
    if rules is not None:
        if options.level is not None:
            rules.check_level(AttestationLevel(options.level))
        rules.check_chain(chain)
    answer: Answer = {"verdict": "accept", **_described(chain)}
    if options.consent is not None:
        credential = files.credential(options.credential)
        consent = verify_consent(chain, files.data(options.consent), credential)
        answer["consent"] = {"credential_id": consent.assertion.credential_id}
    if options.request is not None:
        answer["call"], stands = _call(chain, options, context)
        if not stands:
            answer |= {"verdict": "reject", "reason": "not_in_scope"}
    return answer


def _call(
    chain: VerifiedChain, options: argparse.Namespace, context: ChainContext
) -> tuple[Answer, bool]:
    call = files.call(options.request)
    proof = ProofContext(
        now=context.now,
        audience=options.audience,
        # One run remembers nothing: that the proof is used once is for whoever keeps a memory.
        started_at=Timestamp(0),
        peer=options.peer,
        call=call,
    )
    token = None if options.proof is None else files.proof(options.proof)
    verify_proof(token, chain, proof, ReplayMemory(1, 1))
    scope = authorise(chain, call)
    return _scope(scope), bool(scope.covers) and not scope.forbidden


def _scope(scope: Scope) -> Answer:
    named = {"forbidden": scope.forbidden, "asked": scope.asked}
    lists: Answer = {
        name: [{"link": found.link, "jti": found.jti, "entry": found.entry} for found in held]
        for name, held in named.items()
    }
    lists["covered"] = [
        {
            "link": found.link,
            "jti": found.jti,
            "entry": found.entry,
            "max_calls": found.limits.max_calls,
            "max_cost_micros": found.limits.max_cost_micros,
        }
        for found in scope.covers
    ]
    return lists


def _described(chain: VerifiedChain) -> Answer:
    person = chain.root.principal
    return {
        "authority": chain.links[0].grant.issuer,
        "session": chain.root.sid,
        "principal": {"iss": person.issuer, "sub": person.subject, "acr": person.acr},
        "mission_s256": base64url.encode(chain.root.mission),
        "holders": [link.grant.subject for link in chain.links],
        "jti": [link.jti for link in chain.links],
        "expires_at": chain.leaf.grant.expires_at // 1_000_000,
        "cth": base64url.encode(chain.digest),
    }
