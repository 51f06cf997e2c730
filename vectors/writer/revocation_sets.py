"""What is revoked, as a document: the member ``revoked`` of a snapshot."""

from __future__ import annotations

import json
from typing import Any

from .files import File
from .keys import sha256
from .revocations import MISSION, PERSON, SESSION, WORKER, revocation
from .world import NOW, compact, subject

AT = NOW * 1_000_000
DIGEST = "sha256:" + sha256("key").hex()
MOST = 8_192
EVERY = [
    ("token", "del-1"),
    ("session", SESSION),
    ("mission", MISSION),
    ("agent", WORKER),
    ("instance", subject(1)),
    ("person", PERSON),
    ("key", DIGEST),
]


def digest(items: list[Any]) -> str:
    """RFC 8785 of what holds ASCII texts and small integers alone."""
    text = json.dumps(items, sort_keys=True, separators=(",", ":"))
    return "sha256:" + sha256(text).hex()


def write() -> File:
    file = File(
        "revocation_sets",
        "chancery-revocation-vectors/1",
        "what is revoked as a document, and the digest of its canonical form",
    )
    _accepted(file)
    _shapes(file)
    _identifiers(file)
    _times(file)
    _order(file)
    _texts(file)
    _consents(file)
    return file


def _accept(file: File, slug: str, why: str, items: list[Any], json: str | None = None) -> None:
    text = compact(items) if json is None else json
    file.add(slug, why, json=text, expect="accept", digest=digest(items))


def _reject(file: File, slug: str, why: str, value: Any) -> None:
    file.add(slug, why, json=compact(value), expect="malformed")


def _accepted(file: File) -> None:
    every = [revocation(kind, id, AT) for kind, id in EVERY]
    _accept(file, "every-kind", "one of each kind, in their order", every)
    file.base = file.vectors[-1]["id"]
    _accept(file, "none", "nothing is revoked", [])
    for one in every:
        _accept(file, f"one-{one['kind']}", f"a {one['kind']}", [one])
    tokens = [revocation("token", id, AT) for id in ("!", "A", "a", "aa", "b", "~" * 128)]
    _accept(file, "tokens", "tokens in the order of their characters", tokens)
    for slug, at in [("zero", 0), ("largest", 2**53 - 1)]:
        _accept(file, f"at-{slug}", f"a time: {slug}", [revocation("token", "a", at)])
    one = [revocation("token", "a", 1)]
    for slug, why, text in [
        ("members", "members in another order", '[{"at":1,"id":"a","kind":"token"}]'),
        ("spaces", "white space", ' [ {"kind" : "token", "id": "a", "at": 1}\n]\t'),
        ("escapes", "escapes", '[{"\\u006bind":"\\u0074oken","id":"\\u0061","at":1}]'),
    ]:
        _accept(file, slug, why, one, text)
    long = "spiffe://acme.example/" + "a" * (2_048 - 40 - 22)
    _accept(file, "agent-longest", "the longest agent", [revocation("agent", long, 1)])
    for slug, id in [("domain", "spiffe://acme.example"), ("other", "spiffe://a/b.c_d-E")]:
        _accept(file, f"instance-{slug}", "an instance by any SPIFFE ID", [revocation("instance", id, 1)])
    item = '{"kind":"token","id":"t#####","at":1}'
    items = [revocation("token", f"t{number:05}", 1) for number in range(MOST)]
    repeated = {"item": item, "times": MOST}
    why = f"{MOST} revocations"
    file.add("most", why, json="[@]", repeated=repeated, expect="accept", digest=digest(items))
    repeated = {"item": item, "times": MOST + 1}
    file.add("one-more", "one more", json="[@]", repeated=repeated, expect="malformed")


def _shapes(file: File) -> None:
    one = revocation("token", "a", 1)
    for slug, value in [
        ("object", {}),
        ("item-alone", one),
        ("null", None),
        ("text", "token"),
        ("number", 1),
        ("item-null", [None]),
        ("item-text", ["token a"]),
        ("item-list", [["token", "a", 1]]),
        ("item-list-of-lists", [[["kind", "token"], ["id", "a"], ["at", 1]]]),
        ("item-empty", [{}]),
        ("item-nested", [[one]]),
        ("by-kind", {"token": {"a": 1}}),
    ]:
        _reject(file, f"shape-{slug}", f"no list of revocations: {slug}", value)
    for name in one:
        rest = {held: one[held] for held in one if held != name}
        _reject(file, f"without-{name}", f"{name} is missing", [rest])
        _reject(file, f"null-{name}", f"{name} is null", [{**one, name: None}])
    for name in ["reason", "until", "Kind", "epoch", ""]:
        slug = name or "empty"
        _reject(file, f"member-{slug}", f"a member that nobody knows: {slug}", [{**one, name: 1}])
    for slug, kind in [
        ("epoch", "epoch"),
        ("unknown", "delegation"),
        ("case", "Token"),
        ("upper", "TOKEN"),
        ("empty", ""),
        ("space", "token "),
        ("plural", "tokens"),
        ("number", 0),
        ("true", True),
        ("list", ["token"]),
        ("object", {"token": None}),
        ("object-of-text", {"token": "token"}),
    ]:
        _reject(file, f"kind-{slug}", f"no kind: {slug}", [{**one, "kind": kind}])


def _identifiers(file: File) -> None:
    digits = SESSION.removeprefix("ses_")
    upper = "sha256:" + sha256("key").hex().upper()
    long = "spiffe://acme.example/" + "a" * (2_048 - 40 - 21)
    for kind, cases in {
        "token": [
            ("empty", ""),
            ("space", "a b"),
            ("newline", "a\n"),
            ("not-ascii", "\u00e9"),
            ("delete", "a\x7f"),
            ("129", "x" * 129),
            ("number", 7),
            ("list", ["a"]),
        ],
        "session": [
            ("short", "ses_1"),
            ("25", SESSION[:-1]),
            ("27", SESSION + "z"),
            ("upper", "SES_" + digits),
            ("upper-digits", "ses_" + digits.upper()),
            ("letter-u", SESSION[:-1] + "u"),
            ("130-bits", "ses_8" + digits[1:]),
            ("person", PERSON),
            ("alone", digits),
            ("space", SESSION + " "),
        ],
        "person": [("name", "alice"), ("session", SESSION), ("idp", "00u1abcd"), ("130-bits", "per_8" + digits[1:])],
        "mission": [
            ("short", "sha256:00"),
            ("upper", upper),
            ("alone", MISSION.removeprefix("sha256:")),
            ("base64url", "zrAKkVJdpk-xcbEDrjDvO4F_o7x47N6ZuITu2-kTEAM"),
            ("sha512", "sha512" + MISSION.removeprefix("sha256")),
            ("65", MISSION + "0"),
            ("padded", MISSION + " "),
        ],
        "key": [("kid", "kid"), ("upper", upper), ("base64url", "zrAKkVJdpk-xcbEDrjDvO4F_o7x47N6ZuITu2-kTEAM"), ("63", DIGEST[:-1])],
        "agent": [
            ("no-scheme", "acme.example/agent/worker"),
            ("instance", subject(1)),
            ("instance-inside", "spiffe://acme.example/instance/a/b"),
            ("upper-scheme", "SPIFFE://acme.example/agent/worker"),
            ("upper-domain", "spiffe://ACME.example/agent/worker"),
            ("domain-alone", "spiffe://acme.example"),
            ("slash", WORKER + "/"),
            ("dots", "spiffe://acme.example/agent/../worker"),
            ("wildcard", "spiffe://acme.example/agent/*"),
            ("too-long", long),
            ("empty", ""),
        ],
        "instance": [
            ("upper-domain", "spiffe://ACME.example/agent/worker/instance/1"),
            ("empty-segment", "spiffe://acme.example//instance/1"),
            ("ulid", "ins_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
            ("newline", subject(1) + "\n"),
            ("empty", ""),
        ],
    }.items():
        for slug, id in cases:
            why = f"no identifier of a {kind}: {slug}"
            _reject(file, f"{kind}-{slug}", why, [{"kind": kind, "id": id, "at": 1}])


def _times(file: File) -> None:
    for slug, text in [
        ("negative", "-1"),
        ("minus-zero", "-0"),
        ("float", "1.0"),
        ("exponent", "1e3"),
        ("text", '"1"'),
        ("true", "true"),
        ("list", "[1]"),
        ("unsafe", str(2**53)),
        ("64-bits", str(2**64 - 1)),
        ("65-bits", str(2**64)),
        ("rfc-3339", '"2027-01-15T08:00:00Z"'),
    ]:
        why = f"no time in microseconds: {slug}"
        bad = '[{"kind":"token","id":"a","at":' + text + "}]"
        file.add(f"at-{slug}", why, json=bad, expect="malformed")


def _order(file: File) -> None:
    token = lambda id, at=1: revocation("token", id, at)
    key = revocation("key", DIGEST, 1)
    for slug, why, items in [
        ("reversed", "identifiers from behind", [token("b"), token("a")]),
        ("case", "identifiers without regard to case", [token("a"), token("B")]),
        ("shorter-behind", "a prefix behind what is longer", [token("aa"), token("a")]),
        ("kinds", "kinds from behind", [key, token("a")]),
        ("kinds-by-name", "kinds by their names", [revocation("agent", WORKER, 1), token("a")]),
        ("twice", "the same thing twice", [token("a"), token("a")]),
        ("twice-at", "the same thing at two times", [token("a", 1), token("a", 2)]),
        ("twice-apart", "the same thing twice, apart", [token("a"), token("b"), token("a")]),
        ("last", "the last one is out of order", [token("a"), token("c"), token("b")]),
    ]:
        _reject(file, f"order-{slug}", why, items)


def _texts(file: File) -> None:
    for slug, text in [
        ("empty", ""),
        ("cut", '[{"kind":"token","id":"a","at":1}'),
        ("behind", '[{"kind":"token","id":"a","at":1}]]'),
        ("comma", '[{"kind":"token","id":"a","at":1},]'),
        ("bom", "\ufeff[]"),
        ("twice-kind", '[{"kind":"token","kind":"token","id":"a","at":1}]'),
        ("twice-id", '[{"kind":"token","id":"b","id":"a","at":1}]'),
        ("twice-escaped", '[{"kind":"token","id":"a","\\u0069d":"b","at":1}]'),
        ("surrogate", '[{"kind":"token","id":"\\ud800","at":1}]'),
        ("comment", "[] // none"),
        ("nan", '[{"kind":"token","id":"a","at":NaN}]'),
        ("deep", "[" * 65 + "]" * 65),
    ]:
        file.add(f"text-{slug}", f"no strict JSON: {slug}", json=text, expect="malformed")


def _consents(file: File) -> None:
    """Standing consents, which came after the others and stand behind them."""
    id = "cns_7zzzzzzzzzzzzzzzzzzzzzzzzz"
    consent = revocation("consent", id, AT)
    every = [*(revocation(kind, id, AT) for kind, id in EVERY), consent]
    _accept(file, "one-consent", "a standing consent", [consent])
    _accept(file, "every-kind-consent", "one of each kind, in their order", every)
    _reject(file, "order-consent", "a standing consent before a key", [consent, every[-2]])
    for slug, bad in [
        ("prefix", "sta" + id[3:]),
        ("person", PERSON),
        ("case", id.upper()),
        ("short", id[:-1]),
        ("large", "cns_8" + id[5:]),
        ("empty", ""),
    ]:
        _reject(file, f"consent-{slug}", f"no id of a standing consent: {slug}", [revocation("consent", bad, AT)])
