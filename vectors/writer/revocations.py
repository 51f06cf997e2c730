"""What is revoked, and which link of a chain it ends."""

from __future__ import annotations

from typing import Any

from .files import File
from .keys import hex_of, sha256
from .world import (
    AUTHORITY,
    CONTEXT,
    EPOCH,
    HOLDERS,
    HOLDERS_P256,
    NOW,
    OTHER_GATEWAY,
    Claims,
    Spec,
    chain,
    drop,
    put,
    subject,
    tool,
)

KINDS = ["token", "session", "mission", "agent", "instance", "person", "key", "consent"]
SESSION = "ses_7zzzzzzzzzzzzzzzzzzzzzzzzz"
PERSON = "per_7zzzzzzzzzzzzzzzzzzzzzzzzz"
MISSION = "sha256:" + sha256("mission").hex()
AGENTS = [f"spiffe://acme.example/agent/{name}" for name in ("planner", "reader", "writer")]
WORKER = "spiffe://acme.example/agent/worker"


def revocation(kind: str, id: str, at: int = NOW * 1_000_000) -> Claims:
    return {"kind": kind, "id": id, "at": at}


def revoked(*named: tuple[str, str]) -> dict[str, Any]:
    """A context in which these are revoked, in the order in which a set is written."""
    ordered = sorted(named, key=lambda one: (KINDS.index(one[0]), one[1]))
    return {"revoked": [revocation(kind, id) for kind, id in ordered]}


def thumbprint(number: int) -> str:
    return "sha256:" + hex_of(HOLDERS[number].kid)


def named(specs: dict[int, Spec] | None = None, links: int = 2, **options: Any) -> list[str]:
    """A chain whose root is for a session and a person that a revocation can name."""

    def edit(claims: Claims) -> None:
        claims["sid"] = SESSION
        claims["prn"]["sub"] = PERSON

    return chain(links, {0: Spec(edit=edit), **(specs or {})}, **options)


def crew() -> list[str]:
    """A chain of instances of three agents."""

    def root(claims: Claims) -> None:
        claims["sub"] = f"{AGENTS[0]}/instance/0"

    held = {at: Spec(edit=put("sub", f"{AGENTS[at]}/instance/{at}")) for at in (1, 2)}
    return chain(2, {0: Spec(edit=root), **held})


def write() -> File:
    note = "what is revoked, and which link it ends"
    file = File("revocations", "adt-vectors/1", note, context=CONTEXT)
    file.accept("none", "nothing is revoked", named(), base=True)
    _each_kind(file)
    _agents(file)
    _look_alikes(file)
    _other_kinds(file)
    _which_is_named(file)
    _among_other_defects(file)
    _times(file)
    return file


def _ends(
    file: File,
    slug: str,
    why: str,
    link: int,
    kind: str,
    made: list[str],
    context: dict[str, Any],
) -> None:
    file.reject(slug, why, "revoked", link, made, context=context, revoked=kind)


def _each_kind(file: File) -> None:
    made = named()
    for at in range(3):
        for kind, id in [
            ("token", f"del-{at}"),
            ("instance", subject(at)),
            ("key", thumbprint(at)),
        ]:
            why = f"the {kind} of link {at} is revoked"
            _ends(file, f"{kind}-{at}", why, at, kind, made, revoked((kind, id)))
    for kind, id in [("session", SESSION), ("mission", MISSION), ("person", PERSON)]:
        why = f"the {kind} of the root is revoked: every link below dies with it"
        _ends(file, kind, why, 0, kind, made, revoked((kind, id)))
    for at in range(3):
        why = f"the agent of link {at} is revoked, and its instance with it"
        _ends(file, f"agent-{at}", why, at, "agent", crew(), revoked(("agent", AGENTS[at])))
    curved = named(holders=HOLDERS_P256)
    key = "sha256:" + hex_of(HOLDERS_P256[1].kid)
    _ends(file, "key-p256", "a P-256 key of link 1", 1, "key", curved, revoked(("key", key)))
    alone = named(links=0)
    for kind, id in [("token", "del-0"), ("instance", subject(0)), ("session", SESSION)]:
        why = f"a root without links, its {kind} revoked"
        _ends(file, f"root-alone-{kind}", why, 0, kind, alone, revoked((kind, id)))


def _agents(file: File) -> None:
    why = "an agent takes all its instances along; the first one is named"
    _ends(file, "agent-of-all", why, 0, "agent", named(), revoked(("agent", WORKER)))
    for slug, holder, agent in [
        ("itself", WORKER, WORKER),
        ("nested", f"{WORKER}/instance/1/instance/2", WORKER),
        ("deep", "spiffe://acme.example/a/b/c/instance/1", "spiffe://acme.example/a/b/c"),
        ("instance-inside", "spiffe://acme.example/instances/instance/1", "spiffe://acme.example/instances"),
    ]:
        made = chain(0, {0: Spec(edit=put("sub", holder))})
        why = f"the holder is of the agent before the first /instance/: {slug}"
        _ends(file, f"agent-{slug}", why, 0, "agent", made, revoked(("agent", agent)))
    for slug, holder, agent in [
        ("below", f"{WORKER}/helper/instance/1", WORKER),
        ("above", f"{WORKER}/instance/1", f"{WORKER}/helper"),
        ("case-of-instance", f"{WORKER}/Instance/1", WORKER),
        ("instance-at-the-end", f"{WORKER}/instance", WORKER),
        ("instance-first", "spiffe://acme.example/instance/1", "spiffe://acme.example/instance"),
    ]:
        made = chain(0, {0: Spec(edit=put("sub", holder))})
        why = f"the holder is of another agent: {slug}"
        file.accept(f"agent-not-{slug}", why, made, context=revoked(("agent", agent)))


def _look_alikes(file: File) -> None:
    made = named()
    last = {"ses": SESSION[:-1] + "y", "per": PERSON[:-1] + "y"}
    first = {"ses": SESSION.replace("7z", "6z"), "per": PERSON.replace("7z", "6z")}
    flipped = f"{int(MISSION[-1], 16) ^ 1:x}"
    for slug, kind, id in [
        ("token-prefix", "token", "del-"),
        ("token-longer", "token", "del-10"),
        ("token-case", "token", "DEL-1"),
        ("token-next", "token", "del-3"),
        ("session-last", "session", last["ses"]),
        ("session-first", "session", first["ses"]),
        ("person-last", "person", last["per"]),
        ("person-first", "person", first["per"]),
        ("mission-last", "mission", MISSION[:-1] + flipped),
        ("agent-prefix", "agent", "spiffe://acme.example/agent/work"),
        ("agent-longer", "agent", "spiffe://acme.example/agent/worker2"),
        ("agent-parent", "agent", "spiffe://acme.example/agent"),
        ("agent-case", "agent", "spiffe://acme.example/agent/Worker"),
        ("agent-domain", "agent", "spiffe://other.example/agent/worker"),
        ("agent-domain-prefix", "agent", "spiffe://acme.exampl/agent/worker"),
        ("agent-instance", "agent", f"{WORKER}/instance0"),
        ("instance-longer", "instance", subject(1) + "0"),
        ("instance-agent", "instance", WORKER),
        ("instance-folder", "instance", f"{WORKER}/instance"),
        ("instance-domain", "instance", subject(1).replace("acme", "other")),
        ("instance-trust-domain", "instance", "spiffe://acme.example"),
        ("instance-child", "instance", subject(1) + "/a"),
        ("key-next", "key", thumbprint(3)),
        ("key-authority", "key", "sha256:" + hex_of(AUTHORITY.kid)),
    ]:
        file.accept(f"not-{slug}", f"another {kind} is revoked: {slug}", made, context=revoked((kind, id)))
    both = revoked(("agent", "spiffe://acme.example/agent/work"), ("instance", subject(3)), ("key", thumbprint(3)))
    file.accept("not-many", "others are revoked", made, context=both)


def _other_kinds(file: File) -> None:
    """Identifiers that are right, said of another kind."""
    made = named()
    ids = {
        "token": "del-1",
        "session": SESSION,
        "mission": MISSION,
        "agent": WORKER,
        "instance": subject(1),
        "person": PERSON,
        "key": thumbprint(1),
    }
    for kind, id in ids.items():
        if kind != "token":
            why = f"the identifier of the {kind}, revoked as a token"
            file.accept(f"token-as-{kind}", why, made, context=revoked(("token", id)))
    for kind, other in [("mission", "key"), ("key", "mission"), ("agent", "instance")]:
        why = f"the identifier of the {kind}, revoked as {other}"
        file.accept(f"{kind}-as-{other}", why, made, context=revoked((other, ids[kind])))
    hashes = made[1].rpartition(".")[0]
    id = "sha256:" + sha256(hashes).hex()
    file.accept("par-hash-as-key", "the hash of a link, revoked as a key", made, context=revoked(("key", id)))


def _which_is_named(file: File) -> None:
    made = named()
    of_link = [("token", "del-1"), ("key", thumbprint(1)), ("instance", subject(1)), ("agent", WORKER)]
    crewed = crew()
    held = [
        ("token", "del-1"),
        ("key", thumbprint(1)),
        ("instance", f"{AGENTS[1]}/instance/1"),
        ("agent", AGENTS[1]),
    ]
    for first in range(3):
        kind = held[first][0]
        why = f"all of a link from its {kind} on is revoked: {kind} is named"
        _ends(file, f"first-{kind}", why, 1, kind, crewed, revoked(*held[first:]))
    of_root = [("session", SESSION), ("mission", MISSION), ("person", PERSON)]
    for first in range(2):
        kind = of_root[first][0]
        why = f"all of the root from its {kind} on is revoked: {kind} is named"
        _ends(file, f"first-{kind}", why, 0, kind, made, revoked(*of_root[first:]))
    context = revoked(("agent", WORKER), *of_root)
    why = "the holder of the root is looked at before its session"
    _ends(file, "holder-before-session", why, 0, "agent", made, context)
    context = revoked(*of_root, *of_link[:3])
    why = "the root is looked at before its links"
    _ends(file, "root-before-links", why, 0, "session", made, context)
    context = revoked(("token", "del-2"), ("key", thumbprint(1)))
    _ends(file, "link-1-before-2", "the first link is named", 1, "key", made, context)


def _among_other_defects(file: File) -> None:
    token = revoked(("token", "del-1"))
    made = named({1: Spec(edit=put("exp", NOW))})
    file.reject("expired-too", "over and revoked: over", "expired", 1, made, context=token)
    made = named({1: Spec(edit=put("aud", [OTHER_GATEWAY]))})
    why = "for an audience that it never had, and revoked"
    file.reject("audience-too", why, "audience_escalation", 1, made, context=token)
    made = named({1: Spec(key=HOLDERS[5])})
    why = "what nobody signed is not called revoked"
    file.reject("forged-too", why, "bad_signature", 1, made, context=token)
    made = named({2: Spec(key=HOLDERS[5])})
    why = "link 1 is revoked before link 2 is looked at"
    _ends(file, "forged-below", why, 1, "token", made, token)
    made = named({2: Spec(edit=put("authorization_details", [tool("write_file")]))})
    _ends(file, "wider-below", why, 1, "token", made, token)
    made = named({2: Spec(header=put("typ", "JWT"))})
    why = "all links are read before any is judged"
    file.reject("typ-below", why, "wrong_typ", 2, made, context=token)
    made = named({2: Spec(edit=drop("jti"))})
    why = "the claims of a link are read after the links above it were judged"
    _ends(file, "claims-below", why, 1, "token", made, token)
    stale = {"current_epoch": EPOCH + 1}
    why = "of an earlier epoch, and revoked: revoked"
    _ends(file, "epoch-too", why, 1, "token", named(), {**token, **stale})
    why = "of an earlier epoch, others revoked"
    others = {**revoked(("token", "del-3")), **stale}
    file.reject("epoch-alone", why, "stale_epoch", 0, named(), context=others)


def _times(file: File) -> None:
    made = named()
    for slug, at in [("zero", 0), ("future", (NOW + 9_999) * 1_000_000), ("last", 2**53 - 1)]:
        context = {"revoked": [revocation("token", "del-1", at)]}
        why = f"what is revoked is revoked, whatever its time: {slug}"
        _ends(file, f"at-{slug}", why, 1, "token", made, context)
