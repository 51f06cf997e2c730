"""Points in time: microseconds since the Unix epoch. Time is always an argument."""

from typing import NewType

Timestamp = NewType("Timestamp", int)
"""Microseconds since the Unix epoch."""


def from_seconds(seconds: int) -> Timestamp:
    """Whole seconds since the epoch."""
    return Timestamp(seconds * 1_000_000)


def plus_seconds(time: Timestamp, seconds: int) -> Timestamp:
    """That many seconds later."""
    return Timestamp(time + seconds * 1_000_000)
