"""A signature of the profile, read from a request."""

from __future__ import annotations

from dataclasses import dataclass

from .. import signature
from ..jwk import Jwk
from ..timestamp import Timestamp, from_seconds, plus_seconds
from .digest import CONTENT_DIGEST, check_body
from .errors import HttpReason, HttpRefused, require
from .request import HttpRequest
from .structured import (
    InnerList,
    Item,
    Kind,
    Parameters,
    StructuredError,
    parse_dictionary,
    serialize,
)

WIMSE_TAG = "wimse-workload-to-workload"
CREDENTIAL_FIELD = "workload-identity-token"
DELEGATION_FIELD = "agent-delegation"
MAX_AGE_SECONDS = 60
MAX_LIFE_SECONDS = 300
MAX_AHEAD_SECONDS = 5

_COVERED_IF_PRESENT = (
    "authorization",
    "content-type",
    CONTENT_DIGEST,
    "txn-token",
    CREDENTIAL_FIELD,
    DELEGATION_FIELD,
)
_MAX_INPUT_BYTES = 2_048
_MAX_SIGNATURE_BYTES = 512
_MAX_NONCE_BYTES = 128


@dataclass(frozen=True)
class ReceivedSignature:
    """Exactly one, of the profile, covering what it must; not verified yet."""

    components: tuple[str, ...]
    parameters: str
    """The inner list as it was sent: the value of ``@signature-params``."""
    created: Timestamp
    expires: Timestamp
    nonce: str
    audience: str
    signature: bytes

    @staticmethod
    def parse(request: HttpRequest) -> ReceivedSignature:
        """Reads the signature of a request."""
        written, signed = request.field("signature-input"), request.field("signature")
        if written is None or signed is None:
            raise HttpRefused(HttpReason.MISSING)
        sizes = len(written.encode()) <= _MAX_INPUT_BYTES
        require(sizes and len(signed.encode()) <= _MAX_SIGNATURE_BYTES, HttpReason.TOO_LONG)
        label, listed = _only(written)
        same, item = _only(signed)
        if not isinstance(listed, InnerList) or not isinstance(item, Item):
            raise HttpRefused(HttpReason.MALFORMED)
        data = item.bare.value
        if not isinstance(data, bytes) or item.parameters or same != label:
            raise HttpRefused(HttpReason.MALFORMED)
        components = _components(listed, request)
        created, expires, nonce, audience = _parameters(listed.parameters)
        parameters = written.removeprefix(label + "=")
        return ReceivedSignature(components, parameters, created, expires, nonce, audience, data)

    def base(self, request: HttpRequest) -> str:
        """The signature base (RFC 9421 section 2.5): one line for each covered component, in the
        order in which they are covered, and the parameters in the last."""
        lines = [f'"{name}": {_value(request, name)}\n' for name in self.components]
        return "".join(lines) + f'"@signature-params": {self.parameters}'

    def verify(self, request: HttpRequest, key: Jwk) -> None:
        """Verifies that ``key`` signed this request, body included."""
        signed = signature.verify(key, self.base(request).encode("utf-8"), self.signature)
        require(signed, HttpReason.BAD_SIGNATURE)
        check_body(request)

    def check_time(self, now: Timestamp, started_at: Timestamp) -> Timestamp:
        """Checks the window; returns the last moment at which this signature would be taken."""
        until = min(plus_seconds(self.created, MAX_AGE_SECONDS), self.expires)
        in_window = (
            now <= until
            and now < self.expires
            and self.created <= plus_seconds(now, MAX_AHEAD_SECONDS)
            and self.created >= started_at
            and self.expires <= plus_seconds(self.created, MAX_LIFE_SECONDS)
        )
        require(in_window, HttpReason.STALE)
        return until


def _only(text: str) -> tuple[str, Item | InnerList]:
    """The only member of a dictionary that is in the spelling of its serialisation."""
    try:
        members = parse_dictionary(text)
    except StructuredError:
        raise HttpRefused(HttpReason.MALFORMED) from None
    require(len(members) == 1 and serialize(members) == text, HttpReason.MALFORMED)
    return next(iter(members.items()))


def _components(listed: InnerList, request: HttpRequest) -> tuple[str, ...]:
    """What is covered: everything that must be, nothing twice."""
    names: list[str] = []
    for item in listed.items:
        name = item.bare.value
        if item.bare.kind is not Kind.STRING or not isinstance(name, str) or item.parameters:
            raise HttpRefused(HttpReason.MALFORMED)
        require(name == name.lower() and name not in names, HttpReason.MALFORMED)
        names.append(name)
    there = [name for name in _COVERED_IF_PRESENT if request.has(name)]
    covered = all(name in names for name in ["@method", "@request-target", *there])
    require(covered, HttpReason.UNCOVERED)
    return tuple(names)


def _parameters(listed: Parameters) -> tuple[Timestamp, Timestamp, str, str]:
    known = {"created", "expires", "nonce", "tag", "wimse-aud", "wimse-sign-response"}
    for name, value in listed.items():
        # That an answer be signed is for the one who answers to say.
        answer = name != "wimse-sign-response" or value.value is True
        require(name in known and answer, HttpReason.PARAMETER)
    require(_text(listed, "tag") == WIMSE_TAG, HttpReason.WRONG_TAG)
    created, expires = _seconds(listed, "created"), _seconds(listed, "expires")
    nonce, audience = _text(listed, "nonce"), _text(listed, "wimse-aud")
    if created is None or expires is None or nonce is None or audience is None:
        raise HttpRefused(HttpReason.MALFORMED)
    require(len(nonce) <= _MAX_NONCE_BYTES, HttpReason.MALFORMED)
    return created, expires, nonce, audience


def _seconds(listed: Parameters, name: str) -> Timestamp | None:
    found = listed.get(name)
    if found is None or found.kind is not Kind.INTEGER or not isinstance(found.value, int):
        return None
    return from_seconds(found.value) if found.value >= 0 else None


def _text(listed: Parameters, name: str) -> str | None:
    found = listed.get(name)
    if found is None or found.kind is not Kind.STRING or not isinstance(found.value, str):
        return None
    return found.value or None


def _value(request: HttpRequest, name: str) -> str:
    if name == "@method":
        return _line(request.method)
    if name == "@request-target":
        return _line(request.target)
    # Of what a request is derived from, no more is known here.
    value = None if name.startswith("@") else request.field(name)
    if value is None:
        raise HttpRefused(HttpReason.UNCOVERED)
    return value


def _line(value: str) -> str:
    """A value that cannot end its line."""
    visible = value != "" and all("!" <= character <= "~" for character in value)
    require(visible, HttpReason.MALFORMED)
    return value
