"""A person's consent to a root: a WebAuthn assertion over its claims."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .files import File
from .keys import Key, b64, sha256
from .world import CONTEXT, HOLDERS, NOW, Spec, chain, compact, put, root_claims

ORIGIN = "https://consent.acme.example"
RP_ID = "acme.example"
CREDENTIAL_ID = b64(b"credential-1")
PASSKEY = Key("passkey", "ES256")
PASSKEY_ED25519 = Key("passkey-ed25519")
TAG = b"chancery/consent/v1\0"


def challenge(claims: dict[str, Any], tag: bytes = TAG) -> bytes:
    """SHA-256 of the tag, a zero byte and the claims without ``prn.apr``: names and texts here are
    such that JSON's own writer and RFC 8785 agree."""
    person = {name: held for name, held in claims["prn"].items() if name != "apr"}
    text = json.dumps(
        {**claims, "prn": person}, separators=(",", ":"), ensure_ascii=False, sort_keys=True
    )
    return sha256(tag + text.encode())


class Person:
    """Somebody who consents; every step may be changed before it is signed or after."""

    def __init__(self, key: Key = PASSKEY, **credential: Any) -> None:
        self.key = key
        self.credential = {
            "credential_id": CREDENTIAL_ID,
            "jwk": key.jwk,
            "rp_id": RP_ID,
            "origin": ORIGIN,
            **credential,
        }

    def assertion(
        self,
        challenged: bytes,
        client: Callable[[Any], Any] | None = None,
        client_text: Callable[[str], str] | None = None,
        data: Callable[[bytes], bytes] | None = None,
        key: Key | None = None,
        signature: Callable[[bytes], bytes] | None = None,
        counter: int = 0,
    ) -> dict[str, Any]:
        members = {
            "type": "webauthn.get",
            "challenge": b64(challenged),
            "origin": ORIGIN,
            "crossOrigin": False,
        }
        if client:
            members = client(members) or members
        text = compact(members)
        client_data = (client_text(text) if client_text else text).encode()
        authenticator = sha256(RP_ID) + b"\x05" + counter.to_bytes(4, "big")
        if data:
            authenticator = data(authenticator)
        signed = (key or self.key).sign_der(authenticator + sha256(client_data))
        if signature:
            signed = signature(signed)
        return {
            "authenticator_data": b64(authenticator),
            "client_data_json": b64(client_data),
            "credential_id": CREDENTIAL_ID,
            "signature": b64(signed),
        }


def consented(
    person: Person,
    edit: Callable[[Any], Any] | None = None,
    consents_to: Callable[[Any], Any] | None = None,
    document: Callable[[Any], Any] | None = None,
    artefact: Callable[[bytes], bytes] | None = None,
    presented: Callable[[bytes], bytes] | None = None,
    tag: bytes = TAG,
    **assertion: Any,
) -> dict[str, Any]:
    """A root that names the artefact, and what is presented with it."""
    claims = root_claims(HOLDERS[0])
    if edit:
        edit(claims)
    agreed = json.loads(json.dumps(claims))
    if consents_to:
        consents_to(agreed)
    made: Any = person.assertion(challenge(agreed, tag), **assertion)
    if document:
        made = document(made) or made
    data = compact(made).encode()
    if artefact:
        data = artefact(data)

    def name(members: Any) -> None:
        if edit:
            edit(members)
        members["prn"]["apr"] = b64(sha256(data))

    shown = presented(data) if presented else data
    return {
        "chain": chain(0, {0: Spec(edit=name)}),
        "consent": {"artefact": b64(shown), "credential": person.credential},
    }


def write() -> File:
    file = File("consents", "adt-vectors/1", "consents to a root", context=CONTEXT)
    person = Person()
    made = consented(person)
    file.accept("es256", "a passkey of P-256", base=True, **made)
    file.accept("ed25519", "a passkey of Ed25519", **consented(Person(PASSKEY_ED25519)))
    unicode = put("prn", "sub", 'z\u00e9\u4e2d"\\\n\u007f')
    file.accept("unicode", "the claims in canonical form", **consented(person, edit=unicode))
    longer = chain(0)
    refuse(
        file,
        "of-another-root",
        "another root's consent",
        "artefact",
        {"chain": longer, "consent": made["consent"]},
    )
    _statement(file, person)
    _document(file, person)
    _client_data(file, person)
    _authenticator_data(file, person)
    _signature(file, person)
    return file


def refuse(file: File, slug: str, why: str, flaw: str, made: dict[str, Any]) -> None:
    links = made.pop("chain")
    file.reject(slug, why, "consent_invalid", None, links, flaw=flaw, **made)


def _statement(file: File, person: Person) -> None:
    for slug, why, change in [
        ("exp", "the person agreed to an earlier end", put("exp", NOW + 60)),
        ("entries", "the person agreed to less", put("authorization_details", [])),
        (
            "holder",
            "the person agreed to another holder",
            put("sub", "spiffe://acme.example/other"),
        ),
        ("key", "the person agreed to another key", put("cnf", "jwk", HOLDERS[1].jwk)),
        (
            "mission",
            "the person agreed to another mission",
            put("mission_s256", b64(sha256("other"))),
        ),
        ("session", "the person agreed to another session", put("sid", "ses_02")),
        ("depth", "the person agreed to less depth", put("del_max_depth", 0)),
        ("person", "another person agreed", put("prn", "sub", "00u9zzzz")),
        ("epoch", "the person agreed in another epoch", put("ep", 6)),
    ]:
        refuse(file, f"other-{slug}", why, "challenge", consented(person, consents_to=change))
    why = "a statement of another kind"
    made = consented(person, tag=b"chancery/approval/v1\0")
    refuse(file, "other-tag", why, "challenge", made)
    refuse(file, "no-tag", "the claims without the tag", "challenge", consented(person, tag=b""))
    why = "the tag without its zero byte"
    refuse(file, "tag-unended", why, "challenge", consented(person, tag=TAG[:-1]))
    space = lambda data: data + b" "
    why = "a byte more than what the root names"
    refuse(file, "artefact-longer", why, "artefact", consented(person, presented=space))
    why = "nothing was presented"
    refuse(file, "artefact-empty", why, "artefact", consented(person, presented=lambda _: b""))


def _document(file: File, person: Person) -> None:
    for name in ["authenticator_data", "client_data_json", "credential_id", "signature"]:
        drop = lambda made, name=name: {held: made[held] for held in made if held != name}
        why = f"an assertion without {name}"
        refuse(file, f"without-{name}", why, "malformed", consented(person, document=drop))
    for slug, why, change in [
        ("unknown", "a member that nobody knows", lambda made: {**made, "user_handle": "AA"}),
        ("number", "a signature that is a number", lambda made: {**made, "signature": 7}),
        ("null", "a signature that is null", lambda made: {**made, "signature": None}),
        ("padded", "padding", lambda made: {**made, "signature": made["signature"] + "="}),
        (
            "standard",
            "the other alphabet",
            lambda made: {**made, "authenticator_data": "+" + made["authenticator_data"][1:]},
        ),
        (
            "client-spaced",
            "a space",
            lambda made: {**made, "client_data_json": made["client_data_json"] + " "},
        ),
        (
            "long-signature",
            "a signature of 97 bytes",
            lambda made: {**made, "signature": b64(bytes(97))},
        ),
        (
            "list",
            "a list of the four values",
            lambda made: [
                made[name]
                for name in ["credential_id", "client_data_json", "authenticator_data", "signature"]
            ],
        ),
        ("text", "a text", lambda made: "assertion"),
    ]:
        refuse(file, f"document-{slug}", why, "malformed", consented(person, document=change))
    for slug, why, change in [
        ("twice", "a member stands twice", lambda data: b'{"signature":"AA",' + data[1:]),
        ("rest", "something behind", lambda data: data + b"x"),
        ("long", "16,385 bytes", lambda data: data[:-1] + b" " * (16_385 - len(data)) + b"}"),
    ]:
        refuse(file, f"document-{slug}", why, "malformed", consented(person, artefact=change))
    longest = lambda data: data[:-1] + b" " * (16_384 - len(data)) + b"}"
    file.accept("document-longest", "16,384 bytes", **consented(person, artefact=longest))
    other = Person(credential_id=b64(b"credential-2"))
    refuse(file, "credential-other", "another credential", "credential", consented(other))


def _client_data(file: File, person: Person) -> None:
    def members(**changed: Any) -> Callable[[Any], Any]:
        return lambda made: {
            name: held for name, held in {**made, **changed}.items() if held is not ...
        }

    accepted = [
        ("client-later", "a member that later versions add", members(later={"a": [1, "b"]})),
        ("client-no-cross-origin", "no crossOrigin", members(crossOrigin=...)),
    ]
    for slug, why, change in accepted:
        file.accept(slug, why, **consented(person, client=change))
    for slug, why, flaw, change in [
        ("type-create", "a registration", "type", members(type="webauthn.create")),
        ("type-payment", "a payment", "type", members(type="payment.get")),
        ("type-case", "a type in another case", "type", members(type="WebAuthn.Get")),
        ("type-missing", "no type", "client_data", members(type=...)),
        ("type-number", "a type that is a number", "client_data", members(type=1)),
        (
            "cross-origin",
            "from a frame of another origin",
            "cross_origin",
            members(crossOrigin=True),
        ),
        ("cross-origin-text", "crossOrigin as a text", "client_data", members(crossOrigin="false")),
        ("cross-origin-null", "crossOrigin is null", "client_data", members(crossOrigin=None)),
        ("top-origin", "a top origin", "cross_origin", members(topOrigin="https://evil.example")),
        ("challenge-missing", "no challenge", "client_data", members(challenge=...)),
        (
            "challenge-short",
            "a challenge of 31 bytes",
            "client_data",
            members(challenge=b64(bytes(31))),
        ),
        ("challenge-other", "another challenge", "challenge", members(challenge=b64(bytes(32)))),
        ("challenge-number", "a challenge that is a number", "client_data", members(challenge=7)),
        ("origin-other", "another origin", "origin", members(origin="https://evil.example")),
        ("origin-port", "another port", "origin", members(origin=ORIGIN + ":8443")),
        ("origin-slash", "an origin with a slash", "origin", members(origin=ORIGIN + "/")),
        (
            "origin-http",
            "an origin without TLS",
            "origin",
            members(origin=ORIGIN.replace("s:", ":")),
        ),
        ("origin-missing", "no origin", "client_data", members(origin=...)),
    ]:
        refuse(file, f"client-{slug}", why, flaw, consented(person, client=change))
    for slug, why, change in [
        (
            "twice",
            "a member stands twice",
            lambda text: text[:-1] + ',"origin":"https://evil.example"}',
        ),
        ("float", "a float", lambda text: text[:-1] + ',"later":1.5}'),
        ("list", "a list", lambda text: f"[{text}]"),
        ("nan", "a number that JSON does not have", lambda text: text[:-1] + ',"later":NaN}'),
        ("rest", "something behind", lambda text: text + "x"),
        ("bom", "a byte order mark in front", lambda text: "\ufeff" + text),
        ("long", "4,097 bytes", lambda text: text + " " * (4_097 - len(text))),
        (
            "padded-challenge",
            "padding behind the challenge",
            lambda text: text.replace('","origin"', '=","origin"'),
        ),
    ]:
        refuse(file, f"client-{slug}", why, "client_data", consented(person, client_text=change))
    longest = lambda text: text + " " * (4_096 - len(text))
    file.accept("client-longest", "4,096 bytes", **consented(person, client_text=longest))


def _authenticator_data(file: File, person: Person) -> None:
    def flags(value: int, rest: bytes = b"") -> Callable[[bytes], bytes]:
        return lambda data: data[:32] + bytes([value]) + data[33:] + rest

    for slug, why, change in [
        ("backed-up", "a key that is copied to other devices", flags(0x1D)),
        ("backup-eligible", "a key that may be copied", flags(0x0D)),
        ("extensions", "an empty map of extensions", flags(0x85, b"\xa0")),
        ("extensions-nested", "extensions", flags(0x85, bytes.fromhex("a2616181f5616244000102ff"))),
    ]:
        file.accept(f"data-{slug}", why, **consented(person, data=change))
    for slug, why, flaw, change in [
        ("not-present", "nobody touched it", "user_not_present", flags(0x04)),
        ("not-verified", "nobody was verified", "user_not_verified", flags(0x01)),
        ("nobody", "neither", "user_not_present", flags(0x00)),
        ("reserved-1", "a reserved bit", "authenticator_data", flags(0x07)),
        ("reserved-5", "a reserved bit", "authenticator_data", flags(0x25)),
        ("attested", "attested credential data", "authenticator_data", flags(0x45)),
        ("backup-impossible", "backed up and not eligible", "authenticator_data", flags(0x15)),
        ("no-extensions", "extensions are missing", "authenticator_data", flags(0x85)),
        (
            "extensions-list",
            "extensions that are a list",
            "authenticator_data",
            flags(0x85, b"\x80"),
        ),
        (
            "extensions-cut",
            "extensions are cut off",
            "authenticator_data",
            flags(0x85, b"\xa1\x61"),
        ),
        (
            "extensions-rest",
            "something behind the extensions",
            "authenticator_data",
            flags(0x85, b"\xa0\0"),
        ),
        (
            "extensions-unsaid",
            "extensions that no flag says",
            "authenticator_data",
            flags(0x05, b"\xa0"),
        ),
        (
            "extensions-long",
            "extensions of 1,025 bytes",
            "authenticator_data",
            flags(0x85, b"\xa1\x61a\x59\x03\xfb" + bytes(1_019)),
        ),
        ("short", "36 bytes", "authenticator_data", lambda data: data[:36]),
        ("long", "38 bytes", "authenticator_data", lambda data: data + b"\0"),
        ("empty", "nothing", "authenticator_data", lambda _: b""),
        (
            "other-party",
            "another relying party",
            "relying_party",
            lambda data: sha256("evil.example") + data[32:],
        ),
        (
            "sub-party",
            "a part of the relying party",
            "relying_party",
            lambda data: sha256("consent.acme.example") + data[32:],
        ),
    ]:
        refuse(file, f"data-{slug}", why, flaw, consented(person, data=change))


def _signature(file: File, person: Person) -> None:
    for slug, why, signature in [
        ("flipped", "a bit is flipped", lambda held: held[:-1] + bytes([held[-1] ^ 1])),
        ("empty", "nothing", lambda _: b""),
        ("cut", "a byte is missing", lambda held: held[:-1]),
        ("rest", "a byte behind", lambda held: held + b"\0"),
        ("long-form", "a length in the long form", lambda held: b"\x30\x81" + held[1:]),
        (
            "padded-r",
            "a needless zero before r",
            lambda held: bytes([0x30, held[1] + 1, 2, held[3] + 1, 0]) + held[4:],
        ),
    ]:
        made = consented(person, signature=signature)
        refuse(file, f"signature-{slug}", why, "signature", made)
    made = consented(person, key=Key("another-passkey", "ES256"))
    refuse(file, "signature-stranger", "somebody else signed", "signature", made)
    fixed = Person(PASSKEY)
    fixed.key = PASSKEY
    raw = lambda signed: _raw(signed)
    why = "the 64 bytes of JOSE instead of DER"
    refuse(file, "signature-raw", why, "signature", consented(person, signature=raw))
    for slug, counter, last, rises in [
        ("rises", 6, 5, True),
        ("first", 1, 0, True),
        ("never", 0, 0, True),
        ("unknown", 5, None, True),
        ("stands", 5, 5, False),
        ("falls", 4, 5, False),
        ("vanishes", 0, 5, False),
    ]:
        known = Person(**({} if last is None else {"last_counter": last}))
        made = consented(known, counter=counter)
        why = f"a counter of {counter} after {last}"
        if rises:
            file.accept(f"counter-{slug}", why, **made)
        else:
            refuse(file, f"counter-{slug}", why, "counter", made)


def _raw(signed: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signed))
