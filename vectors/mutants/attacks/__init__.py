"""The checks that the attacks of ``vectors/attacks.tsv`` meet, each to be taken out."""

from __future__ import annotations

from . import handshakes, issuance, planes, proofs, tokens, withdrawal
from .edits import Mutant

MUTANTS: list[Mutant] = [
    *tokens.MUTANTS,
    *proofs.MUTANTS,
    *handshakes.MUTANTS,
    *issuance.MUTANTS,
    *withdrawal.MUTANTS,
    *planes.MUTANTS,
]
