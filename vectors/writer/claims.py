"""The claims tables of roots and links, row by row."""

from __future__ import annotations

from .files import File
from .keys import b64, sha256
from .world import (
    AUTHORITY,
    CONTEXT,
    EPOCH,
    GATEWAY,
    HOLDERS,
    ISSUER,
    MALLORY,
    NOW,
    OTHER_GATEWAY,
    Spec,
    chain,
    drop,
    put,
    subject,
)

ROOT = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "sid", "ep", "prn", "mission_s256"]
ROOT += ["del_depth", "del_max_depth", "cnf", "authorization_details"]
LINK = ["iss", "sub", "iat", "nbf", "exp", "jti", "par_hash", "del_depth", "del_max_depth", "cnf"]
LINK += ["authorization_details"]


def write() -> File:
    file = File("claims", "adt-vectors/1", "each claim of roots and links", context=CONTEXT)
    file.accept("two-links", "a root and two links", chain(2), base=True)
    _missing(file)
    _subjects(file)
    _identifiers(file)
    _digests(file)
    _root(file)
    _restated(file)
    _audience(file)
    _revocation(file)
    return file


def _edit(file: File, slug: str, why: str, reason: str, at: int, edit) -> None:  # type: ignore[no-untyped-def]
    file.reject(slug, why, reason, at, chain(at, {at: Spec(edit=edit)}))


def _missing(file: File) -> None:
    for name in ROOT:
        _edit(file, f"root-without-{name}", f"a root without {name}", "malformed", 0, drop(name))
    for name in ["iss", "sub", "acr", "auth_time", "apr"]:
        _edit(
            file,
            f"root-without-prn-{name}",
            f"prn without {name}",
            "malformed",
            0,
            drop("prn", name),
        )
    for name in LINK:
        _edit(file, f"link-without-{name}", f"a link without {name}", "malformed", 1, drop(name))
    for slug, name in [("unknown", "scope"), ("case", "Forbid"), ("act", "act"), ("cnf-beside", "jwk")]:
        why = f"a link with a claim that nobody knows: {name}"
        _edit(file, f"link-{slug}", why, "malformed", 1, put(name, []))
    _edit(file, "cnf-without-jwk", "a confirmation without a key", "malformed", 1, put("cnf", {}))
    for name in ["prn", "cnf"]:
        _edit(file, f"{name}-text", f"{name} is a text", "malformed", 0, put(name, "a"))
    for name in ["authorization_details", "forbid", "ask", "aud"]:
        for slug, value in [("object", {}), ("text", "a")]:
            why = f"{name} is no list: {slug}"
            _edit(file, f"{name}-{slug}", why, "malformed", 0, put(name, value))
    for name in ["iss", "sub"]:
        for slug, value in [("empty", ""), ("number", 7), ("list", [ISSUER])]:
            _edit(file, f"{name}-{slug}", f"{name} is {slug}", "malformed", 0, put(name, value))


def _subjects(file: File) -> None:
    for slug, value in [
        ("https", "https://acme.example/agent"),
        ("upper-scheme", "SPIFFE://acme.example/agent"),
        ("upper-domain", "spiffe://ACME.example/agent"),
        ("trust-domain", "spiffe://acme.example"),
        ("slash-alone", "spiffe://acme.example/"),
        ("trailing-slash", "spiffe://acme.example/agent/"),
        ("empty-segment", "spiffe://acme.example//agent"),
        ("dot-segment", "spiffe://acme.example/./agent"),
        ("dot-dot-segment", "spiffe://acme.example/agent/../other"),
        ("port", "spiffe://acme.example:443/agent"),
        ("user", "spiffe://user@acme.example/agent"),
        ("query", "spiffe://acme.example/agent?a=b"),
        ("fragment", "spiffe://acme.example/agent#a"),
        ("percent", "spiffe://acme.example/agent%2fother"),
        ("not-ascii", "spiffe://acme.example/ag\u00e9nt"),
        ("no-domain", "spiffe:///agent"),
        ("space", " spiffe://acme.example/agent"),
        ("newline", "spiffe://acme.example/agent\n"),
        ("long-domain", f"spiffe://{'a' * 256}/agent"),
    ]:
        why = f"a subject that is no SPIFFE ID with a path: {slug}"
        _edit(file, f"sub-{slug}", why, "malformed", 0, put("sub", value))
    for slug, value in [
        ("shape", "spiffe://acme.example/anything"),
        ("domain-255", f"spiffe://{'a' * 255}/agent"),
        ("dots", "spiffe://acme.example/.../a_b-C"),
    ]:
        why = "nothing depends on the shape of a subject's path"
        file.accept(f"sub-{slug}", why, chain(0, {0: Spec(edit=put("sub", value))}))


def _identifiers(file: File) -> None:
    for name in ["jti", "sid"]:
        for slug, value in [
            ("empty", ""),
            ("space", "a b"),
            ("newline", "a\n"),
            ("not-ascii", "\u00e9"),
            ("delete", "a\x7f"),
            ("129", "j" * 129),
            ("number", 7),
        ]:
            why = f"{name} is not 1 to 128 visible ASCII characters: {slug}"
            _edit(file, f"{name}-{slug}", why, "malformed", 0, put(name, value))
        for slug, value in [("one", "!"), ("128", "~" * 128)]:
            why = f"{name} of {len(value)} characters"
            file.accept(f"{name}-{slug}", why, chain(0, {0: Spec(edit=put(name, value))}))


def _digests(file: File) -> None:
    digest = b64(sha256("mission"))
    for at, path in [(0, ("mission_s256",)), (0, ("prn", "apr")), (1, ("par_hash",))]:
        for slug, value in [
            ("short", b64(b"0" * 31)),
            ("long", b64(b"0" * 33)),
            ("padded", digest + "="),
            ("hex", sha256("mission").hex()),
            ("prefixed", "sha256:" + sha256("mission").hex()),
            ("trailing-bits", digest[:-1] + _next(digest[-1])),
            ("empty", ""),
            ("number", 7),
        ]:
            why = f"{path[-1]} is not 32 bytes in base64url: {slug}"
            _edit(file, f"{path[-1]}-{slug}", why, "malformed", at, put(*path, value))


def _next(character: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) | 1]


def _root(file: File) -> None:
    untrusted = [
        ("other", "https://other.example"),
        ("trailing-slash", ISSUER + "/"),
        ("case", ISSUER.upper()),
        ("http", ISSUER.replace("https", "http")),
        ("subject", subject(0)),
    ]
    for slug, value in untrusted:
        why = f"an issuer that the key does not speak for: {slug}"
        _edit(file, f"root-iss-{slug}", why, "untrusted_root", 0, put("iss", value))
    forged = chain(0, {0: Spec(key=MALLORY)})
    file.reject("root-self-issued", "a stranger issues a root", "untrusted_root", 0, forged)
    why = "a holder issues a root with the key that a chain gave it"
    file.reject("root-by-a-holder", why, "untrusted_root", 0, chain(0, {0: Spec(key=HOLDERS[0])}))
    why = "nobody is believed"
    file.reject("root-no-anchor", why, "untrusted_root", 0, chain(0), context={"trust_anchors": []})
    anchors = [
        {"issuer": "https://other.example", "jwk": AUTHORITY.jwk},
        {"issuer": ISSUER, "jwk": MALLORY.jwk},
    ]
    why = "a key that is believed for another issuer, an issuer that is believed with another key"
    crossed = {"anchors": anchors}
    file.reject("root-anchors-crossed", why, "untrusted_root", 0, chain(0), context=crossed)
    both = [
        {"issuer": "https://other.example", "jwk": AUTHORITY.jwk},
        {"issuer": ISSUER, "jwk": AUTHORITY.jwk},
    ]
    why = "one key may speak for two issuers"
    file.accept("root-two-issuers", why, chain(0), context={"anchors": both})
    for depth in [1, 7]:
        why = f"a root of depth {depth}"
        _edit(file, f"root-depth-{depth}", why, "bad_depth", 0, put("del_depth", depth))
    why = "a root with a parent"
    _edit(file, "root-par-hash", why, "malformed", 0, put("par_hash", b64(sha256("a"))))
    for slug, epoch in [("before", EPOCH - 1), ("after", EPOCH + 1), ("zero", 0)]:
        why = f"epoch {epoch}, not {EPOCH}"
        _edit(file, f"epoch-{slug}", why, "stale_epoch", 0, put("ep", epoch))
    why = "the epoch was raised: every older chain is over"
    raised = {"current_epoch": EPOCH + 1}
    file.reject("epoch-raised", why, "stale_epoch", 0, chain(1), context=raised)


def _restated(file: File) -> None:
    person = {"iss": "https://idp.acme.example", "sub": "00u9zzzz", "acr": "phr"}
    for name, values in [
        ("sid", ["ses_01", "ses_02"]),
        ("ep", [EPOCH, EPOCH + 1]),
        ("prn", [{**person, "auth_time": NOW, "apr": b64(sha256("consent"))}, {}]),
        ("mission_s256", [b64(sha256("mission")), None]),
    ]:
        for slug, value in zip(["same", "other"], values, strict=True):
            why = f"a link restates {name}: {slug}"
            reason = "inherited_claim_restated"
            _edit(file, f"link-{name}-{slug}", why, reason, 1, put(name, value))


def _audience(file: File) -> None:
    two = put("aud", [GATEWAY, OTHER_GATEWAY])
    one = {0: Spec(edit=two), 1: Spec(edit=put("aud", [GATEWAY]))}
    file.accept("aud-subset", "a link may name a part of the audience", chain(1, one))
    one = {0: Spec(edit=two)}
    file.accept("aud-inherited", "a link that names nobody inherits", chain(2, one))
    added = {1: Spec(edit=put("aud", [GATEWAY, OTHER_GATEWAY]))}
    why = "a link adds an audience"
    file.reject("aud-added", why, "audience_escalation", 1, chain(1, added))
    back = {0: Spec(edit=two), 1: Spec(edit=put("aud", [GATEWAY])), 2: Spec(edit=two)}
    why = "a link takes back what its parent gave up"
    file.reject("aud-regained", why, "audience_escalation", 2, chain(2, back))
    for at in [0, 1]:
        why = f"an empty audience at link {at}"
        _edit(file, f"aud-empty-{at}", why, "wrong_audience", at, put("aud", []))
    why = "meant for another gateway"
    _edit(file, "aud-other", why, "wrong_audience", 0, put("aud", [OTHER_GATEWAY]))
    for slug, value in [
        ("prefix", "spiffe://acme.example/gateway"),
        ("longer", GATEWAY + "/a"),
        ("case", GATEWAY.replace("home", "Home")),
        ("wildcard", "*"),
        ("trust-domain", "spiffe://acme.example"),
    ]:
        why = f"an audience is compared exactly: {slug}"
        _edit(file, f"aud-{slug}", why, "wrong_audience", 0, put("aud", [value]))
    narrowed = {0: Spec(edit=two), 1: Spec(edit=put("aud", [OTHER_GATEWAY]))}
    why = "narrowed to another gateway"
    file.reject("aud-narrowed-away", why, "wrong_audience", 1, chain(1, narrowed))
    for slug, value in [
        ("gateway", GATEWAY),
        ("number", [7]),
        ("empty-text", [""]),
        ("nested", [[GATEWAY]]),
    ]:
        why = f"an audience that is no list of texts: {slug}"
        _edit(file, f"aud-{slug}", why, "malformed", 0, put("aud", value))


def _revocation(file: File) -> None:
    for at in range(3):
        why = f"link {at} was revoked"
        revoked = {"revoked_jti": [f"del-{at}"]}
        file.reject(f"revoked-{at}", why, "revoked", at, chain(2), context=revoked)
    others = {"revoked_jti": ["del-3", "DEL-0", "del-", "ses_01"]}
    file.accept("revoked-others", "others were revoked", chain(2), context=others)
