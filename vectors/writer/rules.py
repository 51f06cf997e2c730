"""The operator's rules, and which link of a chain breaks them."""

from __future__ import annotations

from typing import Any

from .files import File
from .revocations import AGENTS, WORKER, crew, revoked
from .world import (
    AUTHORITY,
    CONTEXT,
    HOLDERS,
    HOLDERS_P256,
    NOW,
    Claims,
    Spec,
    chain,
    compact,
    put,
    subject,
)

FORM = "chancery/delegation-rules/v1"
LEVELS = ["software-only/process", "software-only/launch", "tpm", "sev-snp", "tdx"]


def rules(**members: Any) -> str:
    return compact({"rules": FORM, **members})


def write() -> File:
    note = "the operator's rules, and which link breaks them"
    file = File("rules", "adt-vectors/1", note, context=CONTEXT)
    file.accept("none", "rules without any rule", chain(2), base=True, rules=rules())
    _lifetimes(file)
    _depth(file)
    _trust_domains(file)
    _agents(file)
    _keys(file)
    _attestation(file)
    _order(file)
    _exact_agents(file)
    return file


def _keeps(file: File, slug: str, why: str, made: list[str], **members: Any) -> None:
    file.accept(slug, why, made, rules=rules(**members))


def _breaks(
    file: File, slug: str, why: str, rule: str, at: int, made: list[str], **members: Any
) -> None:
    file.reject(slug, why, f"rules_{rule}", at, made, rules=rules(**members))


def _lifetimes(file: File) -> None:
    """A root lives from NOW-60 to NOW+3600, each link a minute less."""
    made = chain(2)
    most = lambda seconds: {"max_seconds": seconds}
    _keeps(file, "root-at-most", "a root lives as long as it may", made, root=most(3_660))
    why = "a root lives a second too long"
    _breaks(file, "root-too-long", why, "lifetime", 0, made, root=most(3_659))
    _keeps(file, "link-at-most", "the first link lives as long as it may", made, link=most(3_600))
    why = "the first link lives a second too long"
    _breaks(file, "link-too-long", why, "lifetime", 1, made, link=most(3_599))
    why = "what holds links does not hold a root"
    _keeps(file, "link-not-root", why, chain(0), link=most(1))
    early = chain(2, {2: Spec(edit=put("iat", NOW - 500))})
    why = "what holds roots does not hold a link"
    _keeps(file, "root-not-link", why, early, root=most(3_660))
    why = "a link that says that it was made early lives from then on"
    _keeps(file, "early-at-most", why, early, link=most(3_980))
    _breaks(file, "early-too-long", why, "lifetime", 2, early, link=most(3_979))
    for slug, at in [("late", NOW + 300), ("after-its-end", NOW + 9_999)]:
        late = chain(1, {1: Spec(edit=put("iat", at))})
        why = f"no word of the maker shortens a life: iat {slug}"
        _keeps(file, f"{slug}-at-most", why, late, link=most(3_600))
        _breaks(file, f"{slug}-too-long", why, "lifetime", 1, late, link=most(3_599))
    begins = chain(0, {0: Spec(edit=put("iat", 0))})
    why = "a root that was made at the epoch"
    _breaks(file, "iat-zero", why, "lifetime", 0, begins, root=most(3_660))
    why = "a default refuses nothing"
    _keeps(file, "default-alone", why, made, root={"default_seconds": 1}, link={"default_seconds": 1})
    both = {"default_seconds": 60, "max_seconds": 3_660}
    _keeps(file, "default-and-most", "the most counts, not the default", made, root=both, link=both)
    for slug, seconds in [("second", 1), ("most", 2**64 - 1)]:
        why = f"rules may say any number: {slug}"
        if seconds == 1:
            _breaks(file, f"number-{slug}", why, "lifetime", 0, made, root=most(seconds))
        else:
            _keeps(file, f"number-{slug}", why, made, root=most(seconds), link=most(seconds))


def _depth(file: File) -> None:
    _keeps(file, "depth-at-most", "a root permits as much depth as it may", chain(2), max_depth=7)
    _breaks(file, "depth-too-much", "a root permits one too much", "depth", 0, chain(2), max_depth=6)
    shallow = {0: Spec(edit=put("del_max_depth", 2))}
    shallow |= {at: Spec(edit=put("del_max_depth", 2)) for at in (1, 2)}
    _keeps(file, "depth-used", "a chain as deep as it may be", chain(2, shallow), max_depth=2)
    why = "depth that is permitted counts, not depth that is used"
    only = chain(0, {0: Spec(edit=put("del_max_depth", 2))})
    _breaks(file, "depth-not-used", why, "depth", 0, only, max_depth=1)
    none = chain(0, {0: Spec(edit=put("del_max_depth", 0))})
    _keeps(file, "depth-zero", "a root that may not be passed on", none, max_depth=0)
    one = chain(0, {0: Spec(edit=put("del_max_depth", 1))})
    _breaks(file, "depth-zero-one", "one that may be passed on once", "depth", 0, one, max_depth=0)


def _abroad() -> list[str]:
    """A chain whose first link is held in another trust domain."""
    return chain(2, {1: Spec(edit=put("sub", "spiffe://other.example/agent/helper/instance/1"))})


def _trust_domains(file: File) -> None:
    made, abroad = chain(2), _abroad()
    for slug, kept, lists in [
        ("allowed", made, {"allow": ["acme.example"]}),
        ("both-allowed", abroad, {"allow": ["acme.example", "other.example"]}),
        ("others-blocked", made, {"block": ["other.example"]}),
        ("nothing-blocked", made, {"block": []}),
        ("no-lists", made, {}),
        ("block-suffix", made, {"block": ["example"]}),
        ("block-prefix", made, {"block": ["acme"]}),
        ("block-shorter", made, {"block": ["acme.exampl"]}),
        ("block-longer", made, {"block": ["acme.example.org"]}),
        ("block-led", made, {"block": ["x-acme.example"]}),
    ]:
        _keeps(file, f"domain-{slug}", f"trust domains: {slug}", kept, trust_domains=lists)
    for slug, link, broken, lists in [
        ("not-allowed", 0, made, {"allow": ["other.example"]}),
        ("none-allowed", 0, made, {"allow": []}),
        ("blocked", 0, made, {"block": ["acme.example"]}),
        ("blocked-wins", 0, made, {"allow": ["acme.example"], "block": ["acme.example"]}),
        ("allow-suffix", 0, made, {"allow": ["example"]}),
        ("allow-longer", 0, made, {"allow": ["acme.example.org"]}),
        ("link-not-allowed", 1, abroad, {"allow": ["acme.example"]}),
        ("link-blocked", 1, abroad, {"block": ["other.example"]}),
    ]:
        why = f"trust domains: {slug}"
        _breaks(file, f"domain-{slug}", why, "trust_domain", link, broken, trust_domains=lists)


def _agents(file: File) -> None:
    made, crewed = chain(2), crew()
    exact = lambda id: {"exact": id}
    below = lambda id: {"path_prefix": id}
    three = [subject(0), subject(1), subject(2)]
    for slug, kept, lists in [
        ("exact-allowed", made, {"allow": [exact(id) for id in three]}),
        ("prefix-allowed", made, {"allow": [below(WORKER)]}),
        ("folder-allowed", crewed, {"allow": [below("spiffe://acme.example/agent")]}),
        ("domain-allowed", crewed, {"allow": [below("spiffe://acme.example")]}),
        ("itself-allowed", made, {"allow": [below(id) for id in three]}),
        ("block-part-of-a-segment", made, {"block": [below("spiffe://acme.example/agent/work")]}),
        ("block-longer-instance", made, {"block": [below(subject(1) + "2")]}),
        ("block-agent-below-exact", crewed, {"block": [exact("spiffe://acme.example/agent")]}),
        ("block-domain-exact", made, {"block": [exact("spiffe://acme.example")]}),
        ("block-part-of-a-domain", made, {"block": [below("spiffe://acme.exampl")]}),
        ("block-child", made, {"block": [below(subject(1) + "/a"), exact(subject(1) + "/a")]}),
        ("block-case", made, {"block": [below("spiffe://acme.example/agent/Worker")]}),
        ("block-another", made, {"block": [exact(subject(3))]}),
        ("nothing-blocked", made, {"block": []}),
        ("no-lists", made, {}),
    ]:
        _keeps(file, f"agent-{slug}", f"agents: {slug}", kept, agents=lists)
    for slug, link, broken, lists in [
        ("none-allowed", 0, made, {"allow": []}),
        ("folder-exact-allowed", 0, crewed, {"allow": [exact("spiffe://acme.example/agent")]}),
        ("part-of-a-segment-allowed", 0, made, {"allow": [below("spiffe://acme.example/agent/work")]}),
        ("child-allowed", 0, made, {"allow": [below(subject(0) + "/a")]}),
        ("blocked-wins", 0, made, {"allow": [exact(id) for id in three], "block": [below("spiffe://acme.example")]}),
        ("prefix-itself", 1, made, {"block": [below(subject(1))]}),
        ("second-entry", 1, made, {"block": [exact(subject(5)), exact(subject(1))]}),
        *((f"exact-{at}", at, made, {"block": [exact(subject(at))]}) for at in range(3)),
        *((f"prefix-{at}", at, crewed, {"block": [below(AGENTS[at])]}) for at in range(3)),
        *(
            (f"left-out-{at}", at, crewed, {"allow": [below(AGENTS[other]) for other in range(3) if other != at]})
            for at in range(3)
        ),
    ]:
        _breaks(file, f"agent-{slug}", f"agents: {slug}", "agent", link, broken, agents=lists)


def _exact_agents(file: File) -> None:
    """The instances of an agent by its exact id, which came after the others."""
    made, crewed = chain(2), crew()
    exact = lambda id: {"exact": id}
    for slug, lists in [
        ("exact-allowed", {"allow": [exact(WORKER)]}),
        ("part-exact-blocked", {"block": [exact(WORKER[:-1])]}),
    ]:
        _keeps(file, f"instances-{slug}", f"instances: {slug}", made, agents=lists)
    wrong = {"block": [exact(WORKER)]}
    _breaks(file, "instances-exact-blocked", "instances: exact-blocked", "agent", 0, made, agents=wrong)
    for at in range(3):
        wrong = {"block": [exact(AGENTS[at])]}
        _breaks(file, f"instances-exact-{at}", f"instances: exact-{at}", "agent", at, crewed, agents=wrong)


def _keys(file: File) -> None:
    made, curved = chain(2), chain(2, holders=HOLDERS_P256)
    kids = [key.kid for key in HOLDERS[:3]]
    curves = [key.kid for key in HOLDERS_P256[:3]]
    for slug, kept, lists in [
        ("allowed", made, {"allow": kids}),
        ("p256-allowed", curved, {"allow": curves}),
        ("others-blocked", made, {"block": [HOLDERS[3].kid, *curves]}),
        ("authority-blocked", made, {"block": [AUTHORITY.kid]}),
        ("no-lists", made, {}),
    ]:
        _keeps(file, f"key-{slug}", f"keys: {slug}", kept, keys=lists)
    for slug, link, broken, lists in [
        ("none-allowed", 0, made, {"allow": []}),
        ("blocked-wins", 2, made, {"allow": kids, "block": [kids[2]]}),
        ("p256-blocked", 1, curved, {"block": [curves[1]]}),
        ("p256-not-allowed", 0, curved, {"allow": kids}),
        *((f"blocked-{at}", at, made, {"block": [kids[at]]}) for at in range(3)),
        *((f"left-out-{at}", at, made, {"allow": kids[:at] + kids[at + 1 :]}) for at in range(3)),
    ]:
        _breaks(file, f"key-{slug}", f"keys: {slug}", "key", link, broken, keys=lists)


def _attestation(file: File) -> None:
    made = chain(0)
    for at, least in enumerate(LEVELS):
        for level in LEVELS[max(at - 1, 0) : at + 2] + [LEVELS[0], LEVELS[-1]]:
            slug = f"level-{level.rpartition('/')[2]}-of-{least.rpartition('/')[2]}"
            if any(vector["id"].endswith(f"-{slug}") for vector in file.vectors):
                continue
            text = rules(min_attestation=least)
            why = f"{level} where {least} is the least"
            if LEVELS.index(level) >= at:
                file.accept(slug, why, made, rules=text, level=level)
            else:
                reason = "rules_attestation"
                file.reject(slug, why, reason, None, made, rules=text, level=level)
    file.accept("level-free", "no level is required", made, rules=rules(), level=LEVELS[0])


def _order(file: File) -> None:
    """Several rules are broken at once: which is named."""
    made = chain(1)
    broken = {
        "lifetime": {"root": {"max_seconds": 1}},
        "depth": {"max_depth": 0},
        "trust_domain": {"trust_domains": {"allow": []}},
        "agent": {"agents": {"allow": []}},
        "key": {"keys": {"allow": []}},
    }
    names = list(broken)
    for at, rule in enumerate(names[:-1]):
        members: Claims = {}
        for name in names[at:]:
            members |= broken[name]
        why = f"every rule from {rule} on is broken: {rule} is named"
        _breaks(file, f"first-{rule}", why, rule, 0, made, **members)
    why = "link 0 is held to every rule before link 1"
    members = {"keys": {"block": [HOLDERS[0].kid]}, "link": {"max_seconds": 1}}
    _breaks(file, "link-0-first", why, "key", 0, made, **members)
    text = rules(min_attestation="tpm", **broken["lifetime"])
    why = "what vouches for the holder is looked at before the chain"
    reason = "rules_attestation"
    file.reject("level-first", why, reason, None, made, rules=text, level=LEVELS[1])
    why = "a chain that does not hold is not held to rules"
    context = revoked(("token", "del-1"))
    text = rules(**broken["lifetime"])
    file.reject("revoked-first", why, "revoked", 1, made, rules=text, context=context)
    why = "rules are looked at before the proof of a call"
    request = {"server": "fs", "tool": "read_file", "args": {"path": "/src/a"}}
    more = {"request": request, "pop": None, "peer_spiffe_id": subject(1)}
    file.reject("before-proof", why, "rules_lifetime", 0, made, rules=text, **more)
