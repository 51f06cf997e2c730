"""Two defects at once: which one is named. The order is that of the format, section 6.4."""

from __future__ import annotations

from .files import File
from .world import (
    AUTHORITY,
    CONTEXT,
    HOLDERS,
    MALLORY,
    NOW,
    OTHER_GATEWAY,
    Spec,
    chain,
    put,
    subject,
    tool,
)


def write() -> File:
    file = File(
        "order", "adt-vectors/1", "two defects each: the first one is named", context=CONTEXT
    )
    file.accept("two-links", "a root and two links", chain(2), base=True)
    _reading(file)
    _root(file)
    _link(file)
    return file


def _edits(*edits):  # type: ignore[no-untyped-def]
    def edit(claims):  # type: ignore[no-untyped-def]
        for one in edits:
            claims = one(claims) or claims
        return claims

    return edit


def _reading(file: File) -> None:
    made = ["x"] * 9
    file.reject(
        "limits-before-reading", "too many links that are no tokens", "too_long", None, made
    )
    expired = chain(1, {0: Spec(edit=put("exp", NOW))})
    why = "every link is read before the root is judged"
    file.reject("reading-before-trust", why, "malformed", 1, [expired[0], "x"])
    forged = chain(0, {0: Spec(key=MALLORY)})
    file.reject("reading-the-last-first", why, "malformed", 1, [forged[0], "a.b.c"])
    for slug, first, second, header in [
        ("members-before-alg", "an unknown member", "an unknown alg", {"alg": "none", "jwk": {}}),
        ("alg-before-typ", "an unknown alg", "another typ", {"alg": "none", "typ": "JWT"}),
        ("typ-before-kid", "another typ", "no kid", {"typ": "JWT", "kid": None}),
    ]:
        reason = {"members": "malformed", "alg": "alg_not_allowed", "typ": "wrong_typ"}[
            slug.split("-")[0]
        ]

        def change(held, header=header):  # type: ignore[no-untyped-def]
            changed = {**held, **header}
            return {name: value for name, value in changed.items() if value is not None}

        made = chain(0, {0: Spec(header=change)})
        file.reject(slug, f"{first} before {second}", reason, 0, made)


def _root(file: File) -> None:
    early = put("nbf", NOW + 1)
    elsewhere = put("aud", [OTHER_GATEWAY])
    authority_key = put("cnf", "jwk", AUTHORITY.jwk)
    for slug, why, reason, spec in [
        (
            "signature-before-claims",
            "a signature before a claim",
            "bad_signature",
            Spec(edit=put("sub", "x"), signature=lambda held: held[:-1] + bytes([held[-1] ^ 1])),
        ),
        (
            "trust-before-time",
            "trust before time",
            "untrusted_root",
            Spec(edit=_edits(put("iss", "https://other.example"), early)),
        ),
        (
            "depth-before-time",
            "depth before time",
            "bad_depth",
            Spec(edit=_edits(put("del_depth", 1), early)),
        ),
        (
            "time-before-audience",
            "time before audience",
            "not_yet_valid",
            Spec(edit=_edits(early, elsewhere)),
        ),
        (
            "audience-before-key",
            "audience before uniqueness of keys",
            "wrong_audience",
            Spec(edit=_edits(elsewhere, authority_key)),
        ),
        (
            "audience-before-epoch",
            "audience before epoch",
            "wrong_audience",
            Spec(edit=_edits(elsewhere, put("ep", 6))),
        ),
        (
            "claims-before-entries",
            "a claim before a later one",
            "bad_key",
            Spec(
                edit=_edits(
                    put("cnf", "jwk", "kty", "oct"), put("authorization_details", [tool("*")])
                )
            ),
        ),
    ]:
        file.reject(slug, why, reason, 0, chain(0, {0: spec}))
    both = {"current_epoch": 8, "revoked_jti": ["del-1"]}
    why = "a revoked link before the epoch"
    file.reject("revoked-before-epoch", why, "revoked", 1, chain(1), context=both)
    both = {"revoked_jti": ["del-0"]}
    made = chain(1, {1: Spec(edit=put("sid", "ses_01"))})
    why = "the root is judged whole before its link"
    file.reject("root-before-link", why, "revoked", 0, made, context=both)


def _link(file: File) -> None:
    broken = put("iss", subject(5))
    deep = put("del_depth", 2)
    raised = put("del_max_depth", 9)
    longer = put("exp", NOW + 9_999)
    added = put("aud", [OTHER_GATEWAY])
    wider = put("authorization_details", [tool()])
    again = put("sub", subject(0))
    early = put("nbf", NOW + 1)
    for slug, why, reason, edits in [
        (
            "restated-before-claims",
            "a restated claim before a missing one",
            "inherited_claim_restated",
            [put("sid", "a"), put("jti", "")],
        ),
        ("linkage-before-depth", "linkage before depth", "broken_link", [broken, deep]),
        ("depth-before-max-depth", "depth before its limit", "bad_depth", [deep, raised]),
        ("max-depth-before-time", "depth before time", "depth_escalation", [raised, longer]),
        ("time-before-audience-link", "time before audience", "ttl_escalation", [longer, added]),
        (
            "audience-before-scope",
            "audience before subsumption",
            "audience_escalation",
            [added, wider],
        ),
        ("scope-before-cycle", "subsumption before uniqueness", "scope_escalation", [wider, again]),
        ("cycle-before-time", "uniqueness before the time of now", "cycle", [again, early]),
        (
            "time-before-wrong-audience",
            "time before an audience of nobody",
            "not_yet_valid",
            [early, put("aud", [])],
        ),
    ]:
        file.reject(slug, why, reason, 1, chain(1, {1: Spec(edit=_edits(*edits))}))
    made = chain(1, {1: Spec(edit=again, key=HOLDERS[5])})
    why = "a signature before uniqueness"
    file.reject("signature-before-cycle", why, "bad_signature", 1, made)
