"""Proofs of possession, and the calls that they are for."""

from __future__ import annotations

from typing import Any

from .canonical import hand_written
from .files import File
from .keys import Key, b64, sha256
from .world import (
    AUTHORITY,
    CONTEXT,
    GATEWAY,
    HOLDERS,
    HOLDERS_P256,
    MALLORY,
    NOW,
    OTHER_GATEWAY,
    Spec,
    chain,
    cth,
    drop,
    put,
    sign,
    subject,
    swap,
    tool,
)

ARGS = {"path": "/src/a.rs"}
EXECUTION = "exe_" + "0" * 26


def proof_claims(tokens: list[str], request: dict[str, Any], form: str | None = None) -> Any:
    target = [request["server"]]
    for named, kind in [("tool", None), ("uri", "mcp_resource"), ("prompt", "mcp_prompt")]:
        if named in request:
            target += [request[named]] + ([kind] if kind else [])
    return {
        "aud": GATEWAY,
        "iat": NOW,
        "jti": "pop-1",
        "cth": cth(tokens),
        "tool": target,
        "ah": b64(sha256(form if form is not None else hand_written(request.get("args", {})))),
    }


def proof(
    tokens: list[str],
    request: dict[str, Any],
    key: Key,
    spec: Spec | None = None,
    form: str | None = None,
) -> str:
    spec = spec or Spec()
    claims = proof_claims(tokens, request, form)
    if spec.edit:
        claims = spec.edit(claims) or claims
    return sign(claims, spec.key or key, spec, typ="adt-pop+jwt", kid=False)


class Desk:
    """A chain of one link, and a call of its leaf."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.chain = chain(1)
        self.request: dict[str, Any] = {"server": "fs", "tool": "read_file", "args": ARGS}

    def members(self, spec: Spec | None = None, **more: Any) -> dict[str, Any]:
        made = {
            "chain": self.chain,
            "request": self.request,
            "pop": proof(self.chain, self.request, HOLDERS[1], spec),
            "peer_spiffe_id": subject(1),
        }
        return {**made, **more}

    def accept(self, slug: str, why: str, spec: Spec | None = None, **more: Any) -> None:
        base = more.pop("base", False)
        self.file.accept(slug, why, **self.members(spec, **more), base=base)

    def reject(
        self, slug: str, why: str, reason: str, spec: Spec | None = None, **more: Any
    ) -> None:
        members = self.members(spec, **more)
        link = members.pop("link", None)
        self.file.reject(slug, why, reason, link, **members)


def write() -> File:
    file = File("proofs", "adt-vectors/1", "proofs of possession", context=CONTEXT)
    desk = Desk(file)
    covered = {"covered": [[0, 0], [1, 0]], "forbidden": [], "asked": []}
    desk.accept("link", "a root, a link and the leaf's proof", base=True, **covered)
    _signature(desk)
    _form(desk)
    _claims(desk)
    _binding(desk)
    _window(desk)
    _arguments(desk)
    return file


def _signature(desk: Desk) -> None:
    desk.reject("missing", "no proof came", "pop_missing", pop=None)
    for slug, why, key in [
        ("parent", "the parent proves the leaf's chain", HOLDERS[0]),
        ("stranger", "a stranger who holds a copy of the chain", MALLORY),
        ("authority", "the authority proves the leaf's chain", AUTHORITY),
    ]:
        desk.reject(f"signed-by-{slug}", why, "pop_bad_signature", Spec(key=key))
    why = "the leaf drops its link and proves the parent's chain with its own key"
    shorter = desk.chain[:1]
    pop = proof(shorter, desk.request, HOLDERS[1])
    desk.reject("truncated", why, "pop_bad_signature", chain=shorter, pop=pop)
    for slug, change in [
        ("flipped", lambda held: bytes([held[0] ^ 1]) + held[1:]),
        ("empty", lambda _: b""),
        ("zero", lambda _: bytes(64)),
    ]:
        why = f"the signature is {slug}"
        desk.reject(f"signature-{slug}", why, "pop_bad_signature", Spec(signature=change))
    named = Spec(header=lambda header: {**header, "alg": "ES256"})
    why = "ES256 named for the leaf's Ed25519 key"
    desk.reject("alg-of-another-key", why, "pop_bad_signature", named)
    p256 = chain(1, holders=[HOLDERS[0], HOLDERS_P256[1]])
    pop = proof(p256, desk.request, HOLDERS_P256[1])
    desk.accept("es256", "a leaf with a P-256 key", chain=p256, pop=pop)
    der = HOLDERS_P256[1].sign_der(pop.rpartition(".")[0].encode())
    changed = f"{pop.rpartition('.')[0]}.{b64(der)}"
    desk.reject("es256-der", "ASN.1 DER", "pop_bad_signature", chain=p256, pop=changed)


def _form(desk: Desk) -> None:
    def header(**members: Any) -> Spec:
        def change(held: Any) -> Any:
            changed = {**held, **members}
            return {name: value for name, value in changed.items() if value is not None}

        return Spec(header=change)

    for slug, why, reason, spec in [
        ("typ-link", "the typ of a link", "wrong_typ", header(typ="adt+jwt")),
        ("typ-jwt", "typ JWT", "wrong_typ", header(typ="JWT")),
        ("typ-dpop", "a proof of another protocol", "wrong_typ", header(typ="dpop+jwt")),
        ("typ-missing", "no typ", "malformed", header(typ=None)),
        ("alg-none", "alg none", "alg_not_allowed", header(alg="none")),
        ("alg-hs256", "alg HS256", "alg_not_allowed", header(alg="HS256")),
        ("alg-missing", "no alg", "malformed", header(alg=None)),
        ("kid", "a kid, which a proof does not have", "malformed", header(kid=HOLDERS[1].kid)),
        ("jwk", "a key in the header", "malformed", header(jwk=HOLDERS[1].jwk)),
        ("claims-list", "claims that are a list", "malformed", Spec(text=lambda text: f"[{text}]")),
        (
            "twice",
            "a claim stands twice",
            "malformed",
            Spec(text=swap('"jti":', '"jti":"pop-0","jti":')),
        ),
        (
            "two-parts",
            "no signature part",
            "malformed",
            Spec(token=lambda held: held.rpartition(".")[0]),
        ),
        ("padded", "padding behind", "malformed", Spec(token=lambda held: held + "==")),
    ]:
        desk.reject(f"form-{slug}", why, reason, spec)
    why = "a link in the place of the proof"
    desk.reject("form-link-as-proof", why, "wrong_typ", pop=desk.chain[1])
    pop = proof(desk.chain, desk.request, HOLDERS[1])
    why = "a proof in the place of a link"
    desk.reject("form-proof-as-link", why, "wrong_typ", chain=[desk.chain[0], pop], link=1)
    desk.reject("form-nothing", "an empty proof", "malformed", pop="")
    desk.reject("form-bytes-over", "a byte more than a token has", "too_long", pop="x" * 16_385)
    desk.reject("form-bytes-exact", "so many bytes are read", "malformed", pop="x" * 16_384)


def _claims(desk: Desk) -> None:
    for name in ["aud", "iat", "jti", "cth", "tool", "ah"]:
        why = f"a proof without {name}"
        desk.reject(f"without-{name}", why, "malformed", Spec(edit=drop(name)))
    for slug, why, edit in [
        ("unknown", "a claim that nobody knows", put("nonce", "a")),
        ("aud-list", "an audience that is a list", put("aud", [GATEWAY])),
        ("aud-empty", "an empty audience", put("aud", "")),
        ("iat-text", "iat as a text", put("iat", str(NOW))),
        ("iat-float", "iat as a float", put("iat", NOW + 0.5)),
        ("iat-unsafe", "iat beyond the safe integers", put("iat", 2**53)),
        ("iat-beyond-time", "iat later than any timestamp of ours", put("iat", 2**53 - 1)),
        ("jti-empty", "an empty jti", put("jti", "")),
        ("jti-129", "a jti of 129 characters", put("jti", "j" * 129)),
        ("jti-space", "a jti with a space", put("jti", "a b")),
        ("cth-short", "a cth of 31 bytes", put("cth", b64(bytes(31)))),
        ("ah-short", "an ah of 31 bytes", put("ah", b64(bytes(31)))),
        ("ah-hex", "an ah in hex", put("ah", sha256("{}").hex())),
        ("tool-text", "a tool that is a text", put("tool", "read_file")),
        ("tool-object", "a tool that is an object", put("tool", {"server": "fs"})),
        ("exec-text", "an execution of another shape", put("exec", "execution-1")),
        ("exec-kind", "an identifier of another kind", put("exec", "ses_" + "0" * 26)),
        ("exec-upper", "an execution in upper case", put("exec", "exe_" + "A" * 26)),
        ("exec-too-large", "an execution of more than 128 bits", put("exec", "exe_8" + "0" * 25)),
        ("exec-short", "an execution of 25 digits", put("exec", "exe_" + "0" * 25)),
        ("exec-null", "an execution that is null", put("exec", None)),
        ("step-number", "a step that is a number", put("step", 1)),
        ("step-empty", "an empty step", put("step", "")),
        ("step-space", "a step with a space", put("step", "step 1")),
        ("step-129", "a step of 129 characters", put("step", "s" * 129)),
    ]:
        desk.reject(slug, why, "malformed", Spec(edit=edit))
    for slug, why, edit in [
        ("exec", "the execution that the holder means", put("exec", EXECUTION)),
        ("exec-largest", "the largest execution", put("exec", "exe_7" + "z" * 25)),
        ("step", "the mission's step", put("step", "plan/1")),
        ("jti-128", "a jti of 128 characters", put("jti", "j" * 128)),
    ]:
        desk.accept(slug, why, Spec(edit=edit))


def _binding(desk: Desk) -> None:
    other = chain(1, {1: Spec(edit=put("jti", "del-other"))})
    for slug, why, edit in [
        ("aud-other", "for another gateway", put("aud", OTHER_GATEWAY)),
        ("aud-case", "an audience in another case", put("aud", GATEWAY.upper())),
        ("cth-other", "for another chain of the same holder", put("cth", cth(other))),
        ("cth-root", "for the root alone", put("cth", cth(desk.chain[:1]))),
        ("cth-unjoined", "links joined by nothing", put("cth", b64(sha256("".join(desk.chain))))),
        ("tool-other", "for another tool", put("tool", ["fs", "write_file"])),
        ("tool-case", "for a tool in another case", put("tool", ["fs", "Read_File"])),
        ("server-other", "for another server", put("tool", ["fs2", "read_file"])),
        ("tool-alone", "without the server", put("tool", ["read_file"])),
        ("tool-reversed", "server and tool changed places", put("tool", ["read_file", "fs"])),
        ("tool-typed", "a tool with its type", put("tool", ["fs", "read_file", "mcp_tool"])),
        (
            "tool-prompt",
            "for a prompt of that name",
            put("tool", ["fs", "read_file", "mcp_prompt"]),
        ),
        ("tool-empty", "for nothing", put("tool", [])),
        ("ah-other", "for other arguments", put("ah", b64(sha256('{"path":"/src/b.rs"}')))),
        ("ah-none", "for no arguments", put("ah", b64(sha256("{}")))),
        ("ah-spaced", "over a form with spaces", put("ah", b64(sha256('{"path": "/src/a.rs"}')))),
    ]:
        desk.reject(slug, why, "pop_mismatch", Spec(edit=edit))
    for slug, why, request in [
        ("call-other-tool", "the call names another tool", {"tool": "write_file"}),
        ("call-other-server", "the call names another server", {"server": "fs2"}),
        ("call-other-args", "the arguments were changed", {"args": {"path": "/src/b.rs"}}),
        ("call-more-args", "an argument was added", {"args": {**ARGS, "follow": True}}),
        ("call-no-args", "the arguments were taken away", {"args": {}}),
    ]:
        desk.reject(slug, why, "pop_mismatch", request={**desk.request, **request})
    prompt = {"server": "fs", "prompt": "read_file", "args": ARGS}
    desk.reject("call-prompt", "the call is a prompt of that name", "pop_mismatch", request=prompt)
    for slug, peer in [
        ("parent", subject(0)),
        ("longer", subject(1) + "0"),
        ("other-domain", subject(1).replace("acme", "evil")),
    ]:
        why = f"somebody else at the other end: {slug}"
        desk.reject(f"peer-{slug}", why, "holder_mismatch", peer_spiffe_id=peer)


def _window(desk: Desk) -> None:
    for slug, seconds in [("oldest", -60), ("newest", 5)]:
        why = f"made {seconds} s from now"
        desk.accept(f"window-{slug}", why, Spec(edit=put("iat", NOW + seconds)))
    for slug, seconds in [("too-old", -61), ("too-new", 6)]:
        why = f"made {seconds} s from now"
        desk.reject(f"window-{slug}", why, "pop_stale", Spec(edit=put("iat", NOW + seconds)))
    desk.reject("window-zero", "made at the epoch", "pop_stale", Spec(edit=put("iat", 0)))
    desk.accept("start-same", "made when the verifier started", context={"started_at": NOW})
    why = "made before the verifier started"
    desk.reject("start-before", why, "pop_stale", context={"started_at": NOW + 1})
    seen = {"seen_nonces": ["pop-1"]}
    desk.reject("seen", "seen before", "replay", context=seen)
    others = {"seen_nonces": ["pop-2", "POP-1", "pop-"]}
    desk.accept("seen-others", "others were seen before", context=others)
    why = "another identifier for the same call"
    desk.accept("seen-other-jti", why, Spec(edit=put("jti", "pop-2")), context=seen)
    full = {"seen_nonces": [f"pop-{number}" for number in range(100, 164)]}
    why = "64 proofs of this holder are remembered, which is all that the memory of a vector holds"
    desk.reject("seen-full", why, "replay", context=full)


def _arguments(desk: Desk) -> None:
    anything = {0: Spec(edit=put("authorization_details", [tool("run")]))}
    made = chain(1, anything)

    def judged(slug: str, why: str, written: str, form: str, reason: str | None) -> None:
        request = {"server": "fs", "tool": "run", "args_json": written}
        pop = proof(made, request, HOLDERS[1], form=form)
        if reason is None:
            desk.accept(f"args-{slug}", why, chain=made, request=request, pop=pop)
        else:
            desk.reject(f"args-{slug}", why, reason, chain=made, request=request, pop=pop)

    for slug, why, written, form in [
        ("none", "no arguments", "{}", "{}"),
        (
            "floats",
            "floats as ECMAScript writes them",
            '{"a":1.50,"b":1e21,"c":-0.0,"d":1e-7}',
            '{"a":1.5,"b":1e+21,"c":0,"d":1e-7}',
        ),
        ("whole-float", "a whole float and its integer are one number", '{"a":1.0}', '{"a":1}'),
        ("order", "members in another order", '{"b":1,"a":2}', '{"a":2,"b":1}'),
        (
            "utf-16",
            "names by UTF-16, not by code point",
            '{"\ufb33":1,"\U0001f600":2}',
            '{"\U0001f600":2,"\ufb33":1}',
        ),
        ("escapes", "escapes are read", '{"a":"\\u00e9\\/\\u0007"}', '{"a":"\u00e9/\\u0007"}'),
        ("pair", "a pair is one character", '{"a":"\\ud83d\\ude00"}', '{"a":"\U0001f600"}'),
        (
            "nested",
            "everything inside is canonical too",
            '{"a":[{"c":null,"b":true}]}',
            '{"a":[{"b":true,"c":null}]}',
        ),
        ("safe", "the largest safe integer", '{"a":9007199254740991}', '{"a":9007199254740991}'),
    ]:
        judged(slug, why, written, form, None)
    for slug, why, written, form in [
        (
            "normal-form",
            "another normal form is another text",
            '{"a":"e\\u0301"}',
            '{"a":"\u00e9"}',
        ),
        ("case", "another case is another text", '{"a":"A"}', '{"a":"a"}'),
        ("type", "a text is no number", '{"a":"1"}', '{"a":1}'),
        ("null", "null is not absence", '{"a":null}', "{}"),
        ("float-digits", "the last digit counts", '{"a":0.30000000000000004}', '{"a":0.3}'),
        ("list-order", "the order of a list counts", '{"a":[1,2]}', '{"a":[2,1]}'),
        ("cut", "written as if the last byte were gone", '{"a":1}', '{"a":1'),
    ]:
        judged(slug, why, written, form, "pop_mismatch")
    for slug, why, written, form in [
        (
            "unsafe",
            "an integer that is rounded",
            '{"a":9007199254740993}',
            '{"a":9007199254740992}',
        ),
        (
            "unsafe-negative",
            "an integer that is rounded",
            '{"a":-9007199254740993}',
            '{"a":-9007199254740992}',
        ),
        (
            "unsafe-nested",
            "an integer that is rounded, inside",
            '{"a":[{"b":9007199254740993}]}',
            '{"a":[{"b":9007199254740992}]}',
        ),
        (
            "65-bits",
            "an integer of 65 bits",
            '{"a":18446744073709551617}',
            '{"a":18446744073709552000}',
        ),
        (
            "unsafe-float",
            "a float whose form is an integer that is not exact",
            '{"a":1e16}',
            '{"a":10000000000000000}',
        ),
        (
            "unsafe-whole-float",
            "a float whose form is an integer that is not exact",
            '{"a":9007199254740992.0}',
            '{"a":9007199254740992}',
        ),
        ("twice", "an argument stands twice", '{"a":1,"a":2}', '{"a":2}'),
        ("nan", "no number", '{"a":NaN}', '{"a":null}'),
        ("overflow", "no finite number", '{"a":1e999}', '{"a":null}'),
        ("lone-surrogate", "no text", '{"a":"\\ud800"}', '{"a":"\ufffd"}'),
        ("list", "a list of arguments", "[1]", "[1]"),
        (
            "deep",
            "65 lists inside of each other",
            '{"a":' + "[" * 64 + "]" * 64 + "}",
            '{"a":' + "[" * 64 + "]" * 64 + "}",
        ),
        (
            "22-digits",
            "an integer whose form has an exponent",
            '{"a":1000000000000000000001}',
            '{"a":1e+21}',
        ),
    ]:
        judged(slug, why, written, form, "malformed")
