"""Constraints on one argument of a call. The set is closed, so that whether one constraint implies
another is always decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..reason import Reason, Refused
from .judgement import Judgement, decide
from .network import Network
from .path import CleanPath
from .scalar import Scalar


class Constraint:
    """One of ``Exact``, ``OneOf``, ``PathPrefix``, ``IntRange`` and ``Cidr``."""

    @staticmethod
    def parse(value: Any) -> Constraint:
        """Reads an object of exactly one known member."""
        found = _read(value)
        if found is None:
            raise Refused(Reason.CONSTRAINT_UNKNOWN)
        return found

    def judge(self, args: dict[str, Any], name: str) -> Judgement:
        """Judges an argument of a call; a call without it is unclear."""
        scalar = Scalar.read(args[name]) if name in args else None
        return Judgement.UNCLEAR if scalar is None else self.judge_scalar(scalar)

    def judge_scalar(self, value: Scalar) -> Judgement:
        """Judges a value."""
        raise NotImplementedError

    def subsumes(self, child: Constraint) -> bool:
        """Whether every value that satisfies ``child`` satisfies this, by the rules of the format
        and by no others."""
        raise NotImplementedError

    def _holds(self, value: Scalar) -> bool:
        return self.judge_scalar(value) is Judgement.HOLDS


@dataclass(frozen=True)
class Exact(Constraint):
    """This value."""

    value: Scalar

    def judge_scalar(self, value: Scalar) -> Judgement:
        same_kind = value.kind is self.value.kind
        return decide(value == self.value) if same_kind else Judgement.UNCLEAR

    def subsumes(self, child: Constraint) -> bool:
        return isinstance(child, Exact) and child.value == self.value


@dataclass(frozen=True)
class OneOf(Constraint):
    """One of these values; never empty."""

    values: frozenset[Scalar]

    def judge_scalar(self, value: Scalar) -> Judgement:
        if value in self.values:
            return Judgement.HOLDS
        same_kind = all(known.kind is value.kind for known in self.values)
        return Judgement.FAILS if same_kind else Judgement.UNCLEAR

    def subsumes(self, child: Constraint) -> bool:
        if isinstance(child, Exact):
            return child.value in self.values
        return isinstance(child, OneOf) and child.values <= self.values


@dataclass(frozen=True)
class PathPrefix(Constraint):
    """This path or one below it."""

    path: CleanPath

    def judge_scalar(self, value: Scalar) -> Judgement:
        path = CleanPath.parse(value.value) if isinstance(value.value, str) else None
        return Judgement.UNCLEAR if path is None else decide(self.path.covers(path))

    def subsumes(self, child: Constraint) -> bool:
        if isinstance(child, Exact):
            return self._holds(child.value)
        if isinstance(child, OneOf):
            return all(map(self._holds, child.values))
        return isinstance(child, PathPrefix) and self.path.covers(child.path)


@dataclass(frozen=True)
class IntRange(Constraint):
    """An integer in this range, both ends included."""

    low: int
    high: int

    def judge_scalar(self, value: Scalar) -> Judgement:
        if value.kind is not int or not isinstance(value.value, int):
            return Judgement.UNCLEAR
        return decide(self.low <= value.value <= self.high)

    def subsumes(self, child: Constraint) -> bool:
        if isinstance(child, Exact):
            return self._holds(child.value)
        return isinstance(child, IntRange) and self.low <= child.low and child.high <= self.high


@dataclass(frozen=True)
class Cidr(Constraint):
    """An address or network in this network."""

    network: Network

    def judge_scalar(self, value: Scalar) -> Judgement:
        if not isinstance(value.value, str):
            return Judgement.UNCLEAR
        return self.network.judge(value.value)

    def subsumes(self, child: Constraint) -> bool:
        if isinstance(child, Exact):
            return self._holds(child.value)
        return isinstance(child, Cidr) and self.network.covers(child.network)


def _read(value: Any) -> Constraint | None:
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((kind, held),) = value.items()
    match kind:
        case "exact":
            scalar = Scalar.read(held)
            return None if scalar is None else Exact(scalar)
        case "one_of":
            return _one_of(held)
        case "path_prefix":
            path = CleanPath.parse(held) if isinstance(held, str) else None
            return None if path is None else PathPrefix(path)
        case "int_range":
            return _int_range(held)
        case "cidr":
            network = Network.parse(held) if isinstance(held, str) else None
            return None if network is None else Cidr(network)
        case _:
            return None


def _one_of(held: Any) -> Constraint | None:
    if not isinstance(held, list) or not held:
        return None
    values = [scalar for scalar in map(Scalar.read, held) if scalar is not None]
    return OneOf(frozenset(values)) if len(values) == len(held) else None


def _int_range(held: Any) -> Constraint | None:
    if not isinstance(held, list) or len(held) != 2:
        return None
    if any(type(end) is not int or Scalar.read(end) is None for end in held):
        return None
    low, high = held
    return IntRange(low, high) if low <= high else None
