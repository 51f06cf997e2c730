"""Keys of fixed names, their JSON forms and their signatures, all deterministic."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sha256(data: bytes | str) -> bytes:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).digest()


class Key:
    """A key pair whose seed is SHA-256 of ``chancery-vector-seed:`` and its name."""

    def __init__(self, name: str, kind: str = "Ed25519") -> None:
        seed = sha256("chancery-vector-seed:" + name)
        self.alg = kind
        if kind == "Ed25519":
            self.private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
            x = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "x": b64(x)}
        else:
            scalar = int.from_bytes(seed, "big") % (P256_ORDER - 1) + 1
            self.private = ec.derive_private_key(scalar, ec.SECP256R1())
            point = self.private.public_key().public_numbers()
            x, y = (b64(number.to_bytes(32, "big")) for number in (point.x, point.y))
            self.jwk = {"kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y}

    @property
    def kid(self) -> str:
        return thumbprint(self.jwk)

    def sign(self, message: bytes) -> bytes:
        """Ed25519, or ECDSA (RFC 6979) as ``r || s``."""
        if self.alg == "Ed25519":
            return self.private.sign(message)
        r, s = decode_dss_signature(self.sign_der(message))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign_der(self, message: bytes) -> bytes:
        """What a WebAuthn authenticator makes: ECDSA in ASN.1 DER, or Ed25519 as it is."""
        if self.alg == "Ed25519":
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638."""
    if jwk["kty"] == "OKP":
        text = '{"crv":"Ed25519","kty":"OKP","x":"%s"}' % jwk["x"]
    else:
        text = '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' % (jwk["x"], jwk["y"])
    return b64(sha256(text))


def hex_of(text: str) -> str:
    """The hex digits of what base64url says."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
