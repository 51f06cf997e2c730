"""Public keys as JSON Web Keys, in the one spelling that the format allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec

from . import base64url

Algorithm = Literal["Ed25519", "ES256"]

_FIELD = 2**255 - 19

# The y coordinates of the points of small order on edwards25519, sign bit cleared: order 1 (1),
# 2 (p-1), 4 (0) and 8 (two values).
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        int.from_bytes(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
            "little",
        ),
        int.from_bytes(
            bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
            "little",
        ),
    }
)


class JwkError(ValueError):
    """Why a key is refused."""


@dataclass(frozen=True)
class Jwk:
    """A public key: Ed25519 (``x`` alone) or P-256, public members only. Never an Ed25519 point of
    small order or of non-canonical encoding. Whether a P-256 point is on its curve is
    ``is_on_curve``'s to say."""

    x: bytes
    y: bytes | None = None

    @staticmethod
    def parse(value: Any) -> Jwk:
        """Reads exactly ``{kty: OKP, crv: Ed25519, alg: Ed25519, x}`` or ``{kty: EC, crv: P-256,
        alg: ES256, x, y}``; unknown members, private ones among them, are refused."""
        if not isinstance(value, dict):
            raise JwkError("not an object")
        if not all(isinstance(member, str) for member in value.values()):
            raise JwkError("a member is not a text")
        named = (value.get("kty"), value.get("crv"), value.get("alg"))
        if named == ("OKP", "Ed25519", "Ed25519") and value.keys() == {"kty", "crv", "alg", "x"}:
            x = _coordinate(value["x"])
            if _is_weak(x):
                raise JwkError("an Ed25519 point of small order or of non-canonical encoding")
            return Jwk(x)
        if named == ("EC", "P-256", "ES256") and value.keys() == {"kty", "crv", "alg", "x", "y"}:
            return Jwk(_coordinate(value["x"]), _coordinate(value["y"]))
        raise JwkError("not an Ed25519 or P-256 public key with its alg")

    @property
    def algorithm(self) -> Algorithm:
        """What this key signs with."""
        return "Ed25519" if self.y is None else "ES256"

    def kid(self) -> str:
        """The RFC 7638 thumbprint in base64url."""
        return base64url.encode(self.thumbprint())

    def thumbprint(self) -> bytes:
        """The RFC 7638 thumbprint."""
        x = base64url.encode(self.x)
        if self.y is None:
            text = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
        else:
            y = base64url.encode(self.y)
            text = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
        return base64url.sha256(text.encode("ascii"))

    def is_on_curve(self) -> bool:
        """Whether a P-256 point is on its curve. Of Ed25519 nothing more is said than ``parse``
        says: nobody can sign with an encoding that is no point."""
        if self.y is None:
            return True
        try:
            self.p256()
        except ValueError:
            return False
        return True

    def p256(self) -> ec.EllipticCurvePublicKey:
        """The P-256 key; raises ``ValueError`` where there is none."""
        if self.y is None:
            raise ValueError("not a P-256 key")
        x, y = int.from_bytes(self.x, "big"), int.from_bytes(self.y, "big")
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def _coordinate(text: str) -> bytes:
    try:
        data = base64url.decode(text)
    except ValueError:
        data = b""
    if len(data) != 32:
        raise JwkError("a coordinate is not 32 bytes of base64url")
    return data


def _is_weak(x: bytes) -> bool:
    y = int.from_bytes(x, "little") & (2**255 - 1)
    return y >= _FIELD or y in _SMALL_ORDER_Y
