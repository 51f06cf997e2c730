"""The compact form, its base64 and the protected header."""

from __future__ import annotations

import hashlib
import hmac
import json

from .files import File
from .keys import b64
from .world import (
    AUTHORITY,
    AUTHORITY_P256,
    CONTEXT,
    HOLDERS,
    ISSUER,
    MALLORY,
    Spec,
    chain,
    compact,
)


def write() -> File:
    file = File(
        "header",
        "adt-vectors/1",
        "the compact form, its base64 and the protected header",
        context=CONTEXT,
    )
    file.accept("root", "a root and nothing else", chain(0), base=True)
    _algorithms(file)
    _types(file)
    _key_ids(file)
    _members(file)
    _compact_form(file)
    _base64(file)
    return file


def _with(file: File, slug: str, why: str, reason: str, **spec: object) -> None:
    file.reject(slug, why, reason, 0, chain(0, {0: Spec(**spec)}))  # type: ignore[arg-type]


def _set(name: str, value: object):  # type: ignore[no-untyped-def]
    return lambda header: {**header, name: value}


def _without(name: str):  # type: ignore[no-untyped-def]
    return lambda header: {held: header[held] for held in header if held != name}


def _algorithms(file: File) -> None:
    for slug, name in [
        ("none", "none"),
        ("none-upper", "NONE"),
        ("empty", ""),
        ("hs256", "HS256"),
        ("rs256", "RS256"),
        ("es384", "ES384"),
        ("eddsa", "EdDSA"),
        ("lower-case", "ed25519"),
        ("space", "Ed25519 "),
    ]:
        _with(file, f"alg-{slug}", f"alg {name!r}", "alg_not_allowed", header=_set("alg", name))
    _with(
        file,
        "alg-hs256-public-key",
        "HMAC with the authority's public key as the secret",
        "alg_not_allowed",
        header=_set("alg", "HS256"),
        token=lambda token: _hmac(token),
    )
    _with(
        file,
        "alg-none-unsigned",
        "alg none and no signature",
        "alg_not_allowed",
        header=_set("alg", "none"),
        signature=lambda _: b"",
    )
    _with(
        file,
        "alg-of-another-key",
        "ES256 named for an Ed25519 key, signed with Ed25519",
        "alg_not_allowed",
        header=_set("alg", "ES256"),
    )
    p256 = chain(0, {0: Spec(header=_set("alg", "Ed25519"))}, authority=AUTHORITY_P256)
    context = {"trust_anchors": [AUTHORITY_P256.jwk]}
    why = "Ed25519 named for a P-256 key, signed with ES256"
    file.reject("alg-of-another-p256-key", why, "alg_not_allowed", 0, p256, context=context)
    _with(file, "alg-missing", "no alg", "malformed", header=_without("alg"))
    for slug, value in [("number", 1), ("null", None), ("list", ["Ed25519"])]:
        _with(file, f"alg-{slug}", f"alg is a {slug}", "malformed", header=_set("alg", value))


def _hmac(token: str) -> str:
    signing_input = token.rpartition(".")[0]
    secret = compact(AUTHORITY.jwk).encode()
    return (
        f"{signing_input}.{b64(hmac.new(secret, signing_input.encode(), hashlib.sha256).digest())}"
    )


def _types(file: File) -> None:
    for slug, value in [
        ("jwt", "JWT"),
        ("proof", "adt-pop+jwt"),
        ("upper-case", "ADT+JWT"),
        ("media-type", "application/adt+jwt"),
        ("empty", ""),
        ("nul", "adt+jwt\0"),
    ]:
        _with(file, f"typ-{slug}", f"typ {value!r}", "wrong_typ", header=_set("typ", value))
    _with(file, "typ-missing", "no typ", "malformed", header=_without("typ"))
    for slug, value in [("number", 1), ("null", None)]:
        _with(file, f"typ-{slug}", f"typ is a {slug}", "malformed", header=_set("typ", value))


def _key_ids(file: File) -> None:
    _with(file, "kid-missing", "no kid", "malformed", header=_without("kid"))
    for slug, value in [("number", 1), ("null", None)]:
        _with(file, f"kid-{slug}", f"kid is a {slug}", "malformed", header=_set("kid", value))
    for slug, value in [
        ("empty", ""),
        ("unknown", "key-1"),
        ("padded", AUTHORITY.kid + "="),
        ("issuer", ISSUER),
        ("of-a-stranger", MALLORY.kid),
        ("of-the-holder", HOLDERS[0].kid),
    ]:
        _with(file, f"kid-{slug}", f"kid {value!r}", "untrusted_root", header=_set("kid", value))
    both = {"trust_anchors": [AUTHORITY.jwk, MALLORY.jwk]}
    made = chain(0, {0: Spec(header=_set("kid", MALLORY.kid))})
    file.reject(
        "kid-of-another-authority",
        "signed by one authority under the kid of another that is believed too",
        "bad_signature",
        0,
        made,
        context=both,
    )
    made = chain(1, {1: Spec(header=_set("kid", AUTHORITY.kid))})
    why = "a link under the authority's kid, signed by its rightful parent"
    file.reject("kid-of-the-authority-on-a-link", why, "bad_signature", 1, made)
    made = chain(1, {1: Spec(key=MALLORY, kid=HOLDERS[0].kid)})
    why = "a stranger signs a link under the parent's kid"
    file.reject("kid-of-the-parent-forged", why, "bad_signature", 1, made)


def _members(file: File) -> None:
    for name, value in [
        ("jwk", AUTHORITY.jwk),
        ("jku", "https://evil.example/keys"),
        ("x5u", "https://evil.example/cert"),
        ("x5c", []),
        ("crit", ["b64"]),
        ("b64", True),
        ("cty", "JWT"),
        ("zip", "DEF"),
        ("ALG", "none"),
    ]:
        why = f"a header member that the profile does not have: {name}"
        _with(file, f"member-{name}", why, "malformed", header=_set(name, value))
    for name, value in [("alg", "none"), ("typ", "JWT"), ("kid", "key-1")]:
        for slug, member in [("first", f'"{name}":"{value}",'), ("escaped", _escaped(name, value))]:
            _with(
                file,
                f"member-{name}-twice-{slug}",
                f"{name} stands twice, the wrong one {slug}",
                "malformed",
                header_text=lambda text, member=member: "{" + member + text[1:],
            )
    reordered = Spec(header=lambda held: {name: held[name] for name in ("kid", "typ", "alg")})
    file.accept("members-reordered", "the order of members says nothing", chain(0, {0: reordered}))
    spaced = Spec(header_text=lambda text: json.dumps(json.loads(text), indent=1))
    file.accept("members-spaced", "white space in the header says nothing", chain(0, {0: spaced}))
    escaped = Spec(header_text=lambda text: text.replace('"alg"', '"\\u0061lg"'))
    file.accept("member-escaped", "an escaped name is the same name", chain(0, {0: escaped}))
    for slug, text in [
        ("list", '["Ed25519"]'),
        ("text", '"Ed25519"'),
        ("nothing", ""),
        ("null", "null"),
        ("not-json", "{alg:Ed25519}"),
    ]:
        why = f"a header that is no JSON object: {slug}"
        _with(file, f"header-{slug}", why, "malformed", header_text=lambda _, text=text: text)


def _escaped(name: str, value: str) -> str:
    return f'"\\u{ord(name[0]):04x}{name[1:]}":"{value}",'


def _compact_form(file: File) -> None:
    for slug, why, change in [
        ("empty", "no token", lambda _: ""),
        ("dots", "three empty parts", lambda _: ".."),
        ("two-parts", "no signature part", lambda token: token.rpartition(".")[0]),
        ("four-parts", "a fourth part", lambda token: token + ".AA"),
        ("five-parts", "five parts, as a JWE has", lambda token: token + ".AA.AA"),
        ("no-header", "an empty header", lambda token: "." + token.partition(".")[2]),
        ("no-payload", "an empty payload", lambda token: _part(token, 1, "")),
        ("bearer", "a scheme in front", lambda token: "Bearer " + token),
        ("quoted", "quotes around", lambda token: f'"{token}"'),
        ("newline", "a newline behind", lambda token: token + "\n"),
        ("comma", "a comma inside of a link", lambda token: token + "," + token),
        ("json-serialization", "the JSON serialization", lambda token: _json_form(token)),
        ("not-ascii", "a dot that looks like one", lambda token: token.replace(".", "\u2024")),
    ]:
        _with(file, f"form-{slug}", why, "malformed", token=change)
    why = "an empty signature"
    _with(file, "form-no-signature", why, "bad_signature", signature=lambda _: b"")


def _part(token: str, at: int, value: str) -> str:
    parts = token.split(".")
    parts[at] = value
    return ".".join(parts)


def _json_form(token: str) -> str:
    header, payload, signature = token.split(".")
    return compact({"protected": header, "payload": payload, "signature": signature})


def _base64(file: File) -> None:
    def change(at: int, how):  # type: ignore[no-untyped-def]
        return lambda token: _part(token, at, how(token.split(".")[at]))

    for at, named in enumerate(["header", "payload", "signature"]):
        for slug, why, how in [
            ("padded", "padding", lambda part: part + "=" * (-len(part) % 4 or 4)),
            ("spaced", "a space inside", lambda part: part[:4] + " " + part[4:]),
            ("standard", "a character of the other alphabet", lambda part: "+" + part[1:]),
            ("percent", "percent encoding", lambda part: part.replace(part[0], "%65", 1)),
        ]:
            why = f"{why} in the {named}"
            _with(file, f"base64-{named}-{slug}", why, "malformed", token=change(at, how))
    for slug, why, how in [
        ("trailing-bits", "a bit beyond the last byte of the signature", _one_more_bit),
        ("length", "a length that no value has", lambda part: part[:-1]),
    ]:
        _with(file, f"base64-{slug}", why, "malformed", token=change(2, how))
    padded = Spec(header_text=lambda text: text + " " * (-(len(text) + 1) % 3))
    made = chain(0, {0: Spec(header_text=padded.header_text, token=change(0, _one_more_bit))})
    why = "a bit beyond the last byte of the header"
    file.reject("base64-header-trailing-bits", why, "malformed", 0, made)


def _one_more_bit(part: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(part) % 4, "the last character holds whole bytes alone"
    return part[:-1] + alphabet[alphabet.index(part[-1]) | 1]
