"""What an authenticator says about an assertion (WebAuthn Level 3, section 6.1)."""

from __future__ import annotations

from dataclasses import dataclass

from .cbor import is_one_map
from .errors import Flaw, require

_PRESENT, _VERIFIED, _BACKUP_ELIGIBLE, _BACKED_UP = 0x01, 0x04, 0x08, 0x10
_ATTESTED, _EXTENSIONS, _RESERVED = 0x40, 0x80, 0x22
_MAX_EXTENSION_BYTES = 1_024


@dataclass(frozen=True)
class AuthenticatorData:
    """A person was present and verified: data that does not say so is refused when it is read."""

    rp_id_hash: bytes
    counter: int
    """The signature counter; zero where the authenticator has none."""
    backed_up: bool
    """Whether the key is copied to other devices."""

    @staticmethod
    def parse(data: bytes) -> AuthenticatorData:
        """Reads the bytes."""
        require(len(data) >= 37, Flaw.AUTHENTICATOR_DATA)
        flags, extensions = data[32], data[37:]
        inconsistent = flags & _BACKED_UP and not flags & _BACKUP_ELIGIBLE
        require(not (flags & (_RESERVED | _ATTESTED) or inconsistent), Flaw.AUTHENTICATOR_DATA)
        if flags & _EXTENSIONS:
            fits = len(extensions) <= _MAX_EXTENSION_BYTES and is_one_map(extensions)
        else:
            fits = not extensions
        require(fits, Flaw.AUTHENTICATOR_DATA)
        require(bool(flags & _PRESENT), Flaw.USER_NOT_PRESENT)
        require(bool(flags & _VERIFIED), Flaw.USER_NOT_VERIFIED)
        counter = int.from_bytes(data[33:37], "big")
        return AuthenticatorData(data[:32], counter, bool(flags & _BACKED_UP))
