"""Standing consents: a person's WebAuthn assertion over what many roots may be at most."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .consents import Person, refuse
from .files import File
from .keys import Key, b64, sha256
from .revocations import revoked
from .world import CONTEXT, EPOCH, GATEWAY, HOLDERS, ISSUER, NOW, OTHER_GATEWAY, Spec
from .world import chain, compact, put, read_src, root_claims, tool

TAG = b"chancery/standing/v1\0"
ID = "cns_00000000000000000000000001"
OTHER_ID = "cns_00000000000000000000000002"
PERSON = "per_00000000000000000000000001"

Edit = Callable[[Any], Any]


def statement() -> dict[str, Any]:
    return {
        "standing": "chancery/standing/v1",
        "id": ID,
        "issuer": ISSUER,
        "person": PERSON,
        "signed_at": (NOW - 600) * 1_000_000,
        "epoch": EPOCH,
        "mission": "sha256:" + sha256("mission").hex(),
        "agent": "spiffe://acme.example/agent/worker",
        "gateway": GATEWAY,
        "entries": [read_src()],
        "max_uses": 3,
        "max_seconds": 3_600,
        "max_depth": 7,
        "expires_at": (NOW + 86_400) * 1_000_000,
    }


def challenge(signed: dict[str, Any], tag: bytes = TAG) -> bytes:
    text = json.dumps(signed, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return sha256(tag + text.encode())


def stands(
    edit: Edit | None = None,
    stated: Edit | None = None,
    after: Edit | None = None,
    document: Edit | None = None,
    artefact: Callable[[bytes], bytes] | None = None,
    tag: bytes = TAG,
    person: Person | None = None,
    **assertion: Any,
) -> dict[str, Any]:
    """A root that is the second use of a standing consent, and the consent. ``edit`` changes the
    root, ``stated`` what the person signs, ``after`` what stands there afterwards."""
    person = person or Person()
    said = statement()
    if stated:
        stated(said)
    made: Any = {"assertion": person.assertion(challenge(said, tag), **assertion)}
    if after:
        after(said)
    made["statement"] = said
    if document:
        made = document(made) or made
    data = compact(made).encode()
    if artefact:
        data = artefact(data)

    def root(members: Any) -> None:
        members["exp"] = NOW + 3_540
        members["prn"].update(iss=ISSUER, sub=PERSON, standing={"consent": ID, "use": 2})
        if edit:
            edit(members)
        members["prn"]["apr"] = b64(sha256(data))

    return {
        "chain": chain(0, {0: Spec(edit=root)}),
        "consent": {"artefact": b64(data), "credential": person.credential},
    }


def write() -> File:
    file = File("standing", "adt-vectors/1", "roots that rest on a standing consent", context=CONTEXT)
    file.accept("second", "the second use of three", base=True, **stands())
    file.accept("first", "the first use", **stands(put("prn", "standing", "use", 1)))
    file.accept("last", "the last use", **stands(put("prn", "standing", "use", 3)))
    file.accept("shorter", "a shorter life than it lets", **stands(put("exp", NOW + 60)))
    file.accept("shallower", "less depth than it lets", **stands(put("del_max_depth", 0)))
    file.accept("spaced", "the statement in another spelling", **stands(artefact=_spaced))
    _claim(file)
    _terms(file)
    _statement(file)
    _signature(file)
    _document(file)
    _revoked(file)
    return file


def _spaced(data: bytes) -> bytes:
    return data.replace(b'"max_uses":3', b'"max_uses": 3')


def _claim(file: File) -> None:
    """The claim itself, which the chain check reads."""
    for slug, why, value in [
        ("zero", "uses are counted from 1 on", {"consent": ID, "use": 0}),
        ("text", "a number that is a text", {"consent": ID, "use": "2"}),
        ("no-use", "no number", {"consent": ID}),
        ("no-consent", "no consent", {"use": 2}),
        ("other-kind", "an id of another kind", {"consent": PERSON, "use": 2}),
        ("upper", "an id in upper case", {"consent": ID.upper(), "use": 2}),
        ("more", "a member that nobody knows", {"consent": ID, "use": 2, "of": 3}),
        ("null", "null", None),
        ("number", "a number alone", 2),
    ]:
        made = stands(put("prn", "standing", value))
        links = made.pop("chain")
        file.reject(f"claim-{slug}", why, "malformed", 0, links, **made)


def _terms(file: File) -> None:
    longer = HOLDERS[0]
    assert root_claims(longer)["iat"] == NOW - 60
    for slug, why, flaw, edit in [
        ("consent", "another consent", "other", put("prn", "standing", "consent", OTHER_ID)),
        ("person", "another person", "person", put("prn", "sub", PERSON[:-1] + "2")),
        ("knower", "known by another", "person", put("prn", "iss", "https://idp.acme.example")),
        ("time", "authenticated a second later", "person", put("prn", "auth_time", NOW - 599)),
        ("mission", "another mission", "mission", put("mission_s256", b64(sha256("other")))),
        ("agent", "an agent whose name is longer", "agent", put("sub", _instance("workers"))),
        ("sub-agent", "an agent below", "agent", put("sub", _instance("worker/sub"))),
        ("no-instance", "no instance", "agent", put("sub", "spiffe://acme.example/agent/worker")),
        ("gateways", "two gateways", "gateway", put("aud", [GATEWAY, OTHER_GATEWAY])),
        ("wider", "more than is stated", "scope", put("authorization_details", [tool()])),
        ("twice", "an entry twice", "scope", put("authorization_details", [read_src()] * 2)),
        ("nothing", "nothing", "scope", put("authorization_details", [])),
        ("second-longer", "a second longer", "lifetime", put("exp", NOW + 3_541)),
        ("issued-earlier", "a second longer since iat", "lifetime", put("iat", NOW - 61)),
        ("begun-earlier", "a second longer since nbf", "lifetime", put("nbf", NOW - 61)),
        ("fourth", "a use beyond the last", "used_up", put("prn", "standing", "use", 4)),
        ("far", "a use far beyond", "used_up", put("prn", "standing", "use", 2**53 - 1)),
    ]:
        refuse(file, f"root-{slug}", why, f"consent_{flaw}", stands(edit))
    for slug, why, flaw, stated in [
        ("issuer", "another authority", "person", put("issuer", "https://other.example")),
        ("depth", "less depth", "depth", put("max_depth", 6)),
        ("epoch", "another epoch", "epoch", put("epoch", EPOCH - 1)),
        ("once", "one use", "used_up", put("max_uses", 1)),
        ("date", "a date before the root's end", "expired", put("expires_at", _at(3_539))),
    ]:
        refuse(file, f"stated-{slug}", why, f"consent_{flaw}", stands(stated=stated))
    exact = stands(stated=put("expires_at", _at(3_540)))
    file.accept("stated-date-exact", "a date at the root's end", **exact)
    plain = stands(lambda members: members["prn"].pop("standing"))
    refuse(file, "claim-missing", "a root that names no use", "kind", plain)
    own = Person().assertion(sha256("some root"))
    single = stands(document=lambda _: own)
    refuse(file, "consent-single", "an assertion alone", "kind", single)


def _at(seconds: int) -> int:
    return (NOW + seconds) * 1_000_000


def _instance(agent: str) -> str:
    return f"spiffe://acme.example/agent/{agent}/instance/0"


def _statement(file: File) -> None:
    for slug, why, stated in [
        ("no-uses", "no use", put("max_uses", 0)),
        ("many-uses", "10,001 uses", put("max_uses", 10_001)),
        ("no-time", "no time", put("max_seconds", 0)),
        ("long", "an hour and a second", put("max_seconds", 3_601)),
        ("no-entries", "no entry", put("entries", [])),
        ("many-entries", "65 entries", put("entries", [read_src()] * 65)),
        ("wildcard", "an entry that is none", put("entries", [tool("*")])),
        ("ended", "an end at its beginning", put("expires_at", _at(-600))),
    ]:
        refuse(file, f"statement-{slug}", why, "statement", stands(stated=stated))
    most = stands(stated=put("max_uses", 10_000))
    file.accept("statement-most", "10,000 uses", **most)
    for slug, why, stated in [
        ("form", "another form", put("standing", "chancery/standing/v2")),
        ("unknown", "a member that nobody knows", put("note", "x")),
        ("missing", "no end", lambda said: said.pop("expires_at")),
        ("id-kind", "an id of another kind", put("id", PERSON)),
        ("person-kind", "a person that is none", put("person", ID)),
        ("negative", "a negative number", put("max_uses", -1)),
        ("number-text", "a number as a text", put("max_uses", "3")),
        ("mission-form", "a mission in base64url", put("mission", b64(sha256("mission")))),
        ("agent-form", "an instance as an agent", put("agent", _instance("worker"))),
        ("agent-domain", "a trust domain as an agent", put("agent", "spiffe://acme.example")),
        ("entries-object", "entries that are no list", put("entries", {})),
        ("gateway-null", "no gateway", put("gateway", None)),
        ("inexact", "a number that not every reader has exactly", put("expires_at", 2**53)),
    ]:
        refuse(file, f"statement-{slug}", why, "malformed", stands(stated=stated))


def _signature(file: File) -> None:
    for slug, why, after in [
        ("uses", "more uses than were signed", put("max_uses", 9)),
        ("seconds", "a longer life than was signed", put("max_seconds", 3_599)),
        ("date", "a later date than was signed", put("expires_at", _at(90_000))),
        ("gateway", "another gateway than was signed", put("gateway", OTHER_GATEWAY)),
        ("epoch", "another epoch than was signed", put("epoch", EPOCH + 1)),
        ("entries", "other entries than were signed", put("entries", [tool()])),
    ]:
        refuse(file, f"altered-{slug}", why, "challenge", stands(after=after))
    consent = stands(tag=b"chancery/consent/v1\0")
    refuse(file, "other-tag", "a statement of another kind", "challenge", consent)
    refuse(file, "no-tag", "the statement without the tag", "challenge", stands(tag=b""))
    stranger = stands(key=Key("another-passkey", "ES256"))
    refuse(file, "stranger", "somebody else signed", "signature", stranger)


def _document(file: File) -> None:
    for slug, why, document in [
        ("unknown", "a member that nobody knows", lambda made: {**made, "more": 1}),
        ("unsigned", "no assertion", lambda made: {"statement": made["statement"]}),
        ("list", "a list of both", lambda made: [made["statement"], made["assertion"]]),
        (
            "assertion-list",
            "an assertion that is a list",
            lambda made: {**made, "assertion": list(made["assertion"].values())},
        ),
        (
            "statement-list",
            "a statement that is a list",
            lambda made: {**made, "statement": list(made["statement"].values())},
        ),
    ]:
        refuse(file, f"document-{slug}", why, "malformed", stands(document=document))
    twice = lambda data: data.replace(b'"max_uses":3', b'"max_uses":3,"max_uses":9')
    refuse(file, "document-twice", "a member twice", "malformed", stands(artefact=twice))
    long = lambda data: data[:-1] + b" " * (32_769 - len(data)) + b"}"
    refuse(file, "document-long", "32,769 bytes", "malformed", stands(artefact=long))
    longest = lambda data: data[:-1] + b" " * (32_768 - len(data)) + b"}"
    file.accept("document-longest", "32,768 bytes", **stands(artefact=longest))


def _revoked(file: File) -> None:
    """What rests on a revoked consent is dead, with what is below it."""

    def root(members: Any) -> None:
        members["prn"].update(iss=ISSUER, sub=PERSON, standing={"consent": ID, "use": 2})

    links = chain(2, {0: Spec(edit=root)})
    gone = revoked(("consent", ID))
    alone = chain(0, {0: Spec(edit=root)})
    for slug, why, made in [("root", "a root alone", alone), ("links", "links below", links)]:
        why = f"the standing consent is revoked: {why}"
        more = {"context": gone, "revoked": "consent"}
        file.reject(f"revoked-{slug}", why, "revoked", 0, made, **more)
    context = revoked(("person", PERSON), ("consent", ID))
    why = "the person is named before the consent"
    file.reject("revoked-person", why, "revoked", 0, links, context=context, revoked="person")
    other = revoked(("consent", OTHER_ID), ("token", ID))
    file.accept("revoked-other", "another consent is revoked", links, context=other)
    file.accept("revoked-single", "a root that rests on none", chain(2), context=gone)
