"""The command: JSON on stdout and exit codes."""

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from chancery_verify.__main__ import main

ROOT = Path(__file__).resolve().parents[3]


def vector(file: str, slug: str) -> tuple[dict[str, Any], dict[str, Any]]:
    document = json.loads((ROOT / "vectors" / file).read_text())
    named = [held for held in document["vectors"] if held["id"].endswith(f"-{slug}")]
    return document["context"], named[0]


class Command(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file(self, name: str, value: Any) -> str:
        path = self.folder / name
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
        return str(path)

    def run_command(self, *arguments: str) -> tuple[int, Any]:
        said, talk = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(talk):
            code = main(list(arguments))
        return code, json.loads(said.getvalue()) if said.getvalue() else talk.getvalue()

    def chain(self, file: str, slug: str, *more: str) -> tuple[int, Any]:
        context, held = vector(file, slug)
        anchor = self.file("anchor.json", context["trust_anchors"][0])
        return self.run_command(
            "chain",
            self.file("chain.json", held["chain"]),
            "--anchor",
            f"{context['authority']}={anchor}",
            "--audience",
            context["audience"],
            "--epoch",
            str(context["current_epoch"]),
            "--now",
            str(context["now"]),
            *more,
        )

    def test_a_chain_is_accepted_and_described(self) -> None:
        code, answer = self.chain("linkage.json", "two-links")
        self.assertEqual((code, answer["verdict"]), (0, "accept"))
        self.assertEqual(answer["jti"], ["del-0", "del-1", "del-2"])

    def test_a_refusal_names_reason_and_link(self) -> None:
        code, answer = self.chain("linkage.json", "two-links", "--revoked", "del-1")
        expected = {"verdict": "reject", "reason": "revoked", "link": 1}
        self.assertEqual((code, answer), (1, expected))

    def test_a_call_is_judged(self) -> None:
        for slug, code in [("first", 0), ("parent-only", 1), ("forbid-by-1", 1), ("ask-by-1", 0)]:
            _, held = vector("calls.json", slug)
            found, answer = self.chain(
                "calls.json",
                slug,
                "--request",
                self.file("request.json", held["request"]),
                "--proof",
                self.file("proof", held["pop"].encode()),
                "--peer",
                held["peer_spiffe_id"],
            )
            self.assertEqual(found, code, answer)
            named = [[one["link"], one["entry"]] for one in answer["call"]["asked"]]
            self.assertEqual(named, held["asked"])
        code, answer = self.chain(
            "calls.json", "first", "--request", self.file("r.json", held["request"])
        )
        self.assertEqual((code, answer["reason"]), (1, "pop_missing"))

    def test_a_consent_is_judged(self) -> None:
        from chancery_verify import base64url

        for slug, code in [("es256", 0), ("other-exp", 1)]:
            _, held = vector("consents.json", slug)
            credential = self.file("credential.json", held["consent"]["credential"])
            artefact = self.file("consent.json", base64url.decode(held["consent"]["artefact"]))
            found, answer = self.chain(
                "consents.json", slug, "--consent", artefact, "--credential", credential
            )
            self.assertEqual(found, code, answer)
        self.assertEqual(answer["flaw"], "challenge")

    def test_what_cannot_be_read_is_usage(self) -> None:
        code, _ = self.run_command("vectors", str(self.folder / "missing.json"))
        self.assertEqual(code, 2)
        code, talk = self.run_command(
            "chain", "x", "--anchor", "x", "--audience", "a", "--epoch", "1"
        )
        self.assertEqual(code, 2)
        self.assertIn("ISSUER=FILE", talk)

    def test_vectors_that_differ_fail(self) -> None:
        document = json.loads((ROOT / "vectors" / "keys.json").read_text())
        document["vectors"][0]["expect"] = "bad_key"
        code, answer = self.run_command("vectors", self.file("keys.json", document))
        self.assertEqual((code, len(answer["wrong"])), (1, 1))
        code, _ = self.run_command("vectors", str(self.folder / "nothing"))
        self.assertNotEqual(code, 0)
