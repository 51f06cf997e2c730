"""The operator's rules, as a document."""

from __future__ import annotations

from typing import Any

from .files import File
from .rules import FORM, LEVELS, WORKER
from .world import HOLDERS, HOLDERS_P256, compact

OTHERWISE = 1_800
MOST_BYTES = 262_144
MOST_ENTRIES = 4_096


def write() -> File:
    file = File(
        "rule_documents",
        "chancery-rules-vectors/1",
        "rules as a document, and how long roots and links live by default",
    )
    _accepted(file)
    _lifetimes(file)
    _forms(file)
    _numbers(file)
    _lists(file)
    _entries(file)
    _levels(file)
    _sizes(file)
    _texts(file)
    return file


def _accept(file: File, slug: str, why: str, **members: Any) -> None:
    text = compact({"rules": FORM, **members})
    lives = {f"{name}_seconds": _lives(members.get(name, {})) for name in ("root", "link")}
    file.add(slug, why, json=text, expect="accept", **lives)


def _lives(times: dict[str, int]) -> int:
    """How long one lives for which nobody asks another time."""
    return min(times.get("default_seconds", OTHERWISE), times.get("max_seconds", 2**64))


def _reject(file: File, slug: str, why: str, **members: Any) -> None:
    file.add(slug, why, json=compact({"rules": FORM, **members}), expect="malformed")


def _accepted(file: File) -> None:
    _accept(
        file,
        "whole",
        "every member",
        **{
            "root": {"default_seconds": 900, "max_seconds": 3_600},
            "link": {"max_seconds": 600},
            "max_depth": 3,
            "agents": {"allow": [{"exact": WORKER}, {"path_prefix": "spiffe://acme.example"}], "block": []},
            "trust_domains": {"allow": ["acme.example"], "block": ["other.example"]},
            "keys": {"allow": [HOLDERS[0].kid], "block": [HOLDERS_P256[0].kid]},
            "min_attestation": "software-only/launch",
        },
    )
    file.base = file.vectors[-1]["id"]
    _accept(file, "none", "no rule")
    for name in ["agents", "trust_domains", "keys"]:
        _accept(file, f"{name}-empty", f"{name} without lists", **{name: {}})
        _accept(file, f"{name}-none", f"{name} with empty lists", **{name: {"allow": [], "block": []}})
    for level in LEVELS:
        slug = level.rpartition("/")[2]
        _accept(file, f"level-{slug}", f"at least {level}", min_attestation=level)
    for slug, number in [("zero", 0), ("large", 2**64 - 1)]:
        _accept(file, f"depth-{slug}", f"a depth: {slug}", max_depth=number)
    again = {"allow": ["acme.example", "acme.example"]}
    _accept(file, "twice", "an entry twice says no more than once", trust_domains=again)
    _accept(file, "domain-dots", "dots alone are a name", trust_domains={"block": ["..", "-", "_"]})
    _accept(file, "domain-255", "the longest name", trust_domains={"block": ["a" * 255]})


def _lifetimes(file: File) -> None:
    for slug, times, lives in [
        ("empty", {}, OTHERWISE),
        ("default", {"default_seconds": 300}, 300),
        ("default-long", {"default_seconds": 9_999}, 9_999),
        ("most-below", {"max_seconds": 600}, 600),
        ("most-at", {"max_seconds": OTHERWISE}, OTHERWISE),
        ("most-above", {"max_seconds": 3_600}, OTHERWISE),
        ("both", {"default_seconds": 300, "max_seconds": 600}, 300),
        ("equal", {"default_seconds": 600, "max_seconds": 600}, 600),
        ("second", {"default_seconds": 1, "max_seconds": 1}, 1),
        ("large", {"max_seconds": 2**64 - 1}, OTHERWISE),
    ]:
        assert _lives(times) == lives
        for name in ["root", "link"]:
            _accept(file, f"{name}-{slug}", f"lifetimes of a {name}: {slug}", **{name: times})
    for name in ["root", "link"]:
        for slug, times in [
            ("default-zero", {"default_seconds": 0}),
            ("most-zero", {"max_seconds": 0}),
            ("default-beyond", {"default_seconds": 601, "max_seconds": 600}),
            ("unknown", {"max": 1}),
            ("min", {"min_seconds": 1}),
            ("case", {"Max_seconds": 1}),
            ("default-null", {"default_seconds": None}),
            ("most-null", {"max_seconds": None}),
            ("most-text", {"max_seconds": "600"}),
            ("most-true", {"max_seconds": True}),
            ("most-negative", {"max_seconds": -1}),
            ("most-list", {"max_seconds": [600]}),
            ("null", None),
            ("number", 600),
            ("text", "600"),
            ("list", [300, 600]),
            ("list-empty", []),
        ]:
            _reject(file, f"bad-{name}-{slug}", f"no lifetimes of a {name}: {slug}", **{name: times})


def _forms(file: File) -> None:
    for slug, value in [
        ("list", []),
        ("list-of-form", [FORM]),
        ("null", None),
        ("text", FORM),
        ("empty", {}),
        ("null-member", {"rules": None}),
        ("v2", {"rules": FORM.replace("v1", "v2")}),
        ("case", {"rules": FORM.upper()}),
        ("space", {"rules": FORM + " "}),
        ("number", {"rules": 1}),
        ("object", {"rules": {FORM: None}}),
        ("elsewhere", {"form": FORM}),
    ]:
        file.add(f"form-{slug}", f"not of this form: {slug}", json=compact(value), expect="malformed")
    for name in ["max_deph", "Agents", "agent", "trust_domain", "domains", "attestation", "version", "", "$schema"]:
        slug = name or "empty"
        _reject(file, f"unknown-{slug}", f"a member that nobody knows: {slug}", **{name: {}})


def _numbers(file: File) -> None:
    for slug, text in [
        ("text", '"1"'),
        ("negative", "-1"),
        ("minus-zero", "-0"),
        ("float", "1.0"),
        ("exponent", "1e1"),
        ("null", "null"),
        ("true", "true"),
        ("list", "[1]"),
        ("object", "{}"),
        ("65-bits", str(2**64)),
    ]:
        bad = compact({"rules": FORM})[:-1] + f',"max_depth":{text}}}'
        file.add(f"depth-{slug}", f"no depth: {slug}", json=bad, expect="malformed")


def _lists(file: File) -> None:
    entries = {"agents": {"exact": WORKER}, "trust_domains": "acme.example", "keys": HOLDERS[0].kid}
    for name, entry in entries.items():
        for slug, value in [
            ("null", None),
            ("text", "acme.example"),
            ("list", [entry]),
            ("list-of-lists", [[entry], [entry]]),
            ("list-empty", []),
            ("deny", {"deny": []}),
            ("case", {"Allow": [entry]}),
            ("allow-null", {"allow": None}),
            ("block-null", {"block": None}),
            ("allow-entry", {"allow": entry}),
            ("block-entry", {"block": entry}),
            ("allow-object", {"allow": {}}),
            ("entry-null", {"allow": [None]}),
            ("entry-number", {"block": [1]}),
            ("entry-list", {"block": [[entry]]}),
        ]:
            _reject(file, f"{name}-{slug}", f"no lists of {name}: {slug}", **{name: value})


def _entries(file: File) -> None:
    for slug, entry in [
        ("text-alone", WORKER),
        ("no-kind", {}),
        ("both", {"exact": WORKER, "path_prefix": WORKER}),
        ("unknown", {"regex": WORKER}),
        ("case", {"Exact": WORKER}),
        ("pair", ["exact", WORKER]),
        ("name-alone", "exact"),
        ("null", {"exact": None}),
        ("list", {"exact": [WORKER]}),
        ("upper-domain", {"exact": WORKER.replace("acme", "ACME")}),
        ("upper-scheme", {"path_prefix": WORKER.replace("spiffe", "SPIFFE")}),
        ("wildcard", {"path_prefix": "spiffe://acme.example/*"}),
        ("slash", {"path_prefix": WORKER + "/"}),
        ("dots", {"path_prefix": "spiffe://acme.example/../agent"}),
        ("https", {"exact": "https://acme.example/agent"}),
        ("empty", {"exact": ""}),
        ("newline", {"exact": WORKER + "\n"}),
    ]:
        _reject(file, f"agent-{slug}", f"no entry about agents: {slug}", agents={"block": [entry]})
    for slug, entry in [
        ("upper", "Acme"),
        ("empty", ""),
        ("spiffe-id", "spiffe://acme.example"),
        ("path", "acme.example/agent"),
        ("port", "acme.example:443"),
        ("wildcard", "*.example"),
        ("not-ascii", "acm\u00e9.example"),
        ("space", "acme.example "),
        ("newline", "acme.example\n"),
        ("256", "a" * 256),
    ]:
        why = f"no name of a trust domain: {slug}"
        _reject(file, f"domain-{slug}", why, trust_domains={"allow": [entry]})
    kid = HOLDERS[0].kid
    for slug, entry in [
        ("short", "abc"),
        ("empty", ""),
        ("padded", kid + "="),
        ("hex", "00" * 32),
        ("prefixed", "sha256:" + "00" * 32),
        ("42", kid[:-1]),
        ("44", kid + "A"),
        ("trailing-bits", kid[:-1] + "B" if kid[-1] != "B" else kid[:-1] + "C"),
        ("standard", "+" + kid[1:]),
        ("jwk", dict(HOLDERS[0].jwk)),
    ]:
        _reject(file, f"key-{slug}", f"no thumbprint of a key: {slug}", keys={"block": [entry]})


def _levels(file: File) -> None:
    for slug, value in [
        ("launch", "launch"),
        ("software", "software-only"),
        ("case", "TPM"),
        ("space", "tpm "),
        ("empty", ""),
        ("number", 2),
        ("null", None),
        ("list", ["tpm"]),
        ("object", {"tpm": None}),
    ]:
        _reject(file, f"no-level-{slug}", f"no attestation level: {slug}", min_attestation=value)


def _sizes(file: File) -> None:
    text = compact({"rules": FORM})
    found = {"root_seconds": OTHERWISE, "link_seconds": OTHERWISE}
    more = {"json": text, "bytes": MOST_BYTES, "expect": "accept", **found}
    file.add("bytes-at-most", f"{MOST_BYTES} bytes", **more)
    file.add("bytes-over", "one byte more", json=text, bytes=MOST_BYTES + 1, expect="malformed")
    for name, item in [
        ("agents", '{"exact":"spiffe://a/####"}'.replace("####", "#####")),
        ("trust_domains", '"d#####"'),
        ("keys", f'"{HOLDERS[0].kid}"'),
    ]:
        for side in ["allow", "block"]:
            text = compact({"rules": FORM})[:-1] + f',"{name}":{{"{side}":[@]}}}}'
            repeated = {"item": item, "times": MOST_ENTRIES}
            more = {"json": text, "repeated": repeated, "expect": "accept", **found}
            file.add(f"{name}-{side}-most", f"{MOST_ENTRIES} entries", **more)
            repeated = {"item": item, "times": MOST_ENTRIES + 1}
            more = {"json": text, "repeated": repeated, "expect": "malformed"}
            file.add(f"{name}-{side}-over", "one entry more", **more)


def _texts(file: File) -> None:
    form = f'"rules":"{FORM}"'
    for slug, text in [
        ("empty", ""),
        ("cut", f"{{{form}"),
        ("behind", f"{{{form}}}}}"),
        ("bom", f"\ufeff{{{form}}}"),
        ("comma", f"{{{form},}}"),
        ("comment", f"{{{form}}} // rules"),
        ("twice-form", f"{{{form},{form}}}"),
        ("twice-depth", f'{{{form},"max_depth":1,"max_depth":2}}'),
        ("twice-escaped", f'{{{form},"max_depth":1,"max\\u005fdepth":2}}'),
        ("twice-allow", f'{{{form},"keys":{{"allow":[],"allow":[]}}}}'),
        ("surrogate", f'{{{form},"trust_domains":{{"block":["\\ud800"]}}}}'),
    ]:
        file.add(f"text-{slug}", f"no strict JSON: {slug}", json=text, expect="malformed")
