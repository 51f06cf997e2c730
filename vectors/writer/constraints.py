"""Constraints by themselves: their spelling, what a child may hold, what they say of a value."""

from __future__ import annotations

from typing import Any

from .files import File

SAFE = 2**53 - 1
NOTHING = object()


def write() -> File:
    note = "a constraint, with a child that narrows it or not, or with a value of a call"
    file = File("constraints", "chancery-constraint-vectors/1", note)
    _spellings(file)
    _network_spellings(file)
    _children(file)
    _networks(file)
    _values(file)
    _network_values(file)
    return file


def _bad(file: File, slug: str, why: str, constraint: Any) -> None:
    file.add(slug, why, constraint=constraint, expect="constraint_unknown")


def _spellings(file: File) -> None:
    for slug, value in [
        ("text", "a"),
        ("null", None),
        ("list", [{"exact": "a"}]),
        ("empty", {}),
        ("two-kinds", {"exact": "a", "one_of": ["a"]}),
        ("regex", {"regex": ".*"}),
        ("glob", {"glob": "*"}),
        ("any", {"any": True}),
        ("case", {"EXACT": "a"}),
        ("exact-null", {"exact": None}),
        ("exact-list", {"exact": ["a"]}),
        ("exact-object", {"exact": {"a": 1}}),
        ("exact-float", {"exact": 1.5}),
        ("exact-whole-float", {"exact": 1.0}),
        ("exact-unsafe", {"exact": SAFE + 1}),
        ("exact-unsafe-negative", {"exact": -SAFE - 1}),
        ("one-of-empty", {"one_of": []}),
        ("one-of-text", {"one_of": "abc"}),
        ("one-of-object", {"one_of": {"a": 1}}),
        ("one-of-null", {"one_of": ["a", None]}),
        ("one-of-float", {"one_of": [1, 1.5]}),
        ("one-of-nested", {"one_of": [["a"]]}),
        ("range-one", {"int_range": [1]}),
        ("range-three", {"int_range": [1, 2, 3]}),
        ("range-empty", {"int_range": []}),
        ("range-reversed", {"int_range": [2, 1]}),
        ("range-float", {"int_range": [1.0, 2]}),
        ("range-boolean", {"int_range": [False, True]}),
        ("range-text", {"int_range": ["1", "2"]}),
        ("range-null", {"int_range": [None, 2]}),
        ("range-unsafe", {"int_range": [0, SAFE + 1]}),
        ("range-object", {"int_range": {"min": 1, "max": 2}}),
        ("range-written", {"int_range": "1-2"}),
        ("path-number", {"path_prefix": 1}),
        ("path-list", {"path_prefix": ["/a"]}),
        ("path-empty", {"path_prefix": ""}),
        ("path-root", {"path_prefix": "/"}),
        ("path-relative", {"path_prefix": "a/b"}),
        ("path-dot-relative", {"path_prefix": "./a"}),
        ("path-trailing-slash", {"path_prefix": "/a/"}),
        ("path-double-slash", {"path_prefix": "/a//b"}),
        ("path-leading-slashes", {"path_prefix": "//a"}),
        ("path-dot", {"path_prefix": "/a/./b"}),
        ("path-dot-last", {"path_prefix": "/a/."}),
        ("path-dot-dot", {"path_prefix": "/a/../b"}),
        ("path-dot-dot-last", {"path_prefix": "/a/.."}),
        ("path-percent", {"path_prefix": "/a/%2e%2e/b"}),
        ("path-percent-alone", {"path_prefix": "/100%"}),
        ("path-backslash", {"path_prefix": "/a\\..\\b"}),
        ("path-nul", {"path_prefix": "/a\0b"}),
        ("path-drive", {"path_prefix": "C:/a"}),
        ("path-tilde", {"path_prefix": "~/a"}),
        ("path-uri", {"path_prefix": "file:///a"}),
        ("path-full-width", {"path_prefix": "\uff0fa"}),
    ]:
        _bad(file, f"spelling-{slug}", f"a constraint whose meaning is not known: {slug}", value)


def _network_spellings(file: File) -> None:
    for slug, text in [
        ("host-bits", "10.0.0.1/8"),
        ("no-prefix", "10.0.0.0"),
        ("empty-prefix", "10.0.0.0/"),
        ("prefix-33", "10.0.0.0/33"),
        ("prefix-256", "10.0.0.0/256"),
        ("prefix-129", "2001:db8::/129"),
        ("prefix-zero-led", "10.0.0.0/08"),
        ("prefix-signed", "10.0.0.0/+8"),
        ("prefix-negative", "10.0.0.0/-1"),
        ("prefix-space", "10.0.0.0/8 "),
        ("prefix-twice", "10.0.0.0/8/8"),
        ("prefix-digits", "10.0.0.0/\u0668"),
        ("netmask", "10.0.0.0/255.0.0.0"),
        ("octal", "010.0.0.0/8"),
        ("hexadecimal", "0x0a.0.0.0/8"),
        ("three-parts", "10.0.0/8"),
        ("one-part", "167772160/8"),
        ("five-parts", "10.0.0.0.0/8"),
        ("part-256", "256.0.0.0/8"),
        ("address-digits", "1\u0660.0.0.0/8"),
        ("v6-upper", "2001:DB8::/32"),
        ("v6-not-compressed", "2001:db8:0:0:0:0:0:0/32"),
        ("v6-half-compressed", "2001:db8:0::/32"),
        ("v6-zero-led", "2001:0db8::/32"),
        ("v6-second-run", "::1:0:0:0:0:0/48"),
        ("v6-two-runs", "2001::db8::/32"),
        ("v6-host-bits", "2001:db8::1/32"),
        ("v6-dotted", "2001:db8::10.0.0.0/104"),
        ("v6-mapped", "::ffff:10.0.0.0/104"),
        ("v6-mapped-hex", "::ffff:a00:0/104"),
        ("v6-zone", "fe80::%eth0/64"),
        ("v6-brackets", "[2001:db8::]/32"),
        ("v6-nine-groups", "1:2:3:4:5:6:7:8:9/128"),
        ("space", " 10.0.0.0/8"),
        ("name", "localhost/8"),
        ("empty", ""),
        ("slash", "/8"),
        ("range", "10.0.0.0-10.0.0.255"),
        ("wildcard", "10.*.*.*"),
    ]:
        _bad(file, f"cidr-{slug}", f"not the one spelling of a network: {slug}", {"cidr": text})
    _bad(file, "cidr-list", "a list of networks", {"cidr": ["10.0.0.0/8"]})
    _bad(file, "cidr-number", "a number", {"cidr": 10})


# One constraint of each kind, and children of each kind with whether they narrow it.
TABLE: list[tuple[str, Any, list[tuple[str, Any, bool]]]] = [
    (
        "exact-text",
        {"exact": "/a/b"},
        [
            ("same", {"exact": "/a/b"}, True),
            ("other", {"exact": "/a/c"}, False),
            ("case", {"exact": "/A/b"}, False),
            ("one-of-itself", {"one_of": ["/a/b"]}, False),
            ("path", {"path_prefix": "/a/b"}, False),
            ("range", {"int_range": [1, 1]}, False),
            ("cidr", {"cidr": "10.0.0.0/8"}, False),
        ],
    ),
    (
        "exact-integer",
        {"exact": 1},
        [
            ("same", {"exact": 1}, True),
            ("text", {"exact": "1"}, False),
            ("boolean", {"exact": True}, False),
            ("range", {"int_range": [1, 1]}, False),
        ],
    ),
    (
        "exact-boolean",
        {"exact": True},
        [
            ("same", {"exact": True}, True),
            ("other", {"exact": False}, False),
            ("integer", {"exact": 1}, False),
            ("text", {"exact": "true"}, False),
        ],
    ),
    (
        "exact-network",
        {"exact": "10.0.0.1"},
        [
            ("cidr-of-one", {"cidr": "10.0.0.1/32"}, False),
        ],
    ),
    (
        "one-of",
        {"one_of": ["a", "b", 1]},
        [
            ("same", {"one_of": ["a", "b", 1]}, True),
            ("reordered", {"one_of": [1, "b", "a"]}, True),
            ("repeated", {"one_of": ["a", "a"]}, True),
            ("part", {"one_of": ["b"]}, True),
            ("exact", {"exact": "a"}, True),
            ("exact-integer", {"exact": 1}, True),
            ("grown", {"one_of": ["a", "b", 1, "c"]}, False),
            ("other", {"one_of": ["c"]}, False),
            ("exact-other", {"exact": "c"}, False),
            ("exact-type", {"exact": "1"}, False),
            ("exact-boolean", {"exact": True}, False),
            ("path", {"path_prefix": "/a"}, False),
            ("range", {"int_range": [1, 1]}, False),
            ("cidr", {"cidr": "10.0.0.0/8"}, False),
        ],
    ),
    (
        "path",
        {"path_prefix": "/src"},
        [
            ("same", {"path_prefix": "/src"}, True),
            ("below", {"path_prefix": "/src/api"}, True),
            ("exact-same", {"exact": "/src"}, True),
            ("exact-below", {"exact": "/src/api/a.rs"}, True),
            ("one-of-below", {"one_of": ["/src", "/src/a"]}, True),
            ("dots-in-name", {"exact": "/src/..a/b..c/..."}, True),
            ("sibling", {"path_prefix": "/src-secret"}, False),
            ("above", {"path_prefix": "/sr"}, False),
            ("elsewhere", {"path_prefix": "/etc/src"}, False),
            ("case", {"path_prefix": "/Src"}, False),
            ("exact-sibling", {"exact": "/srcs"}, False),
            ("exact-dot-dot", {"exact": "/src/../etc"}, False),
            ("exact-percent", {"exact": "/src/%2e%2e/etc"}, False),
            ("exact-trailing-slash", {"exact": "/src/"}, False),
            ("exact-relative", {"exact": "src/a"}, False),
            ("exact-integer", {"exact": 1}, False),
            ("one-of-one-outside", {"one_of": ["/src/a", "/etc"]}, False),
            ("one-of-one-unclear", {"one_of": ["/src/a", "/src/./b"]}, False),
            ("one-of-integer", {"one_of": ["/src/a", 1]}, False),
            ("range", {"int_range": [0, 1]}, False),
            ("cidr", {"cidr": "10.0.0.0/8"}, False),
        ],
    ),
    (
        "range",
        {"int_range": [-5, 10]},
        [
            ("same", {"int_range": [-5, 10]}, True),
            ("inside", {"int_range": [0, 9]}, True),
            ("single", {"int_range": [10, 10]}, True),
            ("exact-low", {"exact": -5}, True),
            ("exact-high", {"exact": 10}, True),
            ("high-more", {"int_range": [0, 11]}, False),
            ("low-less", {"int_range": [-6, 10]}, False),
            ("outside", {"int_range": [11, 12]}, False),
            ("exact-below", {"exact": -6}, False),
            ("exact-above", {"exact": 11}, False),
            ("exact-text", {"exact": "5"}, False),
            ("exact-boolean", {"exact": True}, False),
            ("one-of-inside", {"one_of": [1, 2]}, False),
            ("path", {"path_prefix": "/5"}, False),
            ("cidr", {"cidr": "10.0.0.0/8"}, False),
        ],
    ),
    (
        "range-all",
        {"int_range": [-SAFE, SAFE]},
        [
            ("same", {"int_range": [-SAFE, SAFE]}, True),
            ("ends", {"exact": SAFE}, True),
        ],
    ),
]


def _children(file: File) -> None:
    for parent_slug, parent, children in TABLE:
        for slug, child, narrows in children:
            expect = "accept" if narrows else "scope_escalation"
            why = f"{parent_slug} above {slug}"
            file.add(
                f"child-{parent_slug}-{slug}", why, constraint=parent, child=child, expect=expect
            )


def _networks(file: File) -> None:
    ten, six = "10.0.0.0/8", "2001:db8::/32"
    for slug, parent, child, narrows in [
        ("same", ten, {"cidr": ten}, True),
        ("part", ten, {"cidr": "10.32.0.0/11"}, True),
        ("one-address", ten, {"cidr": "10.255.255.255/32"}, True),
        ("everything", "0.0.0.0/0", {"cidr": ten}, True),
        ("exact-first", ten, {"exact": "10.0.0.0"}, True),
        ("exact-last", ten, {"exact": "10.255.255.255"}, True),
        ("exact-network", ten, {"exact": "10.1.0.0/16"}, True),
        ("v6-same", six, {"cidr": six}, True),
        ("v6-part", six, {"cidr": "2001:db8:1::/48"}, True),
        ("v6-exact", six, {"exact": "2001:db8::1"}, True),
        ("v6-exact-spelling", six, {"exact": "2001:DB8:0::1"}, True),
        ("wider", ten, {"cidr": "10.0.0.0/7"}, False),
        ("all-of-ipv4", ten, {"cidr": "0.0.0.0/0"}, False),
        ("sibling", ten, {"cidr": "11.0.0.0/8"}, False),
        ("family", "0.0.0.0/0", {"cidr": six}, False),
        ("family-back", "::/0", {"cidr": ten}, False),
        ("exact-outside", ten, {"exact": "11.0.0.1"}, False),
        ("exact-name", ten, {"exact": "internal.example"}, False),
        ("exact-mapped", ten, {"exact": "::ffff:10.0.0.1"}, False),
        ("exact-port", ten, {"exact": "10.0.0.1:22"}, False),
        ("exact-octal", ten, {"exact": "012.0.0.1"}, False),
        ("exact-integer", ten, {"exact": 167772161}, False),
        ("exact-family", "::/0", {"exact": "10.0.0.1"}, False),
        ("one-of-inside", ten, {"one_of": ["10.0.0.1"]}, False),
        ("path", ten, {"path_prefix": "/10.0.0.0/8"}, False),
        ("range", ten, {"int_range": [167772160, 167772161]}, False),
    ]:
        expect = "accept" if narrows else "scope_escalation"
        why = f"a network above {slug}"
        constraint = {"cidr": parent}
        file.add(f"child-cidr-{slug}", why, constraint=constraint, child=child, expect=expect)
    bad = {"cidr": "10.0.0.1/16"}
    why = "a child with a bit beyond its prefix"
    file.add(
        "child-cidr-host-bits",
        why,
        constraint={"cidr": ten},
        child=bad,
        expect="constraint_unknown",
    )


def _values(file: File) -> None:
    for slug, constraint, value, says in [
        ("exact-same", {"exact": "a"}, "a", "holds"),
        ("exact-empty", {"exact": ""}, "", "holds"),
        ("exact-case", {"exact": "a"}, "A", "fails"),
        ("exact-confusable", {"exact": "a"}, "\u0430", "fails"),
        ("exact-decomposed", {"exact": "\u00e9"}, "e\u0301", "fails"),
        ("exact-integer", {"exact": 5}, 5, "holds"),
        ("exact-integer-text", {"exact": 5}, "5", "unclear"),
        ("exact-integer-float", {"exact": 5}, 5.0, "unclear"),
        ("exact-one-true", {"exact": 1}, True, "unclear"),
        ("exact-true-one", {"exact": True}, 1, "unclear"),
        ("exact-false-null", {"exact": False}, None, "unclear"),
        ("exact-unsafe", {"exact": SAFE}, SAFE + 1, "unclear"),
        ("exact-list", {"exact": "a"}, ["a"], "unclear"),
        ("exact-missing", {"exact": "a"}, NOTHING, "unclear"),
        ("one-of-member", {"one_of": ["a", 1]}, 1, "holds"),
        ("one-of-other", {"one_of": ["a", "b"]}, "c", "fails"),
        ("one-of-mixed", {"one_of": ["a", 1]}, "c", "unclear"),
        ("one-of-true", {"one_of": [1, 2]}, True, "unclear"),
        ("one-of-list", {"one_of": ["a"]}, ["a"], "unclear"),
        ("one-of-missing", {"one_of": ["a"]}, NOTHING, "unclear"),
        ("path-same", {"path_prefix": "/src"}, "/src", "holds"),
        ("path-below", {"path_prefix": "/src"}, "/src/a b/\u00e9", "holds"),
        ("path-sibling", {"path_prefix": "/src"}, "/src2", "fails"),
        ("path-elsewhere", {"path_prefix": "/src"}, "/etc/passwd", "fails"),
        ("path-dot-dot", {"path_prefix": "/src"}, "/src/../etc", "unclear"),
        ("path-dot", {"path_prefix": "/src"}, "/src/./a", "unclear"),
        ("path-double-slash", {"path_prefix": "/src"}, "/src//a", "unclear"),
        ("path-trailing-slash", {"path_prefix": "/src"}, "/src/", "unclear"),
        ("path-percent", {"path_prefix": "/src"}, "/src/%2e%2e", "unclear"),
        ("path-backslash", {"path_prefix": "/src"}, "/src\\..\\etc", "unclear"),
        ("path-nul", {"path_prefix": "/src"}, "/src/a\0.txt", "unclear"),
        ("path-relative", {"path_prefix": "/src"}, "src/a", "unclear"),
        ("path-list", {"path_prefix": "/src"}, ["/src/a"], "unclear"),
        ("path-number", {"path_prefix": "/src"}, 1, "unclear"),
        ("path-missing", {"path_prefix": "/src"}, NOTHING, "unclear"),
        ("range-low", {"int_range": [0, 9]}, 0, "holds"),
        ("range-high", {"int_range": [0, 9]}, 9, "holds"),
        ("range-below", {"int_range": [0, 9]}, -1, "fails"),
        ("range-above", {"int_range": [0, 9]}, 10, "fails"),
        ("range-float", {"int_range": [0, 9]}, 5.5, "unclear"),
        ("range-whole-float", {"int_range": [0, 9]}, 5.0, "unclear"),
        ("range-text", {"int_range": [0, 9]}, "5", "unclear"),
        ("range-boolean", {"int_range": [0, 9]}, True, "unclear"),
        ("range-unsafe", {"int_range": [0, SAFE]}, SAFE + 1, "unclear"),
        ("range-64-bits", {"int_range": [0, 9]}, 2**64 - 1, "unclear"),
        ("range-missing", {"int_range": [0, 9]}, NOTHING, "unclear"),
    ]:
        _value(file, slug, constraint, value, says)


def _network_values(file: File) -> None:
    ten = {"cidr": "10.0.0.0/8"}
    for slug, constraint, value, says in [
        ("inside", ten, "10.1.2.3", "holds"),
        ("first", ten, "10.0.0.0", "holds"),
        ("last", ten, "10.255.255.255", "holds"),
        ("before", ten, "9.255.255.255", "fails"),
        ("behind", ten, "11.0.0.0", "fails"),
        ("network-inside", ten, "10.1.0.0/16", "holds"),
        ("network-outside", ten, "192.0.2.0/24", "fails"),
        ("network-around", ten, "0.0.0.0/0", "unclear"),
        ("network-host-bits", ten, "10.1.2.3/16", "unclear"),
        ("other-family", ten, "2001:db8::1", "fails"),
        ("mapped", ten, "::ffff:10.1.2.3", "unclear"),
        ("mapped-hex", ten, "::ffff:a01:203", "unclear"),
        ("compatible", ten, "::10.1.2.3", "unclear"),
        ("translated", ten, "64:ff9b::a01:203", "unclear"),
        ("6to4", ten, "2002:a01:203::1", "unclear"),
        ("all-of-ipv6", ten, "::/0", "unclear"),
        ("name", ten, "localhost", "unclear"),
        ("octal", ten, "012.1.2.3", "unclear"),
        ("hexadecimal", ten, "0x0a010203", "unclear"),
        ("short", ten, "10.1", "unclear"),
        ("integer", ten, 167838211, "unclear"),
        ("port", ten, "10.1.2.3:80", "unclear"),
        ("url", ten, "http://10.1.2.3/", "unclear"),
        ("space", ten, " 10.1.2.3", "unclear"),
        ("list", ten, ["10.1.2.3"], "unclear"),
        ("empty", ten, "", "unclear"),
        ("missing", ten, NOTHING, "unclear"),
        ("v6-inside", {"cidr": "2001:db8::/32"}, "2001:db8::1", "holds"),
        ("v6-spelling", {"cidr": "2001:db8::/32"}, "2001:0DB8:0:0::1", "holds"),
        ("v6-outside", {"cidr": "2001:db8::/32"}, "2001:db9::1", "fails"),
        ("v6-zone", {"cidr": "fe80::/10"}, "fe80::1%eth0", "unclear"),
        ("v6-brackets", {"cidr": "2001:db8::/32"}, "[2001:db8::1]", "unclear"),
        ("v6-of-v4", {"cidr": "2001:db8::/32"}, "10.0.0.1", "fails"),
    ]:
        _value(file, f"cidr-{slug}", constraint, value, says)


def _value(file: File, slug: str, constraint: Any, value: Any, says: str) -> None:
    members = {} if value is NOTHING else {"value": value}
    why = f"a value that {'cannot be judged' if says == 'unclear' else says}: {slug}"
    file.add(f"value-{slug}", why, constraint=constraint, **members, expect=says)
