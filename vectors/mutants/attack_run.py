"""Takes out the checks that the attacks of ``vectors/attacks.tsv`` meet, one by one and in a copy, and runs the tests
that the table names.

All mutants are built once, each behind a number that the environment names. Every edit is of one place that
must still stand there, so that a check that moved is found again by a person. Every mutant must fail a test of
each of its rows, and every test that a row of ours names must fail for some mutant of that row."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from attacks import MUTANTS
from attacks.edits import Edit, Mutant

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "vectors" / "attacks.tsv"
# What must have a test that fails without its check, unless it does not arise.
OURS = ("delegation", "proof", "issuance", "revocation")
# Longer than any test takes; one that hangs has noticed.
SECONDS = 240

SWITCH = """
/// Whether the mutant of that number is on.
#[allow(dead_code, clippy::allow_attributes, clippy::allow_attributes_without_reason)]
pub(crate) fn mutant(number: usize) -> bool {
    static ON: std::sync::LazyLock<usize> = std::sync::LazyLock::new(|| {
        std::env::var("MUTANT").ok().and_then(|on| on.parse().ok()).unwrap_or(0)
    });
    *ON == number
}
"""


@dataclass
class Row:
    part: str
    tests: list[str]
    remark: str
    felled: set[str] = field(default_factory=set)


@dataclass
class Binary:
    path: str
    crate: Path
    tests: list[str]


def rows() -> dict[str, Row]:
    found = {}
    for line in TABLE.read_text().splitlines():
        if not line.startswith("#"):
            name, part, _, tests, remark = line.split("\t")
            # Vectors have mutants of their own.
            own = [test for test in tests.split() if not test.startswith("vectors/")]
            found[name] = Row(part, own, remark)
    return found


def tests_of(mutant: Mutant, table: dict[str, Row]) -> list[str]:
    named = mutant.tests or [test for row in mutant.rows if row in table for test in table[row].tests]
    return list(dict.fromkeys(named))


def span(text: str, edit: Edit) -> tuple[int, int]:
    """Where the edit's text stands, or the end of the run."""
    near = edit.near or edit.old
    if text.count(near) != 1:
        sys.exit(f"{edit.file}: stands {text.count(near)} times, not once: {near!r}")
    if near.count(edit.old) != 1:
        sys.exit(f"{edit.file}: stands {near.count(edit.old)} times, not once, in {near!r}: {edit.old!r}")
    start = text.index(near) + near.index(edit.old)
    return start, start + len(edit.old)


def apply(file: str, text: str, wanted: Iterable[tuple[int, Edit]]) -> str:
    """The file with every edit made, each behind the numbers of its mutants."""
    places: dict[tuple[int, int], list[tuple[int, Edit]]] = {}
    for number, edit in wanted:
        places.setdefault(span(text, edit), []).append((number, edit))
    end = len(text)
    for (start, stop), edits in sorted(places.items(), reverse=True):
        if stop > end:
            sys.exit(f"{file}: two edits overlap at {text[start:stop]!r}")
        if len({edit.new for _, edit in edits}) > 1:
            sys.exit(f"{file}: two edits of one place: {text[start:stop]!r}")
        numbers = [number for number, _ in edits]
        on = " || ".join(f"crate::mutant({number})" for number in numbers)
        named = ", ".join(f'({number}, "{edit.arg}")' for number, edit in edits)
        new = edits[0][1].new
        new = re.sub(r"\bMUTFOR\((\w+)\)",
                     rf"[{named}].iter().any(|(number, armed)| crate::mutant(*number) && armed == \1)", new)
        new = re.sub(r"\bMUT\b", f"({on})" if len(numbers) > 1 else on, new)
        text = text[:start] + new + text[stop:]
        end = start
    return text


def library(file: str) -> str:
    """The file at the top of the crate that a source file belongs to."""
    crate = "/".join(file.split("/")[:2])
    return next(top for top in (f"{crate}/src/lib.rs", f"{crate}/src/main.rs") if (ROOT / top).exists())


def write(copy: Path) -> None:
    """Brings the copy to what stands here with all mutants in it; what has not changed is left alone."""
    tracked = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    edits: dict[str, list[tuple[int, Edit]]] = {}
    for number, mutant in enumerate(MUTANTS, 1):
        for edit in () if mutant.text else mutant.edits:
            edits.setdefault(edit.file, []).append((number, edit))
        for edit in mutant.edits if mutant.text else ():
            span((ROOT / edit.file).read_text(), edit)
    tops = {library(file) for file in edits}
    kept = {name for name in tracked if name and (ROOT / name).is_file()}
    for name in sorted(kept):
        content = (ROOT / name).read_bytes()
        if name in edits:
            content = apply(name, content.decode(), edits[name]).encode()
        if name in tops:
            content = b"#![allow(unused_parens)]\n" + content + SWITCH.encode()
        place = copy / name
        if not place.exists() or place.read_bytes() != content:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            place.chmod((ROOT / name).stat().st_mode)
    for place in copy.rglob("*.rs"):
        if str(place.relative_to(copy)) not in kept:
            place.unlink()


def build(copy: Path) -> dict[tuple[str, str], Binary]:
    """Every test binary, by its crate and target; the library is the target ``src``."""
    command = ["cargo", "test", "--workspace", "--no-run", "--message-format=json"]
    # CHANCERY_BUILD_WITH may name a program that queues builds.
    command = os.environ.get("CHANCERY_BUILD_WITH", "").split() + command
    # A folder of its own: cargo would take what is built here for what stands in the checkout.
    env = {**os.environ, "CARGO_TARGET_DIR": str(copy.parent / "target")}
    built = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, text=True, env=env)
    messages = [json.loads(line) for line in built.stdout.splitlines() if line[:1] == "{"]
    if built.returncode:
        for message in messages:
            if message.get("reason") == "compiler-message" and message["message"]["level"] == "error":
                print(message["message"]["rendered"], file=sys.stderr)
        sys.exit("the mutants do not compile")
    binaries = {}
    for message in messages:
        if message.get("executable") and message["profile"]["test"]:
            crate = Path(message["manifest_path"]).parent
            target = message["target"]
            name = target["name"] if "test" in target["kind"] else "src"
            listed = subprocess.run([message["executable"], "--list", "--format", "terse"],
                                    cwd=crate, capture_output=True, text=True, check=True).stdout
            tests = [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]
            known = binaries.setdefault((crate.name, name), Binary(message["executable"], crate, tests))
            if not known.tests:
                known.path, known.tests = message["executable"], tests
    return binaries


def find(test: str, binaries: dict[tuple[str, str], Binary]) -> tuple[Binary, str]:
    """The binary of a test of the table, and its name there."""
    path, function = test.split("::")
    crate, folder, *rest = path.split("/")
    target = "src" if folder == "src" else rest[0].removesuffix(".rs")
    binary = binaries[(crate, target)]
    names = [name for name in binary.tests if name.rsplit("::", 1)[-1] == function]
    if len(names) > 1:
        # `entry_tests.rs` holds the tests of `entry.rs`.
        stem = path.removesuffix(".rs").removesuffix("_tests").split("/")[-1]
        names = [name for name in names if f"::{stem}::" in f"::{name}"]
    if len(names) != 1:
        sys.exit(f"{test}: found {names}")
    return binary, names[0]


def fails(tests: list[str], binaries: dict[tuple[str, str], Binary], number: int) -> set[str]:
    """Which of the tests fail while that mutant is on: each in a process of its own, as the test command runs them."""
    failed: set[str] = set()
    for test in tests:
        binary, name = find(test, binaries)
        env = {**os.environ, "MUTANT": str(number), "RUST_BACKTRACE": "0", "CARGO_MANIFEST_DIR": str(binary.crate)}
        running = subprocess.Popen([binary.path, "--exact", name], cwd=binary.crate, env=env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            output, _ = running.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            output, _ = running.communicate()
        if running.returncode:
            failed.add(test)
            if number == 0:
                print(output, file=sys.stderr)
        elif "1 passed" not in output:
            sys.exit(f"{test}: not run: {output}")
    return failed


def texts(mutant: Mutant, copy: Path) -> Iterator[None]:
    """Makes the edits of a mutant that is not built, and unmakes them."""
    before = {edit.file: (copy / edit.file).read_text() for edit in mutant.edits}
    for edit in mutant.edits:
        original = (ROOT / edit.file).read_text()
        start, stop = span(original, edit)
        (copy / edit.file).write_text(original[:start] + edit.new + original[stop:])
    yield
    for file, text in before.items():
        (copy / file).write_text(text)


def table_of(results: list[tuple[Mutant, set[str]]], table: dict[str, Row]) -> str:
    lines = [
        "# Checks that attacks meet, and the tests that fail when one is gone",
        "",
        "Written by `vectors/mutants/run.py attacks --write`. Each check is taken out alone, in a copy; a row's tests, or those that the",
        "check names, are run. The rows are those of [the attacks](../../docs/reference/attacks.md), or the part that the check belongs to.",
        "",
        "| row | check | where | tests that fail |",
        "| --- | --- | --- | --- |",
    ]
    for mutant, failed in results:
        where = "<br>".join(dict.fromkeys(f"`{edit.file.removeprefix('crates/').replace('/src/', '/')}`" for edit in mutant.edits))
        shown = "<br>".join(f"`{test.split('/')[0]}::{test.split('::')[1]}`" for test in sorted(failed)) or "**none**"
        lines.append(f"| {' '.join(mutant.rows)} | {mutant.name} | {where} | {shown} |")
    return "\n".join(lines) + "\n"


def run(only: str) -> tuple[int, str]:
    """Runs them; the number of faults and the table."""
    table = rows()
    for mutant in MUTANTS:
        unknown = [row for row in mutant.rows if re.fullmatch(r"[A-Z]\d\d", row) and row not in table]
        named = set(tests_of(mutant, table))
        apart = [row for row in mutant.rows if row in table and not named & set(table[row].tests)]
        if unknown or apart or not named:
            sys.exit(f"{mutant.name}: unknown rows {unknown}, rows that do not name its tests {apart}, or no tests")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    copy = target / "mutants" / "chancery"
    write(copy)
    binaries = build(copy)
    chosen = [(number, mutant) for number, mutant in enumerate(MUTANTS, 1)
              if not only or re.search(only, " ".join([*mutant.rows, mutant.name, *tests_of(mutant, table)]))]
    every = list(dict.fromkeys(test for _, mutant in chosen for test in tests_of(mutant, table)))
    already = fails(every, binaries, 0)
    if already and fails(sorted(already), binaries, 0):
        sys.exit(f"without a mutant: {sorted(already)}")
    faults, results = 0, []
    for number, mutant in chosen:
        begun, tests = time.monotonic(), tests_of(mutant, table)
        made = texts(mutant, copy) if mutant.text else iter(())
        next(made, None)
        failed = fails(tests, binaries, number)
        next(made, None)
        results.append((mutant, failed))
        survived = [] if failed else ["all"]
        for row in (row for row in mutant.rows if row in table):
            felled = failed & set(table[row].tests)
            table[row].felled |= felled
            if not felled:
                survived.append(row)
        took = time.monotonic() - begun
        print(f"{'SURVIVED' if survived else 'killed'} {' '.join(mutant.rows)}: {mutant.name} "
              f"({len(failed)} of {len(tests)}, {took:.1f} s) {' '.join(survived)}", flush=True)
        faults += bool(survived)
    if not only:
        for name, row in table.items():
            excused = row.remark.startswith(("does not arise: ", "open: ")) and not row.tests
            loose = [test for test in row.tests if test not in row.felled]
            if row.part in OURS and not excused and loose:
                faults += 1
                print(f"NAMED TOO LOOSELY {name}: {' '.join(loose)}")
    killed = sum(bool(failed) for _, failed in results)
    print(f"{len(results)} checks taken out, {killed} noticed, {faults} faults")
    return faults, table_of(results, table)
