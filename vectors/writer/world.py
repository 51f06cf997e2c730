"""The parties, the claims they make by default, and chains with one link changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from .keys import Key, b64, sha256

NOW = 1_800_000_000
GATEWAY = "spiffe://acme.example/gateway/home"
OTHER_GATEWAY = "spiffe://acme.example/gateway/other"
ISSUER = "https://authority.acme.example"
EPOCH = 7

AUTHORITY = Key("authority")
AUTHORITY_P256 = Key("authority-p256", "ES256")
MALLORY = Key("mallory")
HOLDERS = [Key(f"holder-{number}") for number in range(9)]
HOLDERS_P256 = [Key(f"holder-p256-{number}", "ES256") for number in range(9)]

CONTEXT = {
    "now": NOW,
    "audience": GATEWAY,
    "authority": ISSUER,
    "trust_anchors": [AUTHORITY.jwk],
    "current_epoch": EPOCH,
    "revoked_jti": [],
    "seen_nonces": [],
}

Claims = dict[str, Any]


def subject(number: int) -> str:
    return f"spiffe://acme.example/agent/worker/instance/{number}"


def tool(name: str = "read_file", server: str = "fs", **rest: Any) -> Claims:
    return {"type": "mcp_tool", "server": server, "tool": name, **rest}


def read_src(**rest: Any) -> Claims:
    return tool(args={"path": {"path_prefix": "/src"}}, **rest)


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def grant(number: int, key: Key) -> Claims:
    """What roots and links have in common."""
    return {
        "sub": subject(number),
        "iat": NOW - 60,
        "nbf": NOW - 60,
        "exp": NOW + 3_600 - 60 * number,
        "jti": f"del-{number}",
        "del_depth": number,
        "del_max_depth": 7,
        "cnf": {"jwk": dict(key.jwk)},
        "authorization_details": [read_src()],
    }


def root_claims(key: Key) -> Claims:
    return {
        "iss": ISSUER,
        **grant(0, key),
        "aud": [GATEWAY],
        "sid": "ses_01",
        "ep": EPOCH,
        "prn": {
            "iss": "https://idp.acme.example",
            "sub": "00u1abcd",
            "acr": "phr",
            "auth_time": NOW - 600,
            "apr": b64(sha256("consent")),
        },
        "mission_s256": b64(sha256("mission")),
    }


class Spec:
    """How one link differs from what its rightful maker would write."""

    def __init__(
        self,
        edit: Callable[[Claims], Any] | None = None,
        text: Callable[[str], str | bytes] | None = None,
        header: Callable[[Claims], Any] | None = None,
        header_text: Callable[[str], str | bytes] | None = None,
        key: Key | None = None,
        kid: str | None = None,
        signature: Callable[[bytes], bytes] | None = None,
        token: Callable[[str], str] | None = None,
    ) -> None:
        self.edit, self.text, self.header, self.header_text = edit, text, header, header_text
        self.key, self.kid, self.signature, self.token = key, kid, signature, token


def sign(claims: Claims, key: Key, spec: Spec, typ: str = "adt+jwt", kid: bool = True) -> str:
    """A compact JWS of the claims as the spec changes it, signed after every change but those of
    the signature and the finished token."""
    header: Claims = {"alg": key.alg, "typ": typ}
    if kid:
        header["kid"] = spec.kid or key.kid
    if spec.header:
        header = spec.header(header) or header
    header_text: Any = compact(header)
    if spec.header_text:
        header_text = spec.header_text(header_text)
    payload: Any = compact(claims)
    if spec.text:
        changed = spec.text(payload)
        assert changed != payload, "a change of the text that changes nothing"
        payload = changed
    parts = [part if isinstance(part, bytes) else part.encode() for part in (header_text, payload)]
    signing_input = ".".join(map(b64, parts))
    signature = key.sign(signing_input.encode())
    if spec.signature:
        signature = spec.signature(signature)
    token = f"{signing_input}.{b64(signature)}"
    return spec.token(token) if spec.token else token


class Chain:
    """A chain under construction: each link continues what was really made before it."""

    def __init__(self, holders: list[Key] | None = None, authority: Key = AUTHORITY) -> None:
        self.holders = holders or HOLDERS
        self.signer = authority
        self.tokens: list[str] = []
        self.claims: list[Claims] = []

    def add(self, spec: Spec | None = None) -> Chain:
        spec = spec or Spec()
        number = len(self.tokens)
        key = self.holders[number]
        if number == 0:
            claims = root_claims(key)
        else:
            signing_input = self.tokens[-1].rpartition(".")[0]
            claims = {
                "iss": self.claims[-1].get("sub"),
                **grant(number, key),
                "authorization_details": copy.deepcopy(
                    self.claims[-1].get("authorization_details")
                ),
                "par_hash": b64(sha256(signing_input)),
            }
        if spec.edit:
            before = copy.deepcopy(claims)
            claims = spec.edit(claims) or claims
            assert claims != before, "an edit that changes nothing"
        self.tokens.append(sign(claims, spec.key or self.signer, spec))
        self.claims.append(claims)
        self.signer = key
        return self


def chain(links: int, specs: dict[int, Spec] | None = None, **options: Any) -> list[str]:
    """A root and that many links, each as its spec says."""
    return build(links, specs, **options).tokens


def build(links: int, specs: dict[int, Spec] | None = None, **options: Any) -> Chain:
    made = Chain(**options)
    for number in range(links + 1):
        made.add((specs or {}).get(number))
    return made


def put(*path: Any) -> Callable[[Claims], None]:
    """An edit that sets a member: names down to it, then the value."""
    *names, last, value = path

    def edit(claims: Claims) -> None:
        held: Any = claims
        for name in names:
            held = held[name]
        held[last] = value

    return edit


def drop(*path: Any) -> Callable[[Claims], None]:
    """An edit that takes a member out."""
    *names, last = path

    def edit(claims: Claims) -> None:
        held: Any = claims
        for name in names:
            held = held[name]
        del held[last]

    return edit


def swap(old: str, new: str) -> Callable[[str], str]:
    """A change of the payload's text, which must be there."""

    def text(payload: str) -> str:
        assert old in payload, old
        return payload.replace(old, new, 1)

    return text


def cth(tokens: list[str]) -> str:
    return b64(sha256(",".join(tokens)))
