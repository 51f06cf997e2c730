"""Every vector gets the verdict that it states."""

import json
import os
import unittest
from pathlib import Path

from chancery_verify import HttpReason, Reason, RuleReason
from chancery_verify.vectors import run

ROOT = Path(__file__).resolve().parents[3]


class Vectors(unittest.TestCase):
    def assert_all(self, folder: Path, least: int) -> None:
        outcomes = list(run([folder]))
        wrong = [
            f"{outcome.id}: {outcome.wrong} {outcome.verdict}"
            for outcome in outcomes
            if outcome.wrong
        ]
        self.assertEqual(wrong, [])
        self.assertGreaterEqual(len(outcomes), least)

    def test_ours(self) -> None:
        self.assert_all(ROOT / "vectors", 2_293)

    def test_theirs(self) -> None:
        named = os.environ.get("CHANCERY_FIXTURES")
        folder = ROOT / named if named else ROOT.parent / "shared" / "fixtures"
        if not (folder / "mesh" / "adt").is_dir():
            self.skipTest(f"no vectors below {folder}")
        self.assert_all(folder / "mesh" / "adt", 1)

    def test_every_reason_has_a_vector(self) -> None:
        stated = set()
        for file in (ROOT / "vectors").glob("*.json"):
            stated |= {vector.get("reason") for vector in json.loads(file.read_text())["vectors"]}
        self.assertEqual({reason.value for reason in [*Reason, *RuleReason, *HttpReason]} - stated, set())

    def test_a_file_of_another_format_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            list(run([ROOT / "sdk" / "python" / "pyproject.toml"]))
