"""Entries of ``authorization_details``, ``forbid`` and ``ask``, and what a child's may hold."""

from __future__ import annotations

from typing import Any

from .files import File
from .world import CONTEXT, Spec, chain, put, read_src, tool


def write() -> File:
    file = File("entries", "adt-vectors/1", "entries and what subsumes them", context=CONTEXT)
    everything = [
        tool(args={"path": {"path_prefix": "/src"}}, limits={"max_calls": 5, "max_cost_micros": 9}),
        {"type": "mcp_resource", "server": "fs", "uri": "file:///src?x=1"},
        {"type": "mcp_prompt", "server": "fs", "prompt": "review", "args": {"a": {"exact": 1}}},
    ]
    lists = put("authorization_details", everything)
    file.accept("all-types", "an entry of each type", chain(1, {0: Spec(edit=lists)}), base=True)
    none = put("authorization_details", [])
    file.accept("none", "an empty list grants nothing", chain(1, {0: Spec(edit=none)}))
    _unknown(file)
    _limits(file)
    _subsumption(file)
    _spending(file)
    return file


def _unknown(file: File) -> None:
    for slug, value in [
        ("text", "mcp_tool"),
        ("null", None),
        ("list", ["mcp_tool", "fs", "x"]),
        ("empty", {}),
        ("no-type", {"server": "fs", "tool": "x"}),
        ("no-server", {"type": "mcp_tool", "tool": "x"}),
        ("no-tool", {"type": "mcp_tool", "server": "fs"}),
        ("type-unknown", {**tool("x"), "type": "shell"}),
        ("type-case", {**tool("x"), "type": "MCP_TOOL"}),
        ("type-list", {**tool("x"), "type": ["mcp_tool"]}),
        ("tool-star", tool("*")),
        ("tool-star-inside", tool("issues.*")),
        ("tool-question", tool("read_fil?")),
        ("tool-empty", tool("")),
        ("tool-list", {**tool("x"), "tool": ["x"]}),
        ("tool-newline", tool("x\n")),
        ("tool-nul", tool("x\0")),
        ("tool-delete", tool("x\x7f")),
        ("tool-c1", tool("x\x85")),
        ("server-star", tool("x", server="*")),
        ("server-question", tool("x", server="f?")),
        ("server-empty", tool("x", server="")),
        ("server-number", {**tool("x"), "server": 1}),
        ("member-unknown", tool("x", actions=["read"])),
        ("member-of-another-type", tool("x", uri="file:///a")),
        ("args-list", tool("x", args=[])),
        ("args-null", tool("x", args=None)),
        ("constraint-unknown", tool("x", args={"a": {"regex": ".*"}})),
        ("constraint-two", tool("x", args={"a": {"exact": 1, "one_of": [1]}})),
        ("constraint-none", tool("x", args={"a": {}})),
        ("constraint-text", tool("x", args={"a": "value"})),
        ("constraint-case", tool("x", args={"a": {"Exact": 1}})),
        ("resource-star", {"type": "mcp_resource", "server": "fs", "uri": "file:///*"}),
        ("resource-tool", {"type": "mcp_resource", "server": "fs", "tool": "x"}),
        (
            "resource-args",
            {"type": "mcp_resource", "server": "fs", "uri": "u", "args": {"a": {"exact": 1}}},
        ),
        ("prompt-question", {"type": "mcp_prompt", "server": "fs", "prompt": "p?"}),
        ("prompt-uri", {"type": "mcp_prompt", "server": "fs", "uri": "u"}),
    ]:
        edit = put("authorization_details", [value])
        why = f"an entry whose meaning is not known: {slug}"
        made = chain(0, {0: Spec(edit=edit)})
        file.reject(slug, why, "constraint_unknown", 0, made)
    for name in ["forbid", "ask"]:
        for slug, value in [
            ("unknown-type", {"type": "shell"}),
            ("star", tool("*")),
            ("unknown-constraint", tool("x", args={"a": {"regex": ".*"}})),
            ("null", None),
        ]:
            made = chain(1, {1: Spec(edit=put(name, [value]))})
            why = f"{name} holds an entry whose meaning is not known: {slug}"
            file.reject(f"{name}-{slug}", why, "constraint_unknown", 1, made)
    for name in ["forbid", "ask"]:
        made = chain(
            1, {0: Spec(edit=put(name, [tool("x"), read_src()])), 1: Spec(edit=put(name, []))}
        )
        file.accept(
            f"{name}-accumulates", f"{name} need not be repeated, it applies to all below", made
        )
    for slug, name in [("dots", "a.b/c:d"), ("not-ascii", "l\u00e4sen"), ("space", "read file")]:
        made = chain(0, {0: Spec(edit=put("authorization_details", [tool(name)]))})
        file.accept(f"tool-{slug}", "a name is any exact text", made)


def _limits(file: File) -> None:
    for slug, value in [
        ("boolean", {"max_calls": True}),
        ("negative", {"max_calls": -1}),
        ("text", {"max_calls": "5"}),
        ("null", {"max_calls": None}),
        ("list", {"max_calls": [5]}),
        ("unsafe", {"max_calls": 2**53}),
        ("64-bits", {"max_cost_micros": 2**64 - 1}),
        ("unknown", {"max_bytes": 1}),
        ("case", {"MAX_CALLS": 1}),
        ("no-object", []),
        ("is-null", None),
    ]:
        edit = put("authorization_details", [read_src(limits=value)])
        why = f"a limit whose meaning is not known: {slug}"
        file.reject(f"limits-{slug}", why, "constraint_unknown", 0, chain(0, {0: Spec(edit=edit)}))
    made = chain(
        0, {0: Spec(edit=put("authorization_details", [read_src(limits={"max_calls": 5.0})]))}
    )
    file.reject("limits-float", "a limit as a float", "malformed", 0, made)
    for slug, value in [
        ("zero", {"max_calls": 0}),
        ("none", {}),
        ("largest", {"max_calls": 2**53 - 1}),
    ]:
        edit = put("authorization_details", [read_src(limits=value)])
        file.accept(f"limits-{slug}", f"limits: {slug}", chain(0, {0: Spec(edit=edit)}))


def _two(parent: list[Any], child: list[Any]) -> list[str]:
    specs = {}
    if parent != [read_src()]:
        specs[0] = Spec(edit=put("authorization_details", parent))
    if child != parent:
        specs[1] = Spec(edit=put("authorization_details", child))
    return chain(1, specs)


def _subsumption(file: File) -> None:
    resource = {"type": "mcp_resource", "server": "fs", "uri": "read_file"}
    prompt = {"type": "mcp_prompt", "server": "fs", "prompt": "read_file"}
    plain = tool()
    constrained = tool(args={"path": {"exact": "/a"}, "mode": {"exact": "r"}})
    only_path = tool(args={"path": {"exact": "/a"}})
    pairs = [tool("open", args={"repo": {"exact": name}, "mode": {"exact": name}}) for name in "ab"]
    both = tool("open", args={"repo": {"one_of": ["a", "b"]}, "mode": {"exact": "a"}})
    for slug, why, parent, child in [
        ("same", "the same entry", [only_path], [only_path]),
        ("constrained", "a child may constrain what its parent does not", [plain], [constrained]),
        ("more-constrained", "a child may constrain more", [only_path], [constrained]),
        ("second", "the second parent entry subsumes", [tool("x"), only_path], [constrained]),
        ("split", "two entries below one", [only_path], [constrained, only_path]),
        ("fewer", "a child may leave entries out", [tool("x"), only_path], [tool("x")]),
        ("nothing", "a child may hold nothing", [only_path], []),
        ("prompt-same", "prompts as well", [prompt], [prompt]),
    ]:
        file.accept(f"child-{slug}", why, _two(parent, child))
    for slug, why, parent, child in [
        ("from-nothing", "nothing subsumes an entry", [], [only_path]),
        ("other-tool", "another tool", [only_path], [tool("write_file", args=only_path["args"])]),
        (
            "other-server",
            "another server",
            [only_path],
            [tool(server="fs2", args=only_path["args"])],
        ),
        ("tool-case", "a tool in another case", [plain], [tool("Read_File")]),
        ("tool-longer", "a tool that starts alike", [plain], [tool("read_file2")]),
        ("tool-confusable", "a tool that looks alike", [plain], [tool("r\u0435ad_file")]),
        ("tool-decomposed", "a name in another normal form", [tool("\u00e9")], [tool("e\u0301")]),
        ("resource-of-tool", "a resource of a tool's name", [plain], [resource]),
        ("tool-of-resource", "a tool of a resource's name", [resource], [plain]),
        ("prompt-of-tool", "a prompt of a tool's name", [plain], [prompt]),
        ("dropped-args", "every constraint is dropped", [only_path], [plain]),
        ("dropped-arg", "one constraint is dropped", [constrained], [only_path]),
        (
            "renamed-arg",
            "a constraint on another argument",
            [only_path],
            [tool(args={"Path": {"exact": "/a"}})],
        ),
        ("one-too-many", "one of two entries is not covered", [only_path], [only_path, tool("x")]),
        ("combined", "two parent entries are not combined", pairs, [both]),
        (
            "widened",
            "a wider constraint",
            [only_path],
            [tool(args={"path": {"path_prefix": "/a"}})],
        ),
    ]:
        file.reject(f"child-{slug}", why, "scope_escalation", 1, _two(parent, child))
    regained = chain(
        2,
        {
            0: Spec(edit=put("authorization_details", [plain])),
            1: Spec(edit=put("authorization_details", [only_path])),
            2: Spec(edit=put("authorization_details", [plain])),
        },
    )
    why = "a link takes back what its parent gave up, though the root has it"
    file.reject("child-regained", why, "scope_escalation", 2, regained)


def _spending(file: File) -> None:
    def limited(**limits: int) -> list[Any]:
        return [read_src(limits=limits)] if limits else [read_src()]

    for slug, parent, child in [
        ("same", {"max_calls": 5}, {"max_calls": 5}),
        ("less", {"max_calls": 5}, {"max_calls": 4}),
        ("zero", {"max_calls": 5}, {"max_calls": 0}),
        ("added", {}, {"max_calls": 5}),
        ("other-added", {"max_calls": 5}, {"max_calls": 5, "max_cost_micros": 1}),
        ("cost-less", {"max_cost_micros": 9}, {"max_cost_micros": 8}),
    ]:
        why = f"a child's limits may be kept or lowered: {slug}"
        file.accept(f"spending-{slug}", why, _two(limited(**parent), limited(**child)))
    for slug, parent, child in [
        ("more", {"max_calls": 5}, {"max_calls": 6}),
        ("dropped", {"max_calls": 5}, {}),
        ("from-zero", {"max_calls": 0}, {"max_calls": 1}),
        ("cost-more", {"max_cost_micros": 9}, {"max_cost_micros": 10}),
        ("cost-dropped", {"max_calls": 5, "max_cost_micros": 9}, {"max_calls": 5}),
        ("exchanged", {"max_calls": 5}, {"max_cost_micros": 5}),
    ]:
        why = f"a child's limits may not be raised or dropped: {slug}"
        made = _two(limited(**parent), limited(**child))
        file.reject(f"spending-{slug}", why, "scope_escalation", 1, made)
