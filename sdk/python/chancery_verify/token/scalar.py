"""Values that an argument can be held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..limits import MAX_SAFE_INTEGER


@dataclass(frozen=True)
class Scalar:
    """A boolean, an integer that every reader represents exactly, or a text. The type is part of
    the value: ``1`` is not ``true``."""

    kind: type
    value: bool | int | str

    @staticmethod
    def read(value: Any) -> Scalar | None:
        """The scalar, or ``None`` for null, lists, objects, floats and unsafe integers."""
        if type(value) is int and abs(value) > MAX_SAFE_INTEGER:
            return None
        return Scalar(type(value), value) if type(value) in (bool, int, str) else None
