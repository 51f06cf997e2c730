"""What a chain says about a call: covered, forbidden, asked. Each call comes with a good proof."""

from __future__ import annotations

from typing import Any

from .files import File
from .proofs import proof
from .world import CONTEXT, HOLDERS, Spec, chain, put, subject, tool

RESOURCE = {"type": "mcp_resource", "server": "fs", "uri": "file:///a?b=c"}
PROMPT = {
    "type": "mcp_prompt",
    "server": "fs",
    "prompt": "review",
    "args": {"depth": {"int_range": [1, 3]}},
}


class Room:
    """A chain, and calls of its leaf."""

    def __init__(self, file: File, specs: dict[int, Spec], links: int = 1) -> None:
        self.file = file
        self.links = links
        self.chain = chain(links, specs)

    def _members(self, request: dict[str, Any], form: str | None) -> dict[str, Any]:
        pop = proof(self.chain, request, HOLDERS[self.links], form=form)
        return {"request": request, "pop": pop, "peer_spiffe_id": subject(self.links)}

    def allow(
        self,
        slug: str,
        why: str,
        request: dict[str, Any],
        covered: list[list[int]],
        asked: list[list[int]] | None = None,
        form: str | None = None,
        base: bool = False,
    ) -> None:
        members = self._members(request, form)
        lists = {"covered": covered, "forbidden": [], "asked": asked or []}
        self.file.accept(slug, why, self.chain, base=base, **members, **lists)

    def deny(
        self,
        slug: str,
        why: str,
        request: dict[str, Any],
        covered: list[list[int]] | None = None,
        forbidden: list[list[int]] | None = None,
        asked: list[list[int]] | None = None,
        form: str | None = None,
    ) -> None:
        members = self._members(request, form)
        lists = {"covered": covered or [], "forbidden": forbidden or [], "asked": asked or []}
        self.file.reject(slug, why, "not_in_scope", None, self.chain, **members, **lists)

    def malformed(self, slug: str, why: str, request: dict[str, Any], form: str) -> None:
        members = self._members(request, form)
        self.file.reject(slug, why, "malformed", None, self.chain, **members)


def request(args: Any = None, name: str = "read_file", server: str = "fs") -> dict[str, Any]:
    return {"server": server, "tool": name, "args": {} if args is None else args}


def grants(*entries: Any) -> Spec:
    return Spec(edit=put("authorization_details", list(entries)))


def write() -> File:
    note = "calls: what covers them, what forbids them, what asks; forbidden calls are refused"
    file = File("calls", "adt-vectors/1", note, context=CONTEXT)
    _covering(file)
    _values(file)
    _types(file)
    _forbid(file)
    _ask(file)
    _rounded(file)
    return file


def _covering(file: File) -> None:
    narrow = {"path": {"path_prefix": "/src/api"}}
    specs = {
        0: grants(tool("write_file"), tool(args={"path": {"path_prefix": "/src"}})),
        1: grants(tool(args=narrow), tool(args={"path": {"exact": "/src/api/a"}})),
        2: grants(tool(args={"path": {"exact": "/src/api/a"}}), tool(args=narrow)),
    }
    room = Room(file, specs, links=2)
    path = lambda text: request({"path": text})
    first = [[0, 1], [1, 0], [2, 0]]
    room.allow(
        "first", "the first entry that covers is named", path("/src/api/a"), first, base=True
    )
    second = [[0, 1], [1, 0], [2, 1]]
    room.allow("second", "the second entry covers", path("/src/api/b"), second)
    for slug, why, call in [
        ("parent-only", "the parent covers it, the leaf does not", path("/src/b")),
        ("root-only", "the root has the tool, the leaf does not", request({}, "write_file")),
        ("other-tool", "nobody has the tool", request({"path": "/src/api/a"}, "delete_file")),
        ("tool-case", "a tool in another case", request({"path": "/src/api/a"}, "READ_FILE")),
        ("other-server", "another server", request({"path": "/src/api/a"}, server="fs2")),
        ("server-case", "a server in another case", request({"path": "/src/api/a"}, server="FS")),
        ("missing", "the constrained argument is missing", request({})),
        ("renamed", "the argument under another name", request({"Path": "/src/api/a"})),
        (
            "prompt",
            "a prompt of the tool's name",
            {"server": "fs", "prompt": "read_file", "args": {"path": "/src/api/a"}},
        ),
        (
            "resource",
            "a resource of the tool's name",
            {"server": "fs", "uri": "read_file", "args": {}},
        ),
    ]:
        room.deny(slug, why, call)
    none = Room(file, {0: grants()}, links=0)
    none.deny("nothing", "an empty list grants nothing", request({"path": "/src/a"}))
    pairs = [tool("open", args={"repo": {"exact": name}, "mode": {"exact": name}}) for name in "ab"]
    apart = Room(file, {0: grants(*pairs)}, links=0)
    apart.allow(
        "pair",
        "one entry covers both arguments",
        request({"repo": "b", "mode": "b"}, "open"),
        [[0, 1]],
    )
    apart.deny(
        "combined", "two entries are not combined", request({"repo": "a", "mode": "b"}, "open")
    )


def _values(file: File) -> None:
    constrained = {
        "path": {"path_prefix": "/src"},
        "count": {"int_range": [0, 9]},
        "host": {"cidr": "10.0.0.0/8"},
        "mode": {"one_of": ["r", "rw"]},
        "dry": {"exact": True},
    }
    good = {"count": 9, "dry": True, "host": "10.1.2.3", "mode": "r", "path": "/src/a"}
    room = Room(file, {0: grants(tool(args=constrained))}, links=1)
    room.allow("all-kinds", "an argument of each kind", request(good), [[0, 0], [1, 0]], base=True)
    more = request({**good, "zeta": [1, None]})
    room.allow("unconstrained", "arguments that nobody constrains", more, [[0, 0], [1, 0]])
    for slug, name, value in [
        ("path-above", "path", "/src/../etc/passwd"),
        ("path-percent", "path", "/src/%2e%2e/etc"),
        ("path-backslash", "path", "/src\\..\\etc"),
        ("path-sibling", "path", "/src-secret"),
        ("path-relative", "path", "src/a"),
        ("path-list", "path", ["/src/a"]),
        ("path-null", "path", None),
        ("count-above", "count", 10),
        ("count-below", "count", -1),
        ("count-text", "count", "5"),
        ("count-true", "count", True),
        ("host-outside", "host", "11.0.0.1"),
        ("host-mapped", "host", "::ffff:10.1.2.3"),
        ("host-name", "host", "internal"),
        ("host-port", "host", "10.1.2.3:80"),
        ("mode-other", "mode", "w"),
        ("mode-case", "mode", "R"),
        ("mode-list", "mode", ["r"]),
        ("dry-false", "dry", False),
        ("dry-one", "dry", 1),
        ("dry-text", "dry", "true"),
    ]:
        room.deny(
            slug, f"one argument is outside or unclear: {slug}", request({**good, name: value})
        )
    for slug, written, form in [
        ("count-whole-float", '"count":5.0', '"count":5'),
        ("count-exponent", '"count":0.5e1', '"count":5'),
        ("count-minus-zero", '"count":-0', '"count":0'),
    ]:
        text = '{%s,"dry":true,"host":"10.1.2.3","mode":"r","path":"/src/a"}'
        call = {"server": "fs", "tool": "read_file", "args_json": text % written}
        why = f"one number in another spelling, judged by its canonical form: {slug}"
        room.allow(slug, why, call, [[0, 0], [1, 0]], form=text % form)
    call = {**call, "args_json": text % '"count":5.5'}
    room.deny("count-fraction", "no integer", call, form=text % '"count":5.5')
    for name in good:
        args = {held: good[held] for held in good if held != name}
        room.deny(f"without-{name}", f"without the argument {name}", request(args))


def _types(file: File) -> None:
    room = Room(file, {0: grants(RESOURCE, PROMPT)}, links=1)
    resource = {"server": "fs", "uri": "file:///a?b=c", "args": {}}
    room.allow(
        "resource-exact", "a resource by its exact URI", resource, [[0, 0], [1, 0]], base=True
    )
    prompt = {"server": "fs", "prompt": "review", "args": {"depth": 2}}
    room.allow("prompt-args", "a prompt and its arguments", prompt, [[0, 1], [1, 1]])
    for slug, why, call in [
        ("resource-encoded", "another spelling of the URI", {**resource, "uri": "file:///a%3Fb=c"}),
        ("resource-below", "a URI that starts alike", {**resource, "uri": "file:///a?b=c&d"}),
        ("resource-as-tool", "a tool of the resource's name", request({}, "file:///a?b=c")),
        ("prompt-outside", "a prompt's argument outside", {**prompt, "args": {"depth": 4}}),
        ("prompt-as-tool", "a tool of the prompt's name", request({"depth": 2}, "review")),
    ]:
        room.deny(slug, why, call)


def _restricted(name: str, at: int, entries: list[Any], links: int = 2) -> dict[int, Spec]:
    open_to_all = put("authorization_details", [tool()])
    specs = {0: Spec(edit=open_to_all)}

    def both(claims: Any) -> None:
        if at == 0:
            open_to_all(claims)
        claims[name] = entries

    specs[at] = Spec(edit=both)
    assert at <= links
    return specs


def _forbid(file: File) -> None:
    path = {"path": {"path_prefix": "/src/keys"}}
    covered = [[0, 0], [1, 0], [2, 0]]
    for at in range(3):
        room = Room(file, _restricted("forbid", at, [tool("x"), tool(args=path)]), links=2)
        if at == 0:
            why = "outside of what is forbidden"
            room.allow("forbid-outside", why, request({"path": "/src/a"}), covered, base=True)
        why = f"forbidden by link {at}"
        call = request({"path": "/src/keys/k"})
        room.deny(f"forbid-by-{at}", why, call, covered, forbidden=[[at, 1]])
    for slug, why, call in [
        ("missing", "the argument is missing: it cannot be judged", request({})),
        ("type", "the argument is of another type", request({"path": ["/src/a"]})),
        ("dots", "the argument has several readings", request({"path": "/src/keys/../a"})),
        ("null", "the argument is null", request({"path": None})),
    ]:
        room.deny(f"forbid-unclear-{slug}", why, call, covered, forbidden=[[2, 1]])
    two = {"path": {"path_prefix": "/src"}, "mode": {"exact": "w"}}
    room = Room(file, _restricted("forbid", 1, [tool(args=two)]), links=2)
    why = "one constraint of the prohibition fails"
    room.allow("forbid-half", why, request({"path": "/src/a", "mode": "r"}), covered)
    why = "one constraint fails, the other is unclear"
    room.allow("forbid-half-unclear", why, request({"path": ["/src/a"], "mode": "r"}), covered)
    why = "one constraint holds, the other is unclear"
    call = request({"path": "/src/a"})
    room.deny("forbid-half-missing", why, call, covered, forbidden=[[1, 0]])
    why = "every constraint of the prohibition holds"
    call = request({"path": "/src/a", "mode": "w"})
    room.deny("forbid-whole", why, call, covered, forbidden=[[1, 0]])
    limited = tool(limits={"max_calls": 0}, args=path)
    room = Room(file, _restricted("forbid", 1, [limited]), links=2)
    why = "the limits of a prohibition say nothing"
    call = request({"path": "/src/keys/k"})
    room.deny("forbid-limits", why, call, covered, forbidden=[[1, 0]])
    whole = [tool(), {"type": "mcp_prompt", "server": "fs", "prompt": "read_file"}]
    room = Room(file, _restricted("forbid", 1, whole), links=2)
    why = "the whole tool is forbidden"
    room.deny("forbid-tool", why, request({"path": "/a"}), covered, forbidden=[[1, 0]])
    others = [tool("read_file", server="fs2"), tool("write_file"), whole[1]]
    room = Room(file, _restricted("forbid", 1, others), links=2)
    why = "another server, another tool, another type"
    room.allow("forbid-others", why, request({"path": "/a"}), covered)


def _ask(file: File) -> None:
    path = {"path": {"path_prefix": "/src/keys"}}
    covered = [[0, 0], [1, 0], [2, 0]]
    for at in range(3):
        room = Room(file, _restricted("ask", at, [tool(args=path)]), links=2)
        why = f"link {at} asks"
        call = request({"path": "/src/keys/k"})
        room.allow(f"ask-by-{at}", why, call, covered, asked=[[at, 0]])
    why = "what cannot be judged is asked"
    room.allow("ask-unclear", why, request({}), covered, asked=[[2, 0]])
    why = "outside of what is asked"
    room.allow("ask-outside", why, request({"path": "/src/a"}), covered)
    everywhere = {number: Spec(edit=put("ask", [tool()])) for number in [1, 2]}
    everywhere[0] = _restricted("ask", 0, [tool()])[0]
    room = Room(file, everywhere, links=2)
    why = "questions accumulate"
    room.allow("ask-all", why, request({}), covered, asked=[[0, 0], [1, 0], [2, 0]])
    specs = _restricted("ask", 1, [tool()])
    specs[2] = Spec(edit=put("forbid", [tool()]))
    room = Room(file, specs, links=2)
    why = "what is asked and forbidden is forbidden"
    room.deny("ask-and-forbid", why, request({}), covered, forbidden=[[2, 0]], asked=[[1, 0]])
    specs = {0: Spec(edit=put("ask", [tool("write_file")]))}
    room = Room(file, specs, links=1)
    why = "a question grants nothing"
    room.deny("ask-grants-nothing", why, request({}, "write_file"), asked=[[0, 0]])


def _rounded(file: File) -> None:
    """Numbers that a reader of doubles rounds into the range, and a reader of decimals does not."""
    limited = tool(args={"count": {"int_range": [0, 9]}})
    room = Room(file, {0: grants(limited)}, links=1)
    call = {"server": "fs", "tool": "read_file", "args_json": '{"count":9.00}'}
    why = "zeros behind a fraction's last digit"
    room.allow("rounded-not", why, call, [[0, 0], [1, 0]], form='{"count":9}', base=True)
    for slug, written, form in [
        ("down", "9.0000000000000000001", "9"),
        ("up", "-0.00000000000000000000000000000000000000001e-400", "0"),
        ("away", "1e-400", "0"),
        ("near", "8.9999999999999999999", "9"),
        ("fraction", "0.1000000000000000055511151231257827", "0.1"),
        ("power", "0e99999999999999999999", "0"),
    ]:
        call = {**call, "args_json": '{"count":%s}' % written}
        why = f"a number that a double does not hold: {slug}"
        room.malformed(f"rounded-{slug}", why, call, '{"count":%s}' % form)
