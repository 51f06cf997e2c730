"""One entry of ``authorization_details``, ``forbid`` or ``ask``."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

from ..reason import Reason, Refused, require
from .call import KINDS, Call
from .constraint import Constraint
from .judgement import Judgement
from .spending import Limits


@dataclass(frozen=True)
class Entry:
    """A tool, resource or prompt of one server by its exact name, what its arguments are held to,
    and its limits."""

    kind: str
    server: str
    name: str
    args: dict[str, Constraint]
    limits: Limits

    @staticmethod
    def parse(value: Any) -> Entry:
        """Reads an entry of a token. What is not known is refused as ``constraint_unknown``."""
        if not isinstance(value, dict):
            raise Refused(Reason.CONSTRAINT_UNKNOWN)
        kind = value.get("type")
        if not isinstance(kind, str) or kind not in KINDS:
            raise Refused(Reason.CONSTRAINT_UNKNOWN)
        named = KINDS[kind]
        require(
            value.keys() <= {"type", "server", named, "args", "limits"}, Reason.CONSTRAINT_UNKNOWN
        )
        args = value.get("args", {})
        if not isinstance(args, dict) or (args and kind == "mcp_resource"):
            raise Refused(Reason.CONSTRAINT_UNKNOWN)
        return Entry(
            kind=kind,
            server=_exact_name(value.get("server"), "*?"),
            # A question mark is part of a URI's syntax; resources are compared, never matched.
            name=_exact_name(value.get(named), "*" if kind == "mcp_resource" else "*?"),
            args={name: Constraint.parse(held) for name, held in args.items()},
            limits=Limits.parse(value["limits"]) if "limits" in value else Limits(),
        )

    def subsumes(self, child: Entry) -> bool:
        """Whether everything that ``child`` permits, this permits: same type, server and name,
        every argument that this constrains constrained as much, every limit kept."""
        return (
            (self.kind, self.server, self.name) == (child.kind, child.server, child.name)
            and self.limits.subsumes(child.limits)
            and all(
                argument in child.args and mine.subsumes(child.args[argument])
                for argument, mine in self.args.items()
            )
        )

    def permits(self, call: Call) -> bool:
        """Whether this entry permits the call: every constraint holds."""
        return self._judge(call) is Judgement.HOLDS

    def applies_to(self, call: Call) -> bool:
        """Whether this entry, as a prohibition or question, applies to the call: no constraint is
        known to fail."""
        return self._judge(call) is not Judgement.FAILS

    def _judge(self, call: Call) -> Judgement:
        if (self.kind, self.server, self.name) != (call.kind, call.server, call.name):
            return Judgement.FAILS
        judgements = (held.judge(call.args, name) for name, held in self.args.items())
        return min(judgements, default=Judgement.HOLDS)


def _exact_name(value: Any, wildcards: str) -> str:
    if not isinstance(value, str) or not value:
        raise Refused(Reason.CONSTRAINT_UNKNOWN)
    unfit = any(
        character in wildcards or unicodedata.category(character) == "Cc" for character in value
    )
    require(not unfit, Reason.CONSTRAINT_UNKNOWN)
    return value
