"""HTTP requests that an agent signed (RFC 9421 in the WIMSE profile), its credential and its chain."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from typing import Any

from .files import File
from .keys import Key, b64, sha256
from .revocations import revoked
from .world import (
    AUTHORITY,
    EPOCH,
    GATEWAY,
    HOLDERS,
    HOLDERS_P256,
    ISSUER,
    MALLORY,
    NOW,
    OTHER_GATEWAY,
    Claims,
    Spec,
    chain,
    cth,
    put,
    sign as sign_token,
    subject,
)

TO = "spiffe://acme.example/agent/worker/instance/7"
TOKENS = Key("token-authority", "ES256")
BODY = b'{"hello":1}'
COVERED = ["authorization", "content-type", "content-digest", "txn-token", "workload-identity-token", "agent-delegation"]

CONTEXT = {
    "now": NOW,
    "audience": TO,
    "started_at": NOW - 1_000,
    "wits": [{"trust_domain": "acme.example", "keys": [TOKENS.jwk]}],
    "seen_nonces": [],
    "referenced": [],
    "chains": {
        "audience": GATEWAY,
        "authority": ISSUER,
        "trust_anchors": [AUTHORITY.jwk],
        "current_epoch": EPOCH,
    },
}

Fields = list[list[str]]


def credential(
    at: int = 1,
    key: Key | None = None,
    edit: Callable[[Claims], Any] | None = None,
    signer: Key = TOKENS,
    typ: str = "wit+jwt",
    **spec: Any,
) -> str:
    """A workload identity token of a holder."""
    claims = {
        "sub": subject(at),
        "cnf": {"jwk": dict((key or HOLDERS[at]).jwk)},
        "iat": NOW - 600,
        "exp": NOW + 600,
        "jti": "crd_7zzzzzzzzzzzzzzzzzzzzzzzzz",
        "manifest_digest": "sha256:" + sha256("manifest").hex(),
        "attestation_level": "software-only/launch",
        "isolation": "isolated",
    }
    if edit:
        edit(claims)
    return sign_token(claims, signer, Spec(**spec), typ)


def bytes_of(data: bytes) -> str:
    return f":{base64.b64encode(data).decode()}:"


def content_digest(body: bytes) -> str:
    return "sha-256=" + bytes_of(sha256(body))


def quoted(text: str) -> str:
    return f'"{text}"'


class Message:
    """A request under construction."""

    def __init__(
        self, at: int = 1, key: Key | None = None, body: bytes = BODY, chained: bool = False
    ) -> None:
        self.key = key or HOLDERS[at]
        self.method, self.target, self.body = "POST", "/v1/handshake/offer?x=1", body
        self.fields: Fields = [
            ["content-type", "application/json"],
            ["workload-identity-token", credential(at, self.key)],
        ]
        if chained:
            self.fields.append(["agent-delegation", ",".join(chain(at))])
        self.label = "wimse"
        self.components: list[str] | None = None
        self.parameters: dict[str, str] = {
            "created": str(NOW),
            "expires": str(NOW + 60),
            "nonce": quoted("nonce-1"),
            "tag": quoted("wimse-workload-to-workload"),
            "wimse-aud": quoted(TO),
        }

    def set(self, name: str, value: str | None) -> Message:
        """Sets a field, or takes it out."""
        self.fields = [field for field in self.fields if field[0] != name]
        if value is not None:
            self.fields.append([name, value])
        return self

    def parameter(self, name: str, value: str | None) -> Message:
        """Sets a parameter, or takes it out; an empty text is a bare one."""
        self.parameters.pop(name, None)
        if value is not None:
            self.parameters[name] = value
        return self

    def value(self, name: str) -> str:
        derived = {"@method": self.method, "@request-target": self.target}
        found = {known.lower(): value for known, value in self.fields}
        return derived.get(name, found.get(name, "").strip())

    def sign(self, listed: str | None = None) -> Message:
        """Adds the digest where there is a body, and the signature; ``listed`` in place of the list
        of what is covered."""
        names = [name for name, _ in self.fields]
        if self.body and "content-digest" not in names:
            self.fields.append(["content-digest", content_digest(self.body)])
        names = [name.lower() for name, _ in self.fields]
        if self.components is None:
            held = [name for name in COVERED if name in names]
            self.components = ["@method", "@request-target", *held]
        listed = listed or "(" + " ".join(map(quoted, self.components)) + ")"
        for name, value in self.parameters.items():
            listed += f";{name}={value}" if value else f";{name}"
        base = "".join(f'"{name}": {self.value(name)}\n' for name in self.components)
        base += f'"@signature-params": {listed}'
        self.fields.append(["signature-input", f"{self.label}={listed}"])
        self.fields.append(["signature", f"{self.label}=" + bytes_of(self.key.sign(base.encode()))])
        return self

    def change(self, name: str, old: str, new: str) -> Message:
        """Changes a field after the signature was made."""
        for field in self.fields:
            if field[0] == name:
                assert old in field[1], (name, old)
                field[1] = field[1].replace(old, new, 1)
        return self

    def written(self) -> Claims:
        return {
            "method": self.method,
            "target": self.target,
            "fields": copy.deepcopy(self.fields),
            "body": b64(self.body),
        }


def signed(**options: Any) -> Message:
    return Message(**options).sign()


def _accept(file: File, slug: str, why: str, message: Message, peer: str = subject(1), **more: Any) -> None:
    verdict = {"expect": "accept", "reason": None}
    file.add(slug, why, request=message.written(), peer_spiffe_id=peer, **more, **verdict)


def _reject(
    file: File, slug: str, why: str, reason: str, message: Message, peer: str = subject(1), **more: Any
) -> None:
    verdict = {"expect": "reject", "reason": reason}
    file.add(slug, why, request=message.written(), peer_spiffe_id=peer, **more, **verdict)


def write() -> File:
    note = "signed requests, the credential and the chain that they carry"
    file = File("requests", "chancery-request-vectors/1", note, context=CONTEXT)
    _accept(file, "whole", "a request with a body, a credential and a chain", signed(chained=True))
    file.base = file.vectors[-1]["id"]
    _accepted(file)
    _changed(file)
    _fields(file)
    _covered(file)
    _spelling(file)
    _parameters(file)
    _times(file)
    _bodies(file)
    _credentials(file)
    _delegations(file)
    _order(file)
    return file


def _accepted(file: File) -> None:
    _accept(file, "root", "the root's holder", signed(at=0, chained=True), subject(0))
    _accept(file, "p256", "an agent key on P-256", signed(key=HOLDERS_P256[1]))
    bare = Message(body=b"").set("content-type", None)
    bare.method, bare.target = "GET", "/"
    _accept(file, "bare", "neither body nor chain", bare.sign())
    message = Message()
    message.label = "sig1"
    _accept(file, "label", "another label", message.sign())
    message = Message()
    message.parameters = dict(reversed(message.parameters.items()))
    _accept(file, "parameters-reversed", "parameters in another order", message.sign())
    message = Message(chained=True).set("x-more", "a, b")
    names = ["agent-delegation", "x-more", "workload-identity-token", "content-digest", "content-type"]
    message.components = [*names, "@request-target", "@method"]
    _accept(file, "more-covered", "more is covered, in another order", message.sign())
    _accept(file, "more-there", "a field that nobody has to cover", Message().set("x-more", "a").sign())
    message = Message().parameter("wimse-sign-response", "")
    _accept(file, "sign-response", "the answer is to be signed", message.sign())
    message = signed()
    message.fields = [[name.title(), f" \t{value}  "] for name, value in message.fields]
    _accept(file, "names-and-blanks", "names in any case, blanks around values", message)
    for name in ["authorization", "txn-token"]:
        _accept(file, name, f"{name} is there and covered", Message().set(name, "a").sign())


def _changed(file: File) -> None:
    def bad(slug: str, why: str, message: Message, reason: str = "http_bad_signature") -> None:
        _reject(file, slug, why, reason, message)

    message = signed()
    message.method = "PUT"
    bad("method", "another method", message)
    message = signed()
    message.method = "post"
    bad("method-case", "another case of the method", message)
    for slug, target in [("target", "/v1/handshake/offer?x=2"), ("target-path", "/v1/handshake/offers?x=1")]:
        message = signed()
        message.target = target
        bad(slug, "another target", message)
    change = lambda name, old, new: signed().change(name, old, new)
    bad("content-type-changed", "another type", change("content-type", "json", "xml"))
    bad("nonce-changed", "another nonce", change("signature-input", "nonce-1", "nonce-2"))
    bad("audience-changed", "another audience", change("signature-input", "instance/7", "instance/8"))
    bad("expires-changed", "a longer life", change("signature-input", str(NOW + 60), str(NOW + 61)))
    bad("label-changed", "the label is in no signature", change("signature", "a", "b"))
    other = credential(edit=put("exp", NOW + 601))
    bad("credential-changed", "another credential of the same key", signed().set("workload-identity-token", other))
    shorter = ",".join(chain(1, {1: Spec(edit=put("exp", NOW + 60))}))
    bad("chain-changed", "another chain of the same holder", signed(chained=True).set("agent-delegation", shorter))
    message = Message()
    message.key = MALLORY
    bad("key", "a stranger's key", message.sign())
    message = signed()
    order = ["created", "expires"]
    first, second = (f";{name}={message.parameters[name]}" for name in order)
    bad("parameters-moved", "parameters in another order", message.change("signature-input", first + second, second + first))
    message = signed()
    message.change("signature-input", '"@method" "@request-target"', '"@request-target" "@method"')
    bad("components-moved", "components in another order", message)
    message = signed()
    at = next(field for field in message.fields if field[0] == "signature")
    data = base64.b64decode(at[1][7:-1])
    at[1] = "wimse=" + bytes_of(bytes([data[0] ^ 1]) + data[1:])
    bad("bit", "a flipped bit", message)
    message = signed()
    at = next(field for field in message.fields if field[0] == "signature")
    for slug, held in [("short", data[:63]), ("empty", b""), ("long", data + b"\0")]:
        at[1] = "wimse=" + bytes_of(held)
        bad(f"signature-{slug}", f"no signature: {slug}", message)


def _fields(file: File) -> None:
    for name in ["signature", "signature-input"]:
        _reject(file, f"without-{name}", f"no {name}", "http_signature_missing", signed().set(name, None))
    neither = Message()
    _reject(file, "unsigned", "no signature at all", "http_signature_missing", neither)
    missing = Message().set("workload-identity-token", None).sign()
    _reject(file, "without-credential", "no credential", "http_credential_missing", missing)
    for name in ["signature", "signature-input", *COVERED[1:3], *COVERED[4:]]:
        message = signed(chained=True)
        again = next(value for known, value in message.fields if known == name)
        message.fields.append([name.upper(), again])
        _reject(file, f"twice-{name}", f"{name} twice", "http_duplicate_field", message)
    for slug, text in [("fold", "\r\n x"), ("line", "\n\"@method\": PUT"), ("nul", "\0"), ("delete", "\x7f"), ("tab", "\tx")]:
        message = signed()
        message.fields[0][1] += text
        why = f"a control character in a value: {slug}"
        _reject(file, f"control-{slug}", why, "http_signature_malformed", message)
    for slug, target in [("space", "/a b"), ("line", "/a\n"), ("empty", ""), ("not-ascii", "/\u00e9")]:
        message = Message()
        message.target = target
        _reject(file, f"target-{slug}", f"no request target: {slug}", "http_signature_malformed", message.sign())
    message = Message()
    message.method = "GET /"
    _reject(file, "method-space", "no method", "http_signature_malformed", message.sign())


def _covered(file: File) -> None:
    whole = ["@method", "@request-target", *COVERED[1:3], *COVERED[4:]]
    for name in whole:
        message = Message(chained=True)
        message.components = [known for known in whole if known != name]
        slug = name.removeprefix("@")
        _reject(file, f"uncovered-{slug}", f"{name} is not covered", "http_uncovered", message.sign())
    for name in ["authorization", "txn-token"]:
        message = Message(chained=True).set(name, "a")
        message.components = list(whole)
        _reject(file, f"uncovered-{name}", f"{name} is not covered", "http_uncovered", message.sign())
    for name in ["content-type", "content-digest", "agent-delegation"]:
        message = signed(chained=True).set(name, None)
        why = f"{name} was covered and is gone"
        _reject(file, f"gone-{name}", why, "http_uncovered", message)
    for slug, name in [("missing", "x-more"), ("authority", "@authority"), ("path", "@path"), ("status", "@status"), ("empty", "")]:
        message = Message(chained=True)
        message.components = [*whole, name]
        why = f"what is covered is not there: {slug}"
        _reject(file, f"covered-{slug}", why, "http_uncovered", message.sign())
    message = signed()
    message.fields.append(["Agent-Delegation", ",".join(chain(1))])
    why = "a chain that was added to a signed request"
    _reject(file, "chain-added", why, "http_uncovered", message)


def _spelling(file: File) -> None:
    def malformed(slug: str, why: str, message: Message) -> None:
        _reject(file, slug, why, "http_signature_malformed", message)

    change = lambda name, old, new: signed().change(name, old, new)
    names = '"@method" "@request-target" "content-type" "content-digest" "workload-identity-token"'
    for slug, old, new in [
        ("space-inside", '("', '( "'),
        ("two-spaces", '" "', '"  "'),
        ("space-before-parameter", ";expires", "; expires"),
        ("space-behind-name", "wimse=", "wimse ="),
        ("comma", '" "', '", "'),
        ("plus", ";created=", ";created=+"),
        ("leading-zero", ";created=", ";created=0"),
        ("escape", "nonce-1", "nonce\\\\1\\"),
        ("open", '"nonce-1"', '"nonce-1'),
        ("single-quotes", '"nonce-1"', "'nonce-1'"),
        ("upper-parameter", ";created", ";Created"),
        ("no-value", ";nonce=", ";nonce=;x="),
        ("parameter-twice", ";tag=", ';nonce="nonce-1";tag='),
        ("list-open", "(", ""),
        ("list-closed", ")", ""),
    ]:
        malformed(f"input-{slug}", f"another spelling of Signature-Input: {slug}", change("signature-input", old, new))
    for slug, listed in [
        ("upper", names.replace("content-type", "Content-Type")),
        ("twice", names + ' "@method"'),
        ("token", names.replace('"@method"', "method")),
        ("number", names + " 1"),
        ("flag", names.replace('"@method"', '"@method";req')),
        ("structured", names.replace('"content-digest"', '"content-digest";sf')),
        ("key", names.replace('"content-digest"', '"content-digest";key="sha-256"')),
        ("bytes", names + " :AA==:"),
    ]:
        malformed(f"component-{slug}", f"no component of the profile: {slug}", Message().sign(f"({listed})"))
    message = signed()
    for name in ["signature-input", "signature"]:
        at = next(field for field in message.fields if field[0] == name)
        two = copy.deepcopy(message)
        for field in two.fields:
            if field[0] == name:
                field[1] = f"{at[1]}, {at[1].replace('wimse', 'other', 1)}"
        malformed(f"two-{name}", f"{name} of two signatures", two)
        same = copy.deepcopy(message)
        for field in same.fields:
            if field[0] == name:
                field[1] = f"{at[1]}, {at[1]}"
        malformed(f"again-{name}", f"{name} that says the same twice", same)
        malformed(f"empty-{name}", f"an empty {name}", signed().change(name, at[1], ""))
        behind = signed().change(name, at[1], at[1] + ",")
        malformed(f"trailing-{name}", f"{name} with a comma behind", behind)
    malformed("labels", "two labels", change("signature", "wimse=", "other="))
    malformed("label-upper", "a label in upper case", change("signature", "wimse=", "Wimse="))
    value = next(value for name, value in message.fields if name == "signature")
    held = value.removeprefix("wimse=")
    for slug, new in [
        ("parameter", f"{held};a"),
        ("text", quoted(held.strip(":"))),
        ("token", "a"),
        ("list", f"({held})"),
        ("bare", held.strip(":")),
        ("unpadded", held.replace("=", "")),
        ("base64url", ":-_" + held[3:]),
        ("spaces", held.replace(":", ": ", 1)),
        ("true", "?1"),
    ]:
        assert new != held, slug
        malformed(f"bytes-{slug}", f"no signature's bytes: {slug}", change("signature", held, new))
    malformed("input-item", "Signature-Input without a list", change("signature-input", "(", '"@method";a='))
    _sizes(file)


def _sizes(file: File) -> None:
    def covering(length: int) -> Message:
        """A request of which so long a name is covered too."""
        name = "x-" + "a" * length
        message = Message().set(name, "1")
        message.components = ["@method", "@request-target", *COVERED[1:3], COVERED[4], name]
        return message.sign()

    def labelled(length: int) -> Message:
        message = Message()
        message.label = "a" * length
        return message.sign()

    for name, most, make in [("signature-input", 2_048, covering), ("signature", 512, labelled)]:
        size = lambda length: len(make(length).value(name))
        fits = most - size(9) + 9
        assert size(fits) == most
        _accept(file, f"{name}-at-most", f"{name} of {most} bytes", make(fits))
        why = f"{name} of one byte more"
        _reject(file, f"{name}-over", why, "http_signature_too_long", make(fits + 1))


def _parameters(file: File) -> None:
    def case(slug: str, why: str, reason: str, name: str, value: str | None) -> None:
        _reject(file, slug, why, reason, Message().parameter(name, value).sign())

    for slug, name, value in [
        ("keyid", "keyid", quoted(HOLDERS[1].kid)),
        ("alg", "alg", quoted("ed25519")),
        ("unknown", "x", "1"),
        ("flag", "x", ""),
        ("token", "x", "a/b"),
        ("decimal", "x", "1.5"),
        ("bytes", "x", ":AA==:"),
        ("date", "x", "@1"),
        ("display", "x", '%"a%c3%a9"'),
        ("star", "*x", "?0"),
        ("no-response", "wimse-sign-response", "?0"),
        ("response-text", "wimse-sign-response", quoted("1")),
        ("response-one", "wimse-sign-response", "1"),
    ]:
        why = f"a parameter that the profile does not know: {slug}"
        case(f"parameter-{slug}", why, "http_signature_parameter", name, value)
    for slug, value in [
        ("missing", None),
        ("other", quoted("web-bot-auth")),
        ("case", quoted("Wimse-workload-to-workload")),
        ("token", "wimse-workload-to-workload"),
        ("empty", quoted("")),
    ]:
        case(f"tag-{slug}", f"another tag: {slug}", "http_wrong_tag", "tag", value)
    for name in ["created", "expires"]:
        for slug, value in [
            ("missing", None),
            ("text", quoted(str(NOW))),
            ("decimal", f"{NOW}.0"),
            ("negative", "-1"),
            ("date", f"@{NOW}"),
            ("flag", ""),
        ]:
            case(f"{name}-{slug}", f"{name} is no time: {slug}", "http_signature_malformed", name, value)
    for name in ["nonce", "wimse-aud"]:
        for slug, value in [("missing", None), ("empty", quoted("")), ("token", "a"), ("number", "1"), ("flag", "")]:
            case(f"{name}-{slug}", f"{name} is no text: {slug}", "http_signature_malformed", name, value)
    case("nonce-129", "a nonce of 129 bytes", "http_signature_malformed", "nonce", quoted("n" * 129))
    _accept(file, "nonce-128", "a nonce of 128 bytes", Message().parameter("nonce", quoted("n" * 128)).sign())
    spelled = quoted('a\\"b\\\\c ~')
    _accept(file, "nonce-escapes", "a nonce with escapes", Message().parameter("nonce", spelled).sign())
    for slug, audience in [
        ("other", subject(8)),
        ("gateway", GATEWAY),
        ("prefix", TO[:-1]),
        ("longer", TO + "0"),
        ("case", TO.replace("worker", "Worker")),
    ]:
        why = f"meant for somebody else: {slug}"
        case(f"audience-{slug}", why, "http_wrong_audience", "wimse-aud", quoted(audience))


def _times(file: File) -> None:
    def at(created: int, expires: int, name: str = "nonce-1") -> Message:
        message = Message().parameter("created", str(created)).parameter("expires", str(expires))
        return message.parameter("nonce", quoted(name)).sign()

    for slug, created, expires in [
        ("oldest", NOW - 60, NOW + 1),
        ("ahead", NOW + 5, NOW + 65),
        ("longest", NOW, NOW + 300),
        ("last-second", NOW - 59, NOW + 1),
    ]:
        _accept(file, f"time-{slug}", f"on the edge of the window: {slug}", at(created, expires))
    for slug, created, expires in [
        ("older", NOW - 61, NOW + 1),
        ("further-ahead", NOW + 6, NOW + 66),
        ("longer", NOW, NOW + 301),
        ("over", NOW - 10, NOW),
        ("zero", 0, 60),
        ("far", 10**14, 10**14 + 60),
    ]:
        why = f"outside of the window: {slug}"
        _reject(file, f"time-{slug}", why, "http_stale", at(created, expires))
    started = {"started_at": NOW}
    _accept(file, "started-now", "made in the second of the start", signed(), context=started)
    started = {"started_at": NOW + 1}
    _reject(file, "started-later", "made before the start", "http_stale", signed(), context=started)
    seen = {"seen_nonces": ["nonce-1"]}
    _reject(file, "replay", "the nonce was seen", "http_replay", signed(), context=seen)
    seen = {"seen_nonces": ["nonce-2", "NONCE-1"]}
    _accept(file, "replay-others", "other nonces were seen", signed(), context=seen)
    seen = {"seen_nonces": [f"n{number}" for number in range(64)]}
    _reject(file, "replay-full", "the memory is full", "http_replay", signed(), context=seen)


def _bodies(file: File) -> None:
    def bad(slug: str, why: str, message: Message) -> None:
        _reject(file, slug, why, "http_content_digest", message)

    digest = bytes_of(sha256(BODY))
    other = bytes_of(sha256(b"other"))
    for slug, text in [
        ("several", f"sha-512=:AA==:, sha-256={digest}"),
        ("parameter", f"sha-256={digest};a=1"),
        ("spaces", f"sha-512=:AA==:  ,  sha-256={digest}"),
        ("last-counts", f"sha-256={other}, sha-256={digest}"),
    ]:
        _accept(file, f"digest-{slug}", f"a digest among others: {slug}", Message().set("content-digest", text).sign())
    for slug, text in [
        ("other", f"sha-256={other}"),
        ("other-algorithm", "sha-512=:AA==:"),
        ("case", f"SHA-256={digest}"),
        ("text", f'sha-256="{digest.strip(":")}"'),
        ("list", f"sha-256=({digest})"),
        ("flag", "sha-256"),
        ("base64url", f"sha-256=:{b64(sha256(BODY))}:".replace("=:", "=:-", 1)),
        ("behind", f"sha-256={digest},"),
        ("not-a-dictionary", digest),
        ("last-counts", f"sha-256={digest}, sha-256={other}"),
        ("short", "sha-256=" + bytes_of(sha256(BODY)[:31])),
    ]:
        bad(f"no-digest-{slug}", f"not the body's digest: {slug}", Message().set("content-digest", text).sign())
    message = signed()
    message.body += b" "
    bad("body-longer", "a body with more behind", message)
    message = signed()
    message.body = b""
    bad("body-gone", "the body is gone", message)
    message = Message(body=b"").sign()
    message.body = BODY
    bad("body-added", "a body that no digest covers", message)
    empty = Message(body=b"").set("content-digest", content_digest(b"")).sign()
    _accept(file, "body-empty", "the digest of no body", empty)


def _credentials(file: File) -> None:
    def refused(slug: str, why: str, cause: str, token: str, **more: Any) -> None:
        message = Message().set("workload-identity-token", token).sign()
        _reject(file, slug, why, "http_credential_refused", message, cause=cause, **more)

    over = lambda exp: Message().set("workload-identity-token", credential(edit=put("exp", exp))).sign()
    _accept(file, "wit-last-second", "a credential in its last second", over(NOW + 1))
    _reject(file, "wit-over", "a credential that is over", "http_credential_expired", over(NOW))
    late = Message().set("workload-identity-token", credential(edit=put("iat", NOW + 600))).sign()
    _accept(file, "wit-iat", "iat never limits a credential", late)
    refused("wit-typ", "another type of token", "wrong_typ", credential(typ="adt+jwt"))
    refused("wit-alg", "signed with Ed25519", "alg_not_allowed", credential(signer=Key("token-authority")))
    refused("wit-alg-none", "no algorithm", "alg_not_allowed", credential(header=put("alg", "none")))
    stranger = Key("stranger", "ES256")
    refused("wit-stranger", "signed by a stranger", "unknown_key", credential(signer=stranger))
    refused("wit-forged", "a stranger's signature under the authority's name", "bad_signature", credential(signer=stranger, kid=TOKENS.kid))
    refused("wit-malformed", "no token", "malformed", "a.b")
    refused("wit-header", "a header member that nobody knows", "malformed", credential(header=put("jku", "a")))
    for name in ["sub", "cnf", "iat", "exp", "jti", "manifest_digest", "attestation_level", "isolation"]:
        refused(f"wit-without-{name}", f"no {name}", "claims", credential(edit=lambda claims: claims.pop(name)))
    jwk = dict(HOLDERS[1].jwk)
    for slug, edit in [
        ("aud", put("aud", TO)),
        ("nbf", put("nbf", NOW)),
        ("sub-list", put("sub", [subject(1)])),
        ("sub-https", put("sub", "https://acme.example/agent")),
        ("cnf-list", put("cnf", [jwk])),
        ("cnf-more", put("cnf", {"jwk": jwk, "kid": "a"})),
        ("cnf-private", put("cnf", "jwk", "d", b64(bytes(32)))),
        ("exp-text", put("exp", str(NOW + 600))),
        ("exp-negative", put("exp", -1)),
        ("iat-null", put("iat", None)),
        ("jti-other", put("jti", "ses_7zzzzzzzzzzzzzzzzzzzzzzzzz")),
        ("manifest-upper", put("manifest_digest", "sha256:" + sha256("manifest").hex().upper())),
        ("level", put("attestation_level", "launch")),
        ("isolation", put("isolation", "none")),
        ("isolation-object", put("isolation", {"isolated": None})),
    ]:
        refused(f"wit-{slug}", f"other claims than the profile's: {slug}", "claims", credential(edit=edit))
    curve = {**HOLDERS_P256[1].jwk, "y": HOLDERS_P256[2].jwk["y"]}
    refused("wit-off-curve", "a key that is no point", "bad_key", credential(edit=put("cnf", {"jwk": curve})))
    abroad = put("sub", "spiffe://other.example/agent/worker/instance/1")
    refused("wit-abroad", "of another trust domain", "wrong_trust_domain", credential(edit=abroad))
    foreign = "spiffe://other.example/agent/worker/instance/1"
    why = "a peer of a trust domain of which no key is believed"
    refused("wit-no-bundle", why, "wrong_trust_domain", credential(), peer=foreign)
    for slug, peer in [("peer", subject(2)), ("peer-prefix", subject(1) + "0")]:
        _reject(file, f"wit-{slug}", "somebody else stands at the other end", "http_holder_mismatch", signed(), peer)
    message = Message().set("workload-identity-token", credential(key=HOLDERS[2])).sign()
    _reject(file, "wit-other-key", "a credential of another key", "http_bad_signature", message)


def _delegations(file: File) -> None:
    def carrying(text: str) -> Message:
        return Message().set("agent-delegation", text).sign()

    held = chain(1)
    reference = "sha256:" + sha256(",".join(held)).hex()
    known = {"referenced": [held]}
    _accept(file, "reference", "a chain that was presented before", carrying(reference), context=known)
    why = "a chain that was not presented before"
    _reject(file, "reference-unknown", why, "delegation_reference_unknown", carrying(reference))
    other = {"referenced": [chain(1, {1: Spec(edit=put("exp", NOW + 60))})]}
    _reject(file, "reference-other", why, "delegation_reference_unknown", carrying(reference), context=other)
    for slug, text in [
        ("reference-upper", reference.upper().replace("SHA256", "sha256")),
        ("reference-short", reference[:-1]),
        ("reference-cth", cth(held) + "="),
        ("empty-link", ",".join([held[0], "", held[1]])),
        ("comma-behind", ",".join(held) + ","),
        ("spaces", ", ".join(held)),
        ("json", '["' + held[0] + '"]'),
        ("padded", ",".join(held) + "="),
        ("quoted", quoted(",".join(held))),
    ]:
        why = f"neither links nor a reference: {slug}"
        _reject(file, f"chain-{slug}", why, "http_delegation_malformed", carrying(text))
    _reject(file, "chain-nine", "nine links", "http_signature_too_long", carrying(",".join(["a.b.c"] * 9)))
    _reject(file, "chain-long", "too many bytes", "http_signature_too_long", carrying("a" * 16_385))

    def refused(slug: str, why: str, cause: str, link: int | None, made: list[str], **more: Any) -> None:
        message = carrying(",".join(made))
        _reject(file, f"chain-{slug}", why, "http_chain_refused", message, cause=cause, link=link, **more)

    over = chain(1, {1: Spec(edit=put("exp", NOW))})
    refused("over", "a chain that is over", "expired", 1, over)
    away = chain(1, {0: Spec(edit=put("aud", [OTHER_GATEWAY]))})
    refused("elsewhere", "a chain for another gateway", "wrong_audience", 0, away)
    mine = chain(1, {0: Spec(edit=put("aud", [TO]))})
    refused("for-this-agent", "a chain names its gateway, not the one who answers", "wrong_audience", 0, mine)
    forged = chain(1, {1: Spec(key=MALLORY)})
    refused("forged", "a link that its parent's holder did not sign", "bad_signature", 1, forged)
    refused("no-token", "a link that is no token", "malformed", 1, [held[0], "a"])
    chains = {**CONTEXT["chains"], **revoked(("token", "del-0"))}  # type: ignore[dict-item]
    refused("revoked", "a chain that was revoked", "revoked", 0, held, context={"chains": chains})
    stranger = carrying(",".join(chain(2)))
    _reject(file, "chain-of-another", "a chain whose holder is another", "http_holder_mismatch", stranger)
    parent = carrying(held[0])
    _reject(file, "chain-cut", "a chain that ends at its parent", "http_holder_mismatch", parent)
    swapped = chain(1, holders=[HOLDERS[0], HOLDERS[3]])
    why = "a chain for the same name with another key"
    _reject(file, "chain-other-key", why, "http_holder_mismatch", carrying(",".join(swapped)))
    renamed = chain(1, {1: Spec(edit=put("sub", subject(9)))})
    why = "a chain for the same key under another name"
    _reject(file, "chain-other-name", why, "http_holder_mismatch", carrying(",".join(renamed)))
    by_reference = {"referenced": [over]}
    message = carrying("sha256:" + sha256(",".join(over)).hex())
    why = "a chain that was presented before and is over now"
    more = {"cause": "expired", "link": 1, "context": by_reference}
    _reject(file, "reference-over", why, "http_chain_refused", message, **more)


def _order(file: File) -> None:
    stale = {"created": str(NOW - 100), "expires": str(NOW - 40)}
    seen = {"seen_nonces": ["nonce-1"]}

    def message(audience: str = TO, chain: str = "a=b", **parameters: str) -> Message:
        made = Message().set("agent-delegation", chain).parameter("wimse-aud", quoted(audience))
        for name, value in parameters.items():
            made.parameter(name, value)
        return made

    bad = message(subject(8), **stale)
    bad.key = MALLORY
    why = "signed by a stranger, for somebody else, too old"
    _reject(file, "signature-first", why, "http_bad_signature", bad.sign(), context=seen)
    bad = message(subject(8), **stale).sign()
    bad.body += b" "
    why = "another body, for somebody else"
    _reject(file, "body-second", why, "http_content_digest", bad, context=seen)
    why = "for somebody else, too old"
    _reject(file, "audience-third", why, "http_wrong_audience", message(subject(8), **stale).sign(), context=seen)
    _reject(file, "time-fourth", "too old and seen", "http_stale", message(**stale).sign(), context=seen)
    _reject(file, "replay-fifth", "seen, and no chain", "http_replay", message().sign(), context=seen)
    bad = message().set("workload-identity-token", "a")
    bad.parameters["x"] = "1"
    why = "the signature is read before the credential"
    _reject(file, "parameter-first", why, "http_signature_parameter", bad.sign())
    bad = message().set("workload-identity-token", "a")
    bad.key = MALLORY
    why = "the credential is verified before the signature"
    _reject(file, "credential-first", why, "http_credential_refused", bad.sign(), cause="malformed")
