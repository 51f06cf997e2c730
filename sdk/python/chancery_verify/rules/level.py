"""What vouches for an instance."""

from __future__ import annotations

from enum import Enum


class AttestationLevel(Enum):
    """What an identity rests on, by its name on the wire, weakest first."""

    PROCESS = "software-only/process"
    LAUNCH = "software-only/launch"
    TPM = "tpm"
    SEV_SNP = "sev-snp"
    TDX = "tdx"

    @property
    def rank(self) -> int:
        """The place in the order: larger is stronger."""
        return list(AttestationLevel).index(self)
