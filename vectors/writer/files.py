"""Files of vectors, numbered in the order in which they are written."""

from __future__ import annotations

import json
from typing import Any


class File:
    """A file of one format."""

    def __init__(self, name: str, format: str, note: str, **head: Any) -> None:
        self.name = name
        self.head = {"format": format, "note": note, **head}
        self.vectors: list[dict[str, Any]] = []
        self.base: str | None = None

    def add(self, slug: str, why: str, **members: Any) -> str:
        """Adds a vector and returns its id. A refused one names the accepted one that it is derived
        from, which is the last that was accepted as a base."""
        number = len(self.vectors) + 1
        id = f"{self.name}-{number:03}-{slug}"
        vector = {"id": id, "why": why}
        if self.base is not None:
            vector["from"] = self.base
        self.vectors.append({**vector, **members})
        return id

    def accept(
        self, slug: str, why: str, chain: list[str], base: bool = False, **more: Any
    ) -> None:
        """Adds an accepted chain; with ``base``, those that follow are derived from it."""
        verdict = {"expect": "accept", "reason": None, "link": None}
        id = self.add(slug, why, chain=chain, **more, **verdict)
        if base:
            self.base = id
            self.vectors[-1].pop("from", None)

    def reject(
        self, slug: str, why: str, reason: str, link: int | None, chain: list[str], **more: Any
    ) -> None:
        """Adds a refused chain, proof or call."""
        verdict = {"expect": "reject", "reason": reason, "link": link}
        self.add(slug, why, chain=chain, **more, **verdict)

    def text(self) -> str:
        """The file: one vector a line, so that a change shows as the vector that it is."""
        head = json.dumps(self.head, ensure_ascii=True, indent=1)[:-2]
        lines = [json.dumps(vector, ensure_ascii=True) for vector in self.vectors]
        return head + ',\n "vectors": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"
