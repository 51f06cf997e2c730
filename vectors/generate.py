#!/usr/bin/env python3
"""Writes the vectors beside this file, or with ``--check`` says whether they are what it writes.

Needs Python 3.11 and ``cryptography``. Every key has a fixed seed and every signature is
deterministic, so that the same files are written everywhere.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from writer import (
    calls,
    canonical,
    claims,
    consents,
    constraints,
    entries,
    headers,
    keys_file,
    linkage,
    order,
    payloads,
    proofs,
    requests,
    revocation_sets,
    revocations,
    rule_documents,
    rules,
    sizes,
    standing,
)
from writer.files import File

HERE = Path(__file__).resolve().parent


def files() -> list[File]:
    """Every file, in the order of a verifier's work."""
    parts = (sizes, headers, payloads, claims, linkage, entries, order, proofs, calls)
    return (
        [part.write() for part in (*parts, consents, standing)]
        + keys_file.write()
        + [constraints.write(), canonical.write()]
        + [part.write() for part in (revocations, rules, revocation_sets, rule_documents, requests)]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    made = {f"{file.name}.json": file for file in files()}
    ids = [vector["id"] for file in made.values() for vector in file.vectors]
    slugs = [
        (file.name, vector["id"].split("-", 2)[-1])
        for file in made.values()
        for vector in file.vectors
    ]
    twice = {slug for slug in slugs if slugs.count(slug) > 1}
    assert not twice, twice
    wrong = [path.name for path in HERE.glob("*.json") if path.name not in made]
    for name, file in made.items():
        path = HERE / name
        if not check:
            path.write_text(file.text(), encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != file.text():
            wrong.append(name)
    for name in wrong:
        print(f"{name}: not what generate.py writes; run vectors/generate.py", file=sys.stderr)
    print(f"{len(ids)} vectors in {len(made)} files")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
