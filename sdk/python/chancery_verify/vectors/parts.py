"""Judges keys, constraints and canonical forms by themselves."""

from __future__ import annotations

from typing import Any

from .. import base64url
from ..canonical import CanonicalError, to_jcs
from ..jwk import Jwk, JwkError
from ..reason import Reason, Refused
from ..strict_json import StrictJsonError, parse_strict, parse_strict_with_floats
from ..token.constraint import Constraint
from ..token.entry import Entry

Verdict = dict[str, Any]


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
