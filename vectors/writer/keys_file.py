"""Keys by themselves, and as holders."""

from __future__ import annotations

from typing import Any

from .files import File
from .keys import P256_FIELD, Key, b64, thumbprint
from .world import CONTEXT, HOLDERS, HOLDERS_P256, Spec, chain, compact, put

FIELD = 2**255 - 19
ORDER_8 = [
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]


def write() -> list[File]:
    return [_alone(), _held()]


def _ed25519(y: int, sign: int = 0) -> dict[str, Any]:
    return {**HOLDERS[0].jwk, "x": b64((y | sign << 255).to_bytes(32, "little"))}


def _weak() -> list[tuple[str, str, Any]]:
    eight = [int.from_bytes(bytes.fromhex(text), "little") for text in ORDER_8]
    points = [("1", 1, "1"), ("2", FIELD - 1, "2"), ("4", 0, "4")]
    points += [("8-a", eight[0], "8"), ("8-b", eight[1], "8")]
    found = []
    for slug, y, order in points:
        for sign in [0, 1]:
            why = f"a point of order {order}, sign bit {sign}"
            found.append((f"order-{slug}-sign-{sign}", why, _ed25519(y, sign)))
    for slug, y in [("0", FIELD), ("1", FIELD + 1), ("3", FIELD + 3), ("18", FIELD + 18)]:
        why = f"the second spelling of y = {slug}"
        found.append((f"unreduced-{slug}", why, _ed25519(y)))
    found.append(("unreduced-3-sign", "the second spelling of y = 3", _ed25519(FIELD + 3, 1)))
    return found


def _shapes() -> list[tuple[str, str, Any]]:
    good, p256 = HOLDERS[1].jwk, HOLDERS_P256[1].jwk
    x, y = (int.from_bytes(_decode(p256[name]), "big") for name in "xy")
    without = lambda jwk, name: {held: jwk[held] for held in jwk if held != name}
    found = [(f"without-{name}", f"no {name}", without(good, name)) for name in good]
    found += [(f"p256-without-{name}", f"no {name}", without(p256, name)) for name in p256]
    for slug, value in [
        ("alg-eddsa", {**good, "alg": "EdDSA"}),
        ("alg-es256", {**good, "alg": "ES256"}),
        ("alg-null", {**good, "alg": None}),
        ("crv-x25519", {**good, "crv": "X25519"}),
        ("crv-ed448", {**good, "crv": "Ed448"}),
        ("kty-case", {**good, "kty": "okp"}),
        ("kty-ec", {**good, "kty": "EC"}),
        ("kty-oct", {"kty": "oct", "k": "AA"}),
        ("private", {**good, "d": b64(bytes(32))}),
        ("use", {**good, "use": "sig"}),
        ("kid", {**good, "kid": "key-1"}),
        ("key-ops", {**good, "key_ops": ["verify"]}),
        ("y", {**good, "y": b64(bytes(32))}),
        ("y-null", {**good, "y": None}),
        ("p256-private", {**p256, "d": b64(bytes(32))}),
        ("p256-y-null", {**p256, "y": None}),
        ("p256-crv-384", {**p256, "crv": "P-384"}),
        ("p256-crv-k1", {**p256, "crv": "secp256k1"}),
        ("p256-kty-okp", {**p256, "kty": "OKP"}),
        ("p256-alg-ed25519", {**p256, "alg": "Ed25519"}),
        ("x-31-bytes", {**good, "x": b64(_decode(good["x"])[:31])}),
        ("x-33-bytes", {**good, "x": b64(_decode(good["x"]) + b"\0")}),
        ("x-padded", {**good, "x": good["x"] + "="}),
        ("x-trailing-bits", {**good, "x": good["x"][:-1] + _next(good["x"][-1])}),
        ("x-standard", {**good, "x": "+" + good["x"][1:]}),
        ("x-hex", {**good, "x": _decode(good["x"]).hex()}),
        ("x-empty", {**good, "x": ""}),
        ("x-number", {**good, "x": 7}),
        ("p256-x-short", {**p256, "x": b64(_decode(p256["x"])[1:])}),
        ("p256-x-led", {**p256, "x": b64(b"\0" + _decode(p256["x"]))}),
        ("p256-off-curve", {**p256, "y": b64(((y + 1) % P256_FIELD).to_bytes(32, "big"))}),
        ("p256-swapped", {**p256, "x": p256["y"], "y": p256["x"]}),
        ("p256-zero", {**p256, "x": b64(bytes(32)), "y": b64(bytes(32))}),
        ("p256-unreduced", {**p256, "x": b64(((x + P256_FIELD) % 2**256).to_bytes(32, "big"))}),
        ("p256-largest", {**p256, "x": b64(b"\xff" * 32), "y": b64(b"\xff" * 32)}),
        ("list", ["OKP", "Ed25519", "Ed25519", good["x"]]),
        ("list-p256", ["EC", "P-256", "ES256", p256["x"], p256["y"]]),
        ("text", good["x"]),
        ("null", None),
        ("empty", {}),
        ("key-set", {"keys": [good]}),
    ]:
        found.append((slug, f"no key of ours: {slug}", value))
    return found


def _decode(text: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _next(character: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) | 1]


def _alone() -> File:
    file = File("keys", "chancery-key-vectors/1", "keys as JSON texts, and their thumbprints")
    rfc = {"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519"}
    rfc["x"] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    expected = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    why = "the key of RFC 8037 appendix A.2, thumbprint of A.3"
    assert thumbprint(rfc) == expected
    file.base = file.add("rfc-8037", why, jwk=compact(rfc), expect="accept", **{"is": expected})
    for slug, key in [("ed25519", HOLDERS[0]), ("p256", Key("another", "ES256"))]:
        members = dict(reversed(key.jwk.items()))
        why = "the order of members says nothing"
        file.add(slug, why, jwk=compact(members), expect="accept", **{"is": key.kid})
    for slug, why, value in _weak() + _shapes():
        file.add(slug, why, jwk=compact(value), expect="bad_key")
    text = compact(HOLDERS[1].jwk)
    for slug, why, bad in [
        ("twice", "a member stands twice", '{"x":"AA",' + text[1:]),
        ("twice-equal", "a member stands twice, equal", '{"kty":"OKP",' + text[1:]),
        ("not-json", "no JSON", text[:-1]),
    ]:
        file.add(slug, why, jwk=bad, expect="bad_key")
    return file


def _held() -> File:
    file = File("holders", "adt-vectors/1", "keys as holders of a chain", context=CONTEXT)
    file.accept("link", "a root and a link", chain(1), base=True)
    for slug, why, value in _weak() + _shapes():
        made = chain(1, {1: Spec(edit=put("cnf", "jwk", value))})
        file.reject(slug, why, "bad_key", 1, made)
    return file
