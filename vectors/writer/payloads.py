"""JSON tricks in the claims, each signed by its rightful signer."""

from __future__ import annotations

import json

from .files import File
from .world import CONTEXT, Spec, chain, drop, put, swap


def write() -> File:
    file = File(
        "payload", "adt-vectors/1", "JSON that two parsers may read differently", context=CONTEXT
    )
    specs = {1: Spec(edit=put("forbid", [{"type": "mcp_tool", "server": "fs", "tool": "x"}]))}
    file.accept("chain", "a root and a link with a prohibition", chain(1, specs), base=True)
    _duplicates(file)
    _numbers(file)
    _texts(file)
    _documents(file)
    _spellings(file)
    return file


def _refuse(file: File, slug: str, why: str, at: int, text, reason: str = "malformed"):  # type: ignore[no-untyped-def]
    file.reject(slug, why, reason, at, chain(at, {at: Spec(text=text)}))


def _duplicates(file: File) -> None:
    for slug, at, old, new in [
        ("exp", 0, '"exp":', '"exp":9999999999,"exp":'),
        ("exp-equal", 0, '"exp":', '"exp":1800003600,"exp":'),
        ("exp-escaped", 0, '"exp":', '"\\u0065xp":9999999999,"exp":'),
        ("sub", 1, '"sub":', '"sub":"spiffe://evil.example/a","sub":'),
        ("prn", 0, '"prn":', '"prn":{},"prn":'),
        ("prn-sub", 0, '"acr":', '"sub":"root","acr":'),
        ("cnf", 1, '"cnf":', '"cnf":{},"cnf":'),
        ("jwk", 1, '"jwk":', '"jwk":{},"jwk":'),
        ("jwk-x", 1, '"crv":', '"x":"AA","crv":'),
        (
            "entries",
            1,
            '"authorization_details":',
            '"authorization_details":[],"authorization_details":',
        ),
        ("entry-tool", 1, '"tool":', '"tool":"write_file","tool":'),
        ("entry-args", 1, '"args":', '"args":{},"args":'),
        ("args-path", 1, '"path":', '"path":{"exact":"/etc"},"path":'),
        ("constraint", 1, '"path_prefix":', '"path_prefix":"/etc","path_prefix":'),
        ("constraint-escaped", 1, '"path_prefix":', '"path\\u005fprefix":"/etc","path_prefix":'),
    ]:
        why = f"a member stands twice: {slug}"
        _refuse(file, f"twice-{slug}", why, at, swap(old, new))
    spec = Spec(
        edit=put("authorization_details", 0, "limits", {"max_calls": 5}),
        text=swap('"max_calls":5', '"max_calls":1,"max_calls":5'),
    )
    why = "a limit stands twice"
    file.reject("twice-limit", why, "malformed", 1, chain(1, {1: spec}))
    for name in ("forbid", "ask"):
        restriction = [{"type": "mcp_tool", "server": "fs", "tool": "x"}]
        spec = Spec(
            edit=put(name, restriction),
            text=swap('"tool":"x"', '"tool":"y","tool":"x"'),
        )
        why = f"a member of an entry of {name} stands twice"
        file.reject(f"twice-{name}-tool", why, "malformed", 1, chain(1, {1: spec}))


def _numbers(file: File) -> None:
    exp = '"exp":1800003600'
    for slug, written in [
        ("fraction", "1800003600.5"),
        ("whole-float", "1800003600.0"),
        ("exponent", "18000036e2"),
        ("exponent-upper", "18000036E2"),
        ("negative", "-1800003600"),
        ("minus-zero", "-0"),
        ("zero-led", "01800003600"),
        ("plus", "+1800003600"),
        ("hexadecimal", "0x6B49E0D0"),
        ("underscores", "1_800_003_600"),
        ("open-fraction", "1800003600."),
        ("open-exponent", "18e"),
        ("nan", "NaN"),
        ("infinity", "Infinity"),
        ("minus-infinity", "-Infinity"),
        ("unsafe", str(2**53)),
        ("64-bits", str(2**64 - 1)),
        ("65-bits", str(2**64)),
        ("huge", "1e400"),
        ("text", '"1800003600"'),
        ("boolean", "true"),
        ("null", "null"),
        ("list", "[1800003600]"),
    ]:
        _refuse(file, f"exp-{slug}", f"exp as {written[:24]}", 0, swap(exp, f'"exp":{written}'))
    for name, old in [
        ("iat", '"iat":1799999940'),
        ("nbf", '"nbf":1799999940'),
        ("ep", '"ep":7'),
        ("auth-time", '"auth_time":1799999400'),
        ("del-depth", '"del_depth":0'),
        ("del-max-depth", '"del_max_depth":7'),
    ]:
        for slug, change in [
            ("float", old + ".0"),
            ("text", _quoted(old)),
            ("unsafe", _unsafe(old)),
        ]:
            _refuse(file, f"{name}-{slug}", f"{name} is no integer: {slug}", 0, swap(old, change))
    for slug, seconds in [
        ("beyond-64-bits-of-microseconds", 18_446_744_073_710),
        ("largest", 2**53 - 1),
    ]:
        why = f"exp {seconds}: later than any timestamp of ours"
        _refuse(file, f"exp-{slug}", why, 0, swap(exp, f'"exp":{seconds}'))
    last = {0: Spec(edit=put("exp", 18_446_744_073_709))}
    file.accept("exp-last", "the last second of 64 bits of microseconds", chain(0, last))


def _quoted(member: str) -> str:
    name, _, value = member.partition(":")
    return f'{name}:"{value}"'


def _unsafe(member: str) -> str:
    return f"{member.partition(':')[0]}:{2**53}"


def _texts(file: File) -> None:
    sub = '"sub":"00u1abcd"'
    for slug, written in [
        ("lone-high-surrogate", '"\\ud800"'),
        ("lone-low-surrogate", '"\\udc00"'),
        ("surrogates-reversed", '"\\udc00\\ud800"'),
        ("bad-escape", '"\\x41"'),
        ("short-escape", '"\\u41"'),
        ("raw-control", '"a\u0001"'),
        ("raw-newline", '"a\n"'),
        ("raw-tab", '"a\t"'),
        ("single-quotes", "'00u1abcd'"),
        ("empty", '""'),
        ("not-closed", '"00u1abcd'),
    ]:
        why = f"the person's sub is no text: {slug}"
        _refuse(file, f"text-{slug}", why, 0, swap(sub, f'"sub":{written}'))
    for slug, data in [
        ("latin-1", b"\xe9"),
        ("overlong", b"\xc0\xaf"),
        ("utf-8-surrogate", b"\xed\xa0\x80"),
        ("beyond-unicode", b"\xf4\x90\x80\x80"),
        ("cut-off", b"\xc3"),
    ]:
        why = f"bytes that are no UTF-8: {slug}"
        change = lambda text, data=data: text.encode().replace(b"00u1abcd", data, 1)
        _refuse(file, f"utf8-{slug}", why, 0, change)


def _documents(file: File) -> None:
    for slug, why, change in [
        ("bom", "a byte order mark in front", lambda text: "\ufeff" + text),
        ("utf-16", "UTF-16", lambda text: text.encode("utf-16-le")),
        ("rest", "something behind", lambda text: text + "x"),
        ("second", "a second document", lambda text: text + text),
        ("nul", "a NUL behind", lambda text: text + "\0"),
        ("list", "a list around", lambda text: f"[{text}]"),
        ("text", "a text", lambda text: json.dumps(text)),
        ("null", "null", lambda _: "null"),
        ("empty-object", "no claims", lambda _: "{}"),
        ("trailing-comma", "a comma behind the last member", lambda text: text[:-1] + ",}"),
        ("comment", "a comment", lambda text: text[:-1] + "/* */}"),
        ("unquoted", "a name without quotes", swap('"exp"', "exp")),
        ("form-feed", "white space that JSON does not have", lambda text: "\f" + text),
        ("no-break-space", "white space that JSON does not have", lambda text: "\u00a0" + text),
        ("deep", "65 lists inside of each other", swap('"iss"', f'"x":{"[" * 65}{"]" * 65},"iss"')),
        ("half", "cut off", lambda text: text[: len(text) // 2]),
    ]:
        _refuse(file, f"document-{slug}", why, 0, change)


def _spellings(file: File) -> None:
    """One document in other spellings: accepted, because what is signed is the bytes."""
    for slug, why, change in [
        ("spaced", "white space says nothing", lambda text: json.dumps(json.loads(text), indent=2)),
        ("sorted", "the order of members says nothing", lambda text: _sorted(text)),
        ("escaped-name", "an escaped name is the same name", swap('"exp"', '"\\u0065xp"')),
        ("escaped-text", "an escaped text is the same text", swap('"phr"', '"\\u0070hr"')),
        ("escaped-slash", "an escaped slash is a slash", swap('"/src"', '"\\/src"')),
        ("surrogate-pair", "a pair is one character", swap('"00u1abcd"', '"\\ud83d\\ude00"')),
        ("not-ascii", "texts are Unicode", swap('"00u1abcd"', '"z\u00e9\u4e2d"')),
        ("escaped-nul", "an escaped NUL in the person's sub is a text", swap("00u1", "\\u0000")),
    ]:
        file.accept(f"spelling-{slug}", why, chain(0, {0: Spec(text=change)}))
    for slug, why, edit in [
        ("case", "names are compared exactly", lambda claims: claims.update(EXP=claims.pop("exp"))),
        ("space", "a name with a space", lambda claims: claims.update({"exp ": claims.pop("exp")})),
        (
            "cyrillic",
            "a name that looks alike",
            lambda claims: claims.update({"\u0435xp": claims.pop("exp")}),
        ),
        ("unknown", "a claim that nobody knows", put("scope", "admin")),
        ("unknown-null", "a claim that nobody knows, null", put("act", None)),
        ("unknown-proto", "a claim named __proto__", put("__proto__", {})),
        ("unknown-prn", "an unknown member of prn", put("prn", "email", "a@acme.example")),
        ("unknown-cnf", "an unknown member of cnf", put("cnf", "kid", "key-1")),
        ("cnf-jkt", "a thumbprint instead of a key", put("cnf", {"jkt": "AA"})),
        ("null-forbid", "a list that is null", put("forbid", None)),
        ("null-aud", "an audience that is null", put("aud", None)),
        ("jti-null", "an identifier that is null", put("jti", None)),
        ("no-prn-apr", "no consent digest", drop("prn", "apr")),
    ]:
        file.reject(f"claim-{slug}", why, "malformed", 0, chain(0, {0: Spec(edit=edit)}))


def _sorted(text: str) -> str:
    return json.dumps(dict(sorted(json.loads(text).items())))
