"""How a check is taken out: edits of a source file, each of one place that must still stand there.

``MUT`` stands for "this mutant is on", ``MUTFOR(name)`` for "this mutant is on, and it is the one of that name".
All mutants are built at once, each behind its number; where several make the same edit, it is made once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """What stands in ``near`` (which stands once in the file) or in the file, and what stands there then."""

    file: str
    old: str
    new: str
    near: str | None = None
    arg: str = ""


@dataclass(frozen=True)
class Mutant:
    """A check taken out, the rows of ``vectors/attacks.tsv`` that rest on it, and the tests that must notice;
    without ``tests`` they are those that the rows name. ``text`` is for tests that read the sources."""

    rows: tuple[str, ...]
    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...] | None = None
    text: bool = False


def mutant(rows: str, name: str, *edits: Edit, tests: str = "", text: bool = False) -> Mutant:
    return Mutant(tuple(rows.split()), name, edits, tuple(tests.split()) or None, text)


def never(file: str, condition: str, near: str | None = None) -> Edit:
    """A condition that refuses never holds."""
    return Edit(file, condition, f"(!MUT && ({condition}))", near)


def always(file: str, condition: str, near: str | None = None) -> Edit:
    """A condition that is required always holds."""
    return Edit(file, condition, f"(MUT || ({condition}))", near)


def skip(file: str, statement: str, near: str | None = None) -> Edit:
    """A statement is not executed."""
    return Edit(file, statement, f"if !MUT {{ {statement} }}", near)


def instead(file: str, old: str, new: str, near: str | None = None, arg: str = "") -> Edit:
    """Anything else."""
    return Edit(file, old, new, near, arg)
