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
        code, answer = self.chain("linkage.json", "two-links", "--revoked", "token=del-1")
        expected = {"verdict": "reject", "reason": "revoked", "link": 1, "revoked": "token"}
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
            "calls.json",
            "first",
            "--request",
            self.file("r.json", held["request"]),
            "--peer",
            held["peer_spiffe_id"],
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

    def test_revocations_are_read_as_snapshots_and_lists_hold_them(self) -> None:
        one = {"kind": "token", "id": "del-1", "at": 1}
        listed = {"revocation": one, "log_index": 1, "by": "0", "reason": "", "stays": False}
        for value, epoch, code in [
            ([one], None, 1),
            ([], None, 0),
            ({"epoch": 7, "revocations": [listed]}, None, 1),
            ({"epoch": 7, "revocations": []}, None, 0),
            ({"epoch": 8, "revocations": []}, 8, 2),
            ({"epoch": "7", "revocations": []}, None, 2),
            ({"revocations": []}, None, 2),
            ([{**one, "kind": "epoch"}], None, 2),
            ("token", None, 2),
        ]:
            file = self.file("revocations.json", value)
            found, answer = self.chain("linkage.json", "two-links", "--revocations", file)
            self.assertEqual(found, code, answer)
        context, held = vector("linkage.json", "two-links")
        anchor = self.file("anchor.json", context["trust_anchors"][0])
        chain = self.file("chain.json", held["chain"])
        known = ["--anchor", f"{context['authority']}={anchor}", "--audience", context["audience"]]
        known += ["--now", str(context["now"])]
        for revocations, code in [({"epoch": 7, "revocations": []}, 0), ([], 2)]:
            file = self.file("revocations.json", revocations)
            found, answer = self.run_command("chain", chain, *known, "--revocations", file)
            self.assertEqual(found, code, answer)

    def test_rules_are_held(self) -> None:
        form = "chancery/delegation-rules/v1"
        for rules, level, code, reason, link in [
            ({}, None, 0, None, None),
            ({"link": {"max_seconds": 1}}, None, 1, "rules_lifetime", 1),
            ({"min_attestation": "tpm"}, "tdx", 0, None, None),
            ({"min_attestation": "tpm"}, "software-only/launch", 1, "rules_attestation", None),
        ]:
            file = self.file("delegation.json", {"rules": form, **rules})
            more = ["--rules", file] + (["--level", level] if level else [])
            found, answer = self.chain("linkage.json", "two-links", *more)
            self.assertEqual((found, answer.get("reason"), answer.get("link")), (code, reason, link))

    def test_what_cannot_be_read_is_usage_and_names_the_file(self) -> None:
        code, talk = self.run_command("vectors", str(self.folder / "missing.json"))
        self.assertEqual(code, 2)
        self.assertIn("missing.json: No such file", talk)
        for file, value, said in [
            ("rules", {"rules": "v2"}, "delegation-rules/v1"),
            ("rules", b"\xff", "not strict JSON"),
            ("revocations", {"a": 1}, "chancery --format json revoke list"),
            ("request", {"server": "fs"}, "tool, uri or prompt"),
            ("request", [], "a call: server"),
        ]:
            path = self.file("given.json", value)
            more = ["--peer", "spiffe://acme.example/a"] if file == "request" else []
            code, talk = self.chain("linkage.json", "two-links", f"--{file}", path, *more)
            self.assertEqual(code, 2, talk)
            self.assertIn(path, talk)
            self.assertIn(said, talk)
        for options, said in [
            (["--revoked", "del-1"], "--revoked del-1: expected KIND=ID"),
            (["--revoked", "agent=del-1"], "the SPIFFE ID of an agent"),
            (["--level", "tpm"], "--level goes with --rules"),
            (["--peer", "a"], "--request and --peer go together"),
            (["--proof", "a"], "--proof goes with --request"),
            (["--consent", "a"], "--consent and --credential go together"),
            (["--rules", "no-file"], "no-file: No such file"),
        ]:
            code, talk = self.chain("linkage.json", "two-links", *options)
            self.assertEqual(code, 2, talk)
            self.assertIn(said, talk)

    def test_another_file_than_a_chain_is_named(self) -> None:
        context, held = vector("linkage.json", "two-links")
        anchor = self.file("anchor.json", context["trust_anchors"][0])
        rest = ["--audience", context["audience"], "--epoch", "7"]
        known = ["--anchor", f"a={anchor}", *rest]
        for value in [b"\x00\xff", b"", b"{}", b"[]", b"[1]", b"a,b", b'{"trust": {}}']:
            chain = self.file("chain", value)
            code, talk = self.run_command("chain", chain, *known)
            self.assertEqual(code, 2, talk)
            self.assertIn(f"{chain}: ", talk)
            self.assertIn("expected a chain", talk)
        chain = self.file("chain", ",".join(held["chain"]).encode())
        for anchored, said in [
            ("x", "--anchor x: expected ISSUER=FILE"),
            ("a=no-file", "no-file: No such file"),
            (f"a={chain}", "expected a JWK"),
            (f"a={self.file('trust.json', {'trust': {}})}", "delegation_authorities[].key"),
        ]:
            code, talk = self.run_command("chain", chain, "--anchor", anchored, *rest)
            self.assertEqual(code, 2, talk)
            self.assertIn(said, talk)

    def test_vectors_that_differ_fail(self) -> None:
        document = json.loads((ROOT / "vectors" / "keys.json").read_text())
        document["vectors"][0]["expect"] = "bad_key"
        code, answer = self.run_command("vectors", self.file("keys.json", document))
        self.assertEqual((code, len(answer["wrong"])), (1, 1))
        code, _ = self.run_command("vectors", str(self.folder / "nothing"))
        self.assertNotEqual(code, 0)
