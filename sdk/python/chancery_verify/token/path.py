"""Absolute paths with one reading."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CleanPath:
    """An absolute path: at least one segment, no empty one, no ``.``, no ``..``, and none of ``%``,
    ``\\`` and NUL anywhere."""

    text: str

    @staticmethod
    def parse(text: str) -> CleanPath | None:
        """The path, or ``None`` where the text is none."""
        if not text.startswith("/") or any(mark in text for mark in "%\\\0"):
            return None
        if any(segment in ("", ".", "..") for segment in text[1:].split("/")):
            return None
        return CleanPath(text)

    def covers(self, other: CleanPath) -> bool:
        """Whether the other is this path or lies below it, by whole segments."""
        return other.text == self.text or other.text.startswith(self.text + "/")
