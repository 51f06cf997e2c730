"""``python -m chancery_verify``: chains and vectors from the command line. stdout is JSON.

Exit codes: 0 accepted or all as expected, 1 refused or not as expected, 2 usage or unreadable input.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from . import base64url
from .canonical import to_jcs
from .chain.context import ChainContext, TrustAnchor
from .chain.scope import Scope, authorise
from .chain.verified import VerifiedChain
from .chain.verify import verify_chain
from .consent import verify_consent
from .jwk import Jwk
from .proof.replay import ReplayMemory
from .proof.verify import ProofContext, verify_proof
from .reason import Refused
from .strict_json import parse_strict, parse_strict_with_floats
from .timestamp import Timestamp, from_seconds
from .token.arguments import read_arguments
from .token.call import KINDS, Call
from .vectors import run
from .webauthn.assertion import Credential
from .webauthn.errors import ConsentRefused


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"chancery_verify: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chancery_verify", description=__doc__)
    commands = parser.add_subparsers(required=True)
    chain = commands.add_parser("chain", help="verify one chain, and what comes with it")
    chain.set_defaults(run=_chain)
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
    add("--epoch", type=int, required=True, help="the authorities' epoch")
    add("--now", type=int, help="seconds since the epoch; without it, the machine's clock")
    add("--revoked", action="append", default=[], metavar="JTI", help="a revoked delegation")
    add("--consent", type=Path, help="the consent artefact of the root")
    add("--credential", type=Path, help="the person's credential; goes with --consent")
    add("--request", type=Path, help="a call: {server, tool | uri | prompt, args}")
    add("--proof", type=Path, help="the proof of possession that came with the call")
    add("--peer", default="", help="the SPIFFE ID at the other end; goes with --request")
    vectors = commands.add_parser("vectors", help="run files of vectors")
    vectors.set_defaults(run=_vectors)
    vectors.add_argument("paths", type=Path, nargs="+", help="files, or folders of JSON files")
    vectors.add_argument("--verdicts", action="store_true", help="print each verdict, one a line")
    return parser


def _chain(options: argparse.Namespace) -> int:
    context = ChainContext(
        now=from_seconds(int(time.time()) if options.now is None else options.now),
        audience=options.audience,
        anchors=tuple(map(_anchor, options.anchor)),
        epoch=options.epoch,
        revoked=frozenset(options.revoked).__contains__,
    )
    links = _links(_read(options.chain).decode("utf-8"))
    if (options.consent is None) != (options.credential is None):
        raise ValueError("--consent and --credential go together")
    try:
        verified = verify_chain(links, context)
        answer = {"verdict": "accept", **_described(verified)}
        if options.consent is not None:
            credential = _credential(options.credential)
            consent = verify_consent(verified, _read(options.consent), credential)
            answer["consent"] = {"credential_id": consent.assertion.credential_id}
        if options.request is not None:
            answer["call"], stands = _call(verified, options, context)
            answer["verdict"] = "accept" if stands else "reject"
            if not stands:
                answer["reason"] = "not_in_scope"
    except Refused as refusal:
        answer = {"verdict": "reject", "reason": refusal.reason.value, "link": refusal.link}
    except ConsentRefused as refusal:
        answer = {"verdict": "reject", "reason": "consent_invalid", "flaw": refusal.flaw.value}
    print(json.dumps(answer, indent=2))
    return 0 if answer["verdict"] == "accept" else 1


def _call(
    chain: VerifiedChain, options: argparse.Namespace, context: ChainContext
) -> tuple[dict[str, Any], bool]:
    request = parse_strict_with_floats(_read(options.request))
    kind = next(kind for kind, named in KINDS.items() if named in request)
    args = read_arguments(to_jcs(request.get("args", {})))
    call = Call(request["server"], request[KINDS[kind]], args, kind)
    proof = ProofContext(
        now=context.now,
        audience=options.audience,
        # One run remembers nothing: that the proof is used once is for whoever keeps a memory.
        started_at=Timestamp(0),
        peer=options.peer,
        call=call,
    )
    token = None if options.proof is None else _read(options.proof).decode("utf-8").strip()
    verify_proof(token, chain, proof, ReplayMemory(1, 1))
    scope = authorise(chain, call)
    return _scope(scope), bool(scope.covers) and not scope.forbidden


def _scope(scope: Scope) -> dict[str, Any]:
    named = {"forbidden": scope.forbidden, "asked": scope.asked}
    lists: dict[str, Any] = {
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


def _described(chain: VerifiedChain) -> dict[str, Any]:
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


def _vectors(options: argparse.Namespace) -> int:
    judged, wrong = 0, []
    for outcome in run(options.paths):
        judged += 1
        if options.verdicts:
            print(json.dumps({"id": outcome.id, **outcome.verdict}))
        elif outcome.wrong:
            wrong.append({"file": outcome.file, "id": outcome.id, "found": outcome.verdict})
    if options.verdicts:
        return 0
    print(json.dumps({"judged": judged, "wrong": wrong}, indent=2))
    return 1 if wrong or not judged else 0


def _anchor(text: str) -> TrustAnchor:
    issuer, _, file = text.rpartition("=")
    if not issuer:
        raise ValueError("--anchor is ISSUER=FILE")
    return TrustAnchor(issuer, Jwk.parse(parse_strict(_read(Path(file)))))


def _credential(file: Path) -> Credential:
    known = parse_strict(_read(file))
    key = Jwk.parse(known["jwk"])
    return Credential(known["credential_id"], key, known["rp_id"], known["origin"])


def _links(text: str) -> list[str]:
    text = text.strip()
    if not text.startswith("["):
        return text.split(",")
    links = parse_strict(text.encode("utf-8"))
    if not all(isinstance(link, str) for link in links):
        raise ValueError("a chain is a list of texts")
    return list(links)


def _read(path: Path) -> bytes:
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
