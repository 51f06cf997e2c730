"""What a constraint says about a value."""

from enum import IntEnum


class Judgement(IntEnum):
    """Only ``HOLDS`` permits; only ``FAILS`` escapes a prohibition."""

    FAILS = 0
    """The value does not satisfy the constraint."""
    UNCLEAR = 1
    """It cannot be said: the value is missing, of another type or of several readings."""
    HOLDS = 2
    """The value satisfies the constraint."""


def decide(holds: bool) -> Judgement:
    """``HOLDS`` or ``FAILS``."""
    return Judgement.HOLDS if holds else Judgement.FAILS
