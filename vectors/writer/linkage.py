"""How links hang together: signatures, order, depth, time, uniqueness."""

from __future__ import annotations

from .files import File
from .keys import ED25519_ORDER, P256_ORDER, b64, sha256
from .world import (
    AUTHORITY,
    AUTHORITY_P256,
    CONTEXT,
    HOLDERS,
    HOLDERS_P256,
    MALLORY,
    NOW,
    Spec,
    build,
    chain,
    put,
    subject,
)


def write() -> File:
    file = File("linkage", "adt-vectors/1", "how links hang together", context=CONTEXT)
    file.accept("two-links", "a root and two links", chain(2), base=True)
    _order(file)
    _signatures(file)
    _es256(file)
    _parents(file)
    _depth(file)
    _time(file)
    _unique(file)
    return file


def _order(file: File) -> None:
    root, first, second = chain(2)
    other = chain(1, {0: Spec(edit=put("sid", "ses_02"))})
    for slug, why, reason, link, links in [
        ("dropped-root", "the root is left out", "untrusted_root", 0, [first, second]),
        ("dropped-middle", "the link between is left out", "bad_signature", 1, [root, second]),
        ("swapped", "two links changed places", "bad_signature", 1, [root, second, first]),
        ("reversed", "leaf first", "untrusted_root", 0, [second, first, root]),
        ("root-twice", "the root stands twice", "bad_signature", 1, [root, root, first]),
        ("link-twice", "a link stands twice", "bad_signature", 2, [root, first, first]),
        (
            "spliced",
            "a link of another root with the same keys",
            "broken_link",
            1,
            [root, other[1]],
        ),
        ("transplanted", "the same link below another root", "broken_link", 1, [other[0], first]),
        ("empty-link", "an empty link", "malformed", 1, [root, "", second]),
    ]:
        file.reject(slug, why, reason, link, links)
    why = "without its leaf a chain is the parent's; only the parent can prove it"
    file.accept("truncated", why, [root, first])


def _signatures(file: File) -> None:
    link_by = lambda key: chain(1, {1: Spec(key=key, kid=HOLDERS[0].kid)})
    for slug, why, key in [
        ("self", "a link signed by its own key", HOLDERS[1]),
        ("authority", "a link signed by the authority", AUTHORITY),
        ("stranger", "a link signed by a stranger", MALLORY),
    ]:
        file.reject(f"signed-by-{slug}", why, "bad_signature", 1, link_by(key))
    own = chain(1, {1: Spec(key=MALLORY)})
    why = "a link signed by a stranger under the stranger's kid"
    file.reject("signed-by-stranger-openly", why, "bad_signature", 1, own)
    grandparent = chain(2, {2: Spec(key=HOLDERS[0], kid=HOLDERS[1].kid)})
    why = "a link signed by its grandparent"
    file.reject("signed-by-grandparent", why, "bad_signature", 2, grandparent)

    def more_s(signature: bytes) -> bytes:
        s = int.from_bytes(signature[32:], "little") + ED25519_ORDER
        return signature[:32] + s.to_bytes(32, "little")

    for slug, why, change in [
        ("flipped-first", "the first bit is flipped", lambda held: bytes([held[0] ^ 1]) + held[1:]),
        ("flipped-last", "the last bit is flipped", lambda held: held[:-1] + bytes([held[-1] ^ 1])),
        ("63-bytes", "a byte is missing", lambda held: held[:63]),
        ("65-bytes", "a byte is added", lambda held: held + b"\0"),
        ("zero", "zeros", lambda _: bytes(64)),
        ("malleated", "the group order is added to S", more_s),
        ("twice", "the signature stands twice", lambda held: held + held),
    ]:
        made = chain(1, {1: Spec(signature=change)})
        file.reject(f"ed25519-{slug}", why, "bad_signature", 1, made)
    flipped = chain(0, {0: Spec(signature=lambda held: bytes([held[0] ^ 1]) + held[1:])})
    why = "the root's signature is flipped"
    file.reject("root-signature-flipped", why, "bad_signature", 0, flipped)
    root, link = chain(1)
    other = chain(1, {1: Spec(edit=put("jti", "del-9"))})[1]
    mixed = f"{link.rpartition('.')[0]}.{other.rpartition('.')[2]}"
    file.reject(
        "signature-of-another", "another link's signature", "bad_signature", 1, [root, mixed]
    )


def _es256(file: File) -> None:
    holders = [HOLDERS[0], HOLDERS_P256[1], HOLDERS[2]]
    made = chain(2, holders=holders)
    base = file.base
    file.accept("es256-holder", "a P-256 holder between Ed25519 ones", made, base=True)
    p256 = {"trust_anchors": [AUTHORITY_P256.jwk]}
    why = "a P-256 authority"
    file.accept("es256-authority", why, chain(1, authority=AUTHORITY_P256), context=p256)
    file.accept("es256-all", "P-256 holders alone", chain(2, holders=HOLDERS_P256))

    def number(data: bytes) -> int:
        return int.from_bytes(data, "big")

    def other_s(signature: bytes) -> bytes:
        return signature[:32] + (P256_ORDER - number(signature[32:])).to_bytes(32, "big")

    def with_s(high: bool):  # type: ignore[no-untyped-def]
        def change(signature: bytes) -> bytes:
            is_high = number(signature[32:]) > P256_ORDER // 2
            return signature if is_high is high else other_s(signature)

        return change

    for slug, high in [("low", False), ("high", True)]:
        why = f"S in its {slug} half: RFC 7518 takes both"
        spec = {2: Spec(signature=with_s(high))}
        file.accept(f"es256-{slug}-s", why, chain(2, spec, holders=holders))
    second = made[2]
    der = HOLDERS_P256[1].sign_der(second.rpartition(".")[0].encode())
    zero, order = bytes(32), P256_ORDER.to_bytes(32, "big")
    for slug, why, change in [
        ("der", "ASN.1 DER", lambda _: der),
        ("63-bytes", "a byte is missing", lambda held: held[:63]),
        ("65-bytes", "a byte is added behind", lambda held: held + b"\0"),
        (
            "66-bytes",
            "each half is led by a zero",
            lambda held: b"\0" + held[:32] + b"\0" + held[32:],
        ),
        ("s-led", "s is led by a zero", lambda held: held[:32] + b"\0" + held[32:]),
        ("r-zero", "r is zero", lambda held: zero + held[32:]),
        ("s-zero", "s is zero", lambda held: held[:32] + zero),
        ("zero", "both are zero", lambda _: bytes(64)),
        ("r-order", "r is the group order", lambda held: order + held[32:]),
        ("s-order", "s is the group order", lambda held: held[:32] + order),
        ("largest", "both are as large as they can be", lambda _: b"\xff" * 64),
        ("swapped", "s and r", lambda held: held[32:] + held[:32]),
        ("little-endian", "each half reversed", lambda held: held[31::-1] + held[:31:-1]),
        ("flipped", "a bit is flipped", lambda held: held[:-1] + bytes([held[-1] ^ 1])),
    ]:
        changed = chain(2, {2: Spec(signature=change)}, holders=holders)
        file.reject(f"es256-{slug}", why, "bad_signature", 2, changed)
    file.base = base


def _parents(file: File) -> None:
    root = build(0)
    signing_input = root.tokens[0].rpartition(".")[0]
    for slug, why, value in [
        ("token", "the digest of the whole token", sha256(root.tokens[0])),
        ("payload", "the digest of the payload alone", sha256(signing_input.partition(".")[2])),
        ("zero", "zeros", bytes(32)),
        ("other", "the digest of something else", sha256("other")),
    ]:
        made = chain(1, {1: Spec(edit=put("par_hash", b64(value)))})
        file.reject(f"par-hash-{slug}", why, "broken_link", 1, made)
    own = build(2)
    grandparent = b64(sha256(own.tokens[0].rpartition(".")[0]))
    made = chain(2, {2: Spec(edit=put("par_hash", grandparent))})
    file.reject("par-hash-grandparent", "the grandparent's digest", "broken_link", 2, made)
    for slug, why, value in [
        ("self", "a link issues itself", subject(1)),
        ("stranger", "an issuer that is not the parent", subject(5)),
        ("authority", "the authority as a link's issuer", "https://authority.acme.example"),
        ("longer", "an issuer that starts like the parent", subject(0) + "0"),
        ("case", "an issuer in another case", subject(0).upper()),
    ]:
        made = chain(1, {1: Spec(edit=put("iss", value))})
        file.reject(f"iss-{slug}", why, "broken_link", 1, made)


def _depth(file: File) -> None:
    for slug, depth in [("same", 0), ("skipped", 2), ("far", 2**53 - 1)]:
        made = chain(1, {1: Spec(edit=put("del_depth", depth))})
        file.reject(f"depth-{slug}", f"depth {depth} below 0", "bad_depth", 1, made)
    made = chain(1, {1: Spec(edit=put("del_max_depth", 8))})
    why = "a link permits more depth than its parent"
    file.reject("max-depth-raised", why, "depth_escalation", 1, made)
    limited = {0: Spec(edit=put("del_max_depth", 1)), 1: Spec(edit=put("del_max_depth", 1))}
    file.accept("max-depth-used", "the last permitted depth", chain(1, limited))
    made = chain(2, {**limited, 2: Spec(edit=put("del_max_depth", 1))})
    file.reject("depth-exceeded", "deeper than permitted", "depth_exceeded", 2, made)
    made = chain(1, {1: Spec(edit=put("del_max_depth", 0))})
    why = "a link that is deeper than it permits itself"
    file.reject("max-depth-below-depth", why, "depth_exceeded", 1, made)
    none = {0: Spec(edit=put("del_max_depth", 0))}
    file.accept("max-depth-zero", "a root that may not be delegated", chain(0, none))
    made = chain(1, {**none, 1: Spec(edit=put("del_max_depth", 0))})
    why = "a root that may not be delegated, delegated"
    file.reject("max-depth-zero-delegated", why, "depth_exceeded", 1, made)
    lowered = {1: Spec(edit=put("del_max_depth", 2)), 2: Spec(edit=put("del_max_depth", 3))}
    why = "a link takes back what its parent gave up"
    file.reject("max-depth-regained", why, "depth_escalation", 2, chain(2, lowered))


def _time(file: File) -> None:
    def at(now: int) -> dict[str, object]:
        return {"context": {"now": now}}

    made = chain(0)
    first, last = NOW - 60, NOW + 3_600
    file.accept("now-nbf", "now is nbf", made, **at(first))
    file.reject("now-before-nbf", "a second before nbf", "not_yet_valid", 0, made, **at(first - 1))
    file.accept("now-before-exp", "the second before exp", made, **at(last - 1))
    file.reject("now-exp", "now is exp", "expired", 0, made, **at(last))
    file.reject("now-after-exp", "a second after exp", "expired", 0, made, **at(last + 1))
    for slug, edit, reason in [
        ("not-yet", put("nbf", NOW + 1), "not_yet_valid"),
        ("over", put("exp", NOW), "expired"),
    ]:
        made = chain(1, {1: Spec(edit=edit)})
        file.reject(f"link-{slug}", f"the link alone is {slug}", reason, 1, made)
    turned = {0: Spec(edit=lambda claims: claims.update(nbf=NOW - 10, exp=NOW - 20))}
    file.reject("turned", "exp before nbf", "expired", 0, chain(0, turned))
    whole = {1: Spec(edit=put("exp", last))}
    file.accept("exp-of-the-parent", "a link may end with its parent", chain(1, whole))
    later = {1: Spec(edit=put("exp", last + 1))}
    why = "a link ends a second later than its parent"
    file.reject("exp-later", why, "ttl_escalation", 1, chain(1, later))
    sooner = {1: Spec(edit=put("nbf", first - 1))}
    why = "a link starts a second sooner than its parent"
    file.reject("nbf-sooner", why, "ttl_escalation", 1, chain(1, sooner))
    future = {0: Spec(edit=put("iat", NOW + 9_999))}
    file.accept("iat-future", "iat decides nothing", chain(0, future))


def _unique(file: File) -> None:
    for at in [0, 1]:
        made = chain(2, {2: Spec(edit=put("sub", subject(at)))})
        file.reject(f"subject-of-{at}", f"the subject of link {at} again", "cycle", 2, made)
        made = chain(2, {2: Spec(edit=put("cnf", "jwk", HOLDERS[at].jwk))})
        file.reject(f"key-of-{at}", f"the key of link {at} again", "cycle", 2, made)
    for at in [0, 1]:
        made = chain(at, {at: Spec(edit=put("cnf", "jwk", AUTHORITY.jwk))})
        file.reject(
            f"key-of-the-authority-{at}", "the authority's key as a holder's", "cycle", at, made
        )
    same = {1: Spec(edit=put("jti", "del-0"))}
    why = "identifiers are not compared with each other"
    file.accept("jti-of-the-parent", why, chain(1, same))
