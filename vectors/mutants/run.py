#!/usr/bin/env python3
"""Takes each check out of a verifier, one by one and in a copy, and says which vectors notice.

    vectors/mutants/run.py python           needs cryptography; about two minutes
    vectors/mutants/run.py rust             needs cargo; builds the copy once, then about two minutes
    vectors/mutants/run.py attacks          the same for the tests that vectors/attacks.tsv names; a quarter of an hour
    vectors/mutants/run.py places           only whether every check still stands where it is looked for; builds nothing

Exit code 1 where a check is missed by every vector, or by the tests of its row. With ``--write`` the table
beside this file is written anew; with ``--only PATTERN`` only checks in files whose path it matches run, of the
attacks those whose row, name or tests it matches.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attack_run
import python
import rust

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

Caught = tuple[str, str, list[str]]


def replaced(text: str, old: str, new: str, where: str) -> str:
    """The text with its one place changed; a check that moved must be found again by a person."""
    if text.count(old) != 1:
        sys.exit(f"{where}: stands {text.count(old)} times, not once: {old!r}")
    return text.replace(old, new)


def run_python(only: str) -> Iterator[Caught]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "python"
        shutil.copytree(ROOT / "sdk" / "python", copy)
        for file, old, new, name in python.MUTANTS:
            if not re.search(only, file):
                continue
            path = copy / file
            text = path.read_text()
            path.write_text(replaced(text, old, new, file))
            done = subprocess.run(
                [sys.executable, "-B", "-m", "chancery_verify", "vectors", str(ROOT / "vectors")],
                cwd=copy,
                capture_output=True,
                text=True,
            )
            path.write_text(text)
            if done.stdout:
                ids = [wrong["id"] for wrong in json.loads(done.stdout)["wrong"]]
            else:
                ids = [f"the program failed: {done.stderr.strip().splitlines()[-1]}"]
            yield name, file.removeprefix("chancery_verify/"), ids


def check_places() -> int:
    """How many edits there are; the end of the run at the first whose place is gone."""
    for mutant in attack_run.MUTANTS:
        for edit in mutant.edits:
            attack_run.span((ROOT / edit.file).read_text(), edit)
    for file, old, new, _ in rust.MUTANTS:
        replaced((ROOT / file).read_text(), old, new, file)
    for file, old, new, _ in python.MUTANTS:
        replaced((ROOT / "sdk" / "python" / file).read_text(), old, new, file)
    attacks = sum(len(mutant.edits) for mutant in attack_run.MUTANTS)
    return attacks + len(rust.MUTANTS) + len(python.MUTANTS)


def mutate_rust(copy: Path) -> list[tuple[str, str]]:
    """Builds every mutant into the copy, behind a number that the environment names."""
    mutants: list[tuple[str, str]] = []
    for file, old, new, names in rust.MUTANTS:
        krate = "crate" if file.startswith(rust.T) else "chancery_types"
        for place in range(len(names)):
            number = len(mutants) + 1
            new = re.sub(rf"\bM{place}\b", f"{krate}::mutant({number})", new)
            mutants.append((names[place], file))
        path = copy / file
        path.write_text(replaced(path.read_text(), old, new, file))
    library = copy / rust.T / "lib.rs"
    library.write_text(
        library.read_text()
        + "\n/// Whether the mutant of that number is on.\n"
        + "pub fn mutant(number: usize) -> bool {\n"
        + "    static ON: std::sync::LazyLock<usize> = std::sync::LazyLock::new(|| {\n"
        + '        std::env::var("MUTANT").ok().and_then(|on| on.parse().ok()).unwrap_or(0)\n'
        + "    });\n    *ON == number\n}\n"
    )
    return mutants


def run_rust(only: str) -> Iterator[Caught]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "chancery"
        subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(copy)], check=True)
        mutants = mutate_rust(copy)
        command = ["cargo", "test", "--package", "chancery-delegation", "--test", "vectors"]
        # CHANCERY_BUILD_WITH may name a program that queues builds.
        command = os.environ.get("CHANCERY_BUILD_WITH", "").split() + command
        built = subprocess.run(
            [*command, "--no-run", "--message-format=json"],
            cwd=copy,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        messages = (json.loads(line) for line in built.stdout.splitlines() if line[:1] == "{")
        tests = [message["executable"] for message in messages if message.get("executable")]
        for number in range(len(mutants) + 1):
            if number and not re.search(only, mutants[number - 1][1]):
                continue
            done = subprocess.run(
                [tests[-1], "--exact", "every_vector_gets_its_verdict"],
                cwd=copy / "crates" / "delegation",
                capture_output=True,
                text=True,
                env={**os.environ, "MUTANT": str(number), "RUST_BACKTRACE": "0"},
            )
            ids = re.findall(r'^ +"([a-z_]+-\d{3}-[^:]*): ', done.stdout, re.MULTILINE)
            if done.returncode and not ids:
                ids = ["the program failed"]
            if number == 0:
                assert not ids, f"without a mutant: {ids}"
                continue
            name, file = mutants[number - 1]
            yield name, file.removeprefix("crates/").replace("/src/", "/"), ids


def table(language: str, found: list[Caught]) -> str:
    lines = [
        f"# Checks of the {language.capitalize()} verifier, and the vectors that notice when one is gone",
        "",
        f"Written by `vectors/mutants/run.py {language} --write`. Each check is taken out alone, in a copy.",
        "",
        "| check | where | vectors | the first of them |",
        "| --- | --- | --- | --- |",
    ]
    for name, file, ids in found:
        first = f"`{ids[0]}`" if ids else "**none**"
        lines.append(f"| {name} | `{file}` | {len(ids)} | {first} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("language", choices=["python", "rust", "attacks", "places"])
    parser.add_argument("--write", action="store_true", help="write the table anew")
    parser.add_argument("--only", default="", metavar="PATTERN", help="only checks in these files, or these attacks")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write needs every check")
    if options.language == "places":
        print(f"{check_places()} checks stand where they are looked for")
        return 0
    if options.language == "attacks":
        faults, page = attack_run.run(options.only)
        if options.write:
            (HERE / "attacks.md").write_text(page)
        return 1 if faults else 0
    found: list[Caught] = []
    for caught in {"python": run_python, "rust": run_rust}[options.language](options.only):
        found.append(caught)
        print(f"{len(found)}: {caught[0]}: {len(caught[2])}", file=sys.stderr, flush=True)
        if not caught[2]:
            print(f"missed: {caught[0]} ({caught[1]})", flush=True)
    if options.write:
        (HERE / f"{options.language}.md").write_text(table(options.language, found))
    missed = sum(not ids for _, _, ids in found)
    print(f"{len(found)} checks of the {options.language} verifier taken out, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
