"""Runs vectors: what the repository's ``vectors`` folder describes, and files of the same formats
by others. Files are read with an ordinary JSON reader; what is under test stands in texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .chain import judge_chain
from .documents import judge_revocations, judge_rules
from .parts import judge_canonical, judge_constraint, judge_key
from .requests import judge_request

Verdict = dict[str, Any]

_JUDGES = {
    "adt-vectors/1": judge_chain,
    "chancery-key-vectors/1": judge_key,
    "chancery-constraint-vectors/1": judge_constraint,
    "chancery-canonical-vectors/1": judge_canonical,
    "chancery-revocation-vectors/1": judge_revocations,
    "chancery-rules-vectors/1": judge_rules,
    "chancery-request-vectors/1": judge_request,
}

_STATED = (
    "expect",
    "reason",
    "cause",
    "link",
    "revoked",
    "flaw",
    "covered",
    "forbidden",
    "asked",
    "is",
    "digest",
    "root_seconds",
    "link_seconds",
)


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
    return tuple(name for name in _STATED if name in vector and verdict.get(name) != vector[name])
