"""Remembers the proofs that were taken, so that none is taken twice."""

from __future__ import annotations

from ..reason import Reason, require
from ..timestamp import Timestamp


class ReplayMemory:
    """A replay memory of one process: so many proofs for each of so many holders. A holder that
    fills its part is refused until its proofs age; no other holder notices."""

    def __init__(self, per_holder: int, holders: int) -> None:
        self._per_holder = per_holder
        self._holders = holders
        self._latest = Timestamp(0)
        self._seen: dict[str, dict[str, Timestamp]] = {}

    def remember(self, holder: str, jti: str, until: Timestamp, now: Timestamp) -> None:
        """Remembers ``jti`` of ``holder`` until ``until``, when the proof is too old anyway. Refuses
        what is remembered already, what may have been forgotten and what does not fit."""
        # What was forgotten at the latest time stays forgotten when the clock steps back.
        self._latest = max(self._latest, now)
        require(until >= self._latest, Reason.REPLAY)
        if holder not in self._seen and len(self._seen) >= self._holders:
            self._seen = {name: kept for name in self._seen if (kept := self._kept(name))}
            require(len(self._seen) < self._holders, Reason.REPLAY)
        seen = self._seen[holder] = self._kept(holder)
        require(jti not in seen and len(seen) < self._per_holder, Reason.REPLAY)
        seen[jti] = until

    def _kept(self, holder: str) -> dict[str, Timestamp]:
        seen = self._seen.get(holder, {})
        return {jti: until for jti, until in seen.items() if until >= self._latest}
