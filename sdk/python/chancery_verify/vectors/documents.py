"""Judges documents by themselves: what is revoked, and the operator's rules."""

from __future__ import annotations

from typing import Any

from ..revocation.revocation import RevocationError
from ..revocation.set import RevocationSet
from ..rules.chain_rules import ChainRules
from ..rules.parse import RulesError

Verdict = dict[str, Any]

_OTHERWISE = 1_800


def judge_revocations(_: dict[str, Any], vector: dict[str, Any]) -> Verdict:
    """Judges what is revoked, as a snapshot holds it; ``digest`` is that of its canonical form."""
    try:
        found = RevocationSet.parse(_document(vector))
    except RevocationError:
        return {"expect": "malformed"}
    return {"expect": "accept", "digest": found.digest()}


def judge_rules(_: dict[str, Any], vector: dict[str, Any]) -> Verdict:
    """Judges rules for chains; the seconds are how long a root and a link live by default where
    without rules they would live half an hour."""
    try:
        rules = ChainRules.parse(_document(vector))
    except RulesError:
        return {"expect": "malformed"}
    return {
        "expect": "accept",
        "root_seconds": rules.root.by_default(_OTHERWISE),
        "link_seconds": rules.link.by_default(_OTHERWISE),
    }


def _document(vector: dict[str, Any]) -> bytes:
    """The document: ``json``, where ``repeated`` says so with an item many times in the place of
    ``@``, numbered in the place of ``#####``, and with spaces behind it up to ``bytes``."""
    text: str = vector["json"]
    if "repeated" in vector:
        item, times = vector["repeated"]["item"], vector["repeated"]["times"]
        text = text.replace(
            "@", ",".join(item.replace("#####", f"{number:05}") for number in range(times))
        )
    return text.encode("utf-8").ljust(vector.get("bytes", 0))
