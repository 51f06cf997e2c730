"""Signature verification on ``cryptography``. Total: any malformed input is ``False``."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from .jwk import Jwk


def verify(key: Jwk, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is the key's over ``message``: Ed25519, or for P-256 the 64 bytes
    ``r || s`` of RFC 7518 section 3.4."""
    if key.algorithm == "Ed25519":
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(key.x).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    return verify_es256_der(key, message, encode_dss_signature(r, s))


def verify_es256_der(key: Jwk, message: bytes, signature: bytes) -> bool:
    """Whether ``signature``, in ASN.1 DER as WebAuthn authenticators make it, is the P-256 key's."""
    try:
        key.p256().verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
