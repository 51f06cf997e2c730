"""A call as it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KINDS = {"mcp_tool": "tool", "mcp_resource": "uri", "mcp_prompt": "prompt"}
"""The types of entries, and the member that names what each is about."""


@dataclass(frozen=True)
class Call:
    """Where, what and with which arguments: a name of one of the ``KINDS`` at a server. The
    arguments are what ``read_arguments`` returns."""

    server: str
    name: str
    args: dict[str, Any]
    kind: str = "mcp_tool"

    def proof_target(self) -> list[Any]:
        """The ``tool`` claim of a proof for this call: server and tool. For what is not a tool the
        type is a third element, so that a proof for one is never a proof for the other."""
        target = [self.server, self.name]
        return target if self.kind == "mcp_tool" else [*target, self.kind]
