"""How often and for how much an entry may be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..limits import MAX_SAFE_INTEGER
from ..reason import Reason, Refused, require


@dataclass(frozen=True)
class Limits:
    """Most calls, and most cost in millionths of the currency. Who counts is not the verifier."""

    max_calls: int | None = None
    max_cost_micros: int | None = None

    @staticmethod
    def parse(value: Any) -> Limits:
        """Reads an object of known limits, each a non-negative integer."""
        if not isinstance(value, dict):
            raise Refused(Reason.CONSTRAINT_UNKNOWN)
        known = value.keys() <= {"max_calls", "max_cost_micros"}
        amounts = value.values()
        fit = all(type(amount) is int and 0 <= amount <= MAX_SAFE_INTEGER for amount in amounts)
        require(known and fit, Reason.CONSTRAINT_UNKNOWN)
        return Limits(value.get("max_calls"), value.get("max_cost_micros"))

    def subsumes(self, child: Limits) -> bool:
        """Whether ``child`` has every limit that this has, and none that is larger."""
        return _within(self.max_calls, child.max_calls) and _within(
            self.max_cost_micros, child.max_cost_micros
        )


def _within(mine: int | None, theirs: int | None) -> bool:
    return mine is None or (theirs is not None and theirs <= mine)
