"""What the command reads, each file by what it is expected to hold. Errors name the file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .canonical import to_jcs
from .chain.context import TrustAnchor
from .jwk import Jwk
from .revocation.kind import RevocationKind
from .revocation.revocation import Revocation
from .rules.chain_rules import ChainRules
from .strict_json import parse_strict, parse_strict_with_floats
from .token.arguments import read_arguments
from .token.call import KINDS, Call
from .webauthn.assertion import Credential

_Read = TypeVar("_Read")

_LINK = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")


class FileError(ValueError):
    """What is wrong with which file."""


def data(path: Path) -> bytes:
    """The bytes of a file, or of stdin."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from None


def chain(path: Path) -> list[str]:
    """Links: joined by commas, or a JSON array of texts."""
    return _read(path, _links, "a chain: its links joined by commas, or a JSON array of them")


def proof(path: Path) -> str:
    """A proof of possession."""
    return _read(path, lambda held: held.decode("utf-8").strip(), "a proof of possession")


def anchor(text: str) -> TrustAnchor:
    """``ISSUER=FILE``: an authority by its name and the file of its key."""
    issuer, _, file = text.rpartition("=")
    if not issuer:
        raise ValueError(f"--anchor {text}: expected ISSUER=FILE, the file of the authority's JWK")
    expected = "a JWK (in a trust document: delegation_authorities[].key)"
    key = _read(Path(file), lambda held: Jwk.parse(parse_strict(held)), expected)
    return TrustAnchor(issuer, key)


def credential(path: Path) -> Credential:
    """A person's credential."""

    def read(held: bytes) -> Credential:
        known = parse_strict(held)
        key = Jwk.parse(known["jwk"])
        return Credential(known["credential_id"], key, known["rp_id"], known["origin"])

    return _read(path, read, "a credential: credential_id, jwk, rp_id and origin")


def call(path: Path) -> Call:
    """A call, its arguments read as a gateway reads them."""

    def read(held: bytes) -> Call:
        request = parse_strict_with_floats(held)
        kind = next((kind for kind, named in KINDS.items() if named in request), None)
        if kind is None:
            raise ValueError("it names no tool, uri or prompt")
        args = read_arguments(to_jcs(request.get("args", {})))
        return Call(request["server"], request[KINDS[kind]], args, kind)

    return _read(path, read, "a call: server, one of tool, uri and prompt, and args")


def rules(path: Path) -> ChainRules:
    """The operator's rules for chains."""
    return _read(path, ChainRules.parse, "rules for chains (delegation.json of a policy bundle)")


def revocations(path: Path) -> tuple[list[Revocation], int | None]:
    """What is revoked, and the epoch where the file says it: the member ``revoked`` of a snapshot, or
    what ``chancery --format json revoke list`` prints."""

    def read(held: bytes) -> tuple[list[Revocation], int | None]:
        value = parse_strict(held)
        if isinstance(value, dict):
            listed = [Revocation.read(known["revocation"]) for known in value["revocations"]]
            epoch = value["epoch"]
            if type(epoch) is not int:
                raise ValueError("its epoch is no integer")
            return listed, epoch
        if not isinstance(value, list):
            raise ValueError("it is no list")
        return list(map(Revocation.read, value)), None

    expected = "a list of {kind, id, at}, or what `chancery --format json revoke list` prints"
    return _read(path, read, expected)


def revoked(text: str) -> Revocation:
    """``KIND=ID``."""
    kind, separator, id = text.partition("=")
    if not separator or kind not in list(RevocationKind):
        kinds = ", ".join(RevocationKind)
        raise ValueError(f"--revoked {text}: expected KIND=ID, KIND one of {kinds}")
    return Revocation.of(RevocationKind(kind), id)


def _links(held: bytes) -> list[str]:
    text = held.decode("utf-8").strip()
    links: Any = parse_strict(text.encode("utf-8")) if text.startswith("[") else text.split(",")
    # What has another form is another file; what has it is judged, and may be malformed.
    if not links or not all(isinstance(link, str) and _LINK.match(link) for link in links):
        raise ValueError("not every link is three parts of base64url joined by dots")
    return list(links)


def _read(path: Path, read: Callable[[bytes], _Read], expected: str) -> _Read:
    held = data(path)
    try:
        return read(held)
    except UnicodeDecodeError:
        said = "not text"
    except (KeyError, TypeError, AttributeError):
        said = "members are missing or of another shape"
    except ValueError as error:
        said = str(error)
    raise FileError(f"{path}: {said}; expected {expected}")
