"""The canonical form of arguments (RFC 8785). The forms are written by hand, the numbers among them
from appendix B of the RFC."""

from __future__ import annotations

import json
import struct

from .files import File
from .keys import b64, sha256

# IEEE 754 bits and the text that ECMAScript writes: RFC 8785 appendix B.
RFC_NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


def write() -> File:
    note = "arguments as JSON texts, and their RFC 8785 form with its SHA-256 in base64url"
    file = File("canonical", "chancery-canonical-vectors/1", note)
    for bits, text in RFC_NUMBERS:
        value = struct.unpack(">d", bytes.fromhex(bits))[0]
        # Seventeen digits name every number; an exponent keeps it from reading as an integer.
        _form(
            file, f"number-{bits}", f"RFC 8785 appendix B, {bits}", f"[{value:.16e}]", f"[{text}]"
        )
    for slug, written, text in [
        ("whole-float", "1.0", "1"),
        ("exponent", "1e3", "1000"),
        ("exponent-upper", "1E3", "1000"),
        ("exponent-plus", "1e+3", "1000"),
        ("fraction-zeros", "1.500", "1.5"),
        ("minus-zero", "-0", "0"),
        ("minus-zero-float", "-0.0", "0"),
        ("underflow", "1e-400", "0"),
        ("tie", "9007199254740993.0", "9007199254740992"),
        ("safe", "9007199254740991", "9007199254740991"),
        ("safe-negative", "-9007199254740991", "-9007199254740991"),
        ("tenth", "0.1", "0.1"),
        ("digits", "0.30000000000000004", "0.30000000000000004"),
        ("hard-rounding", "2.2250738585072011e-308", "2.225073858507201e-308"),
        ("many-digits", "1.00000000000000011102230246251565404236316680908203125", "1"),
        (
            "many-digits-above",
            "1.00000000000000011102230246251565404236316680908203126",
            "1.0000000000000002",
        ),
    ]:
        _form(file, f"number-{slug}", f"a number: {slug}", f"[{written}]", f"[{text}]")
    _texts(file)
    _refused(file)
    return file


def _form(file: File, slug: str, why: str, written: str, form: str) -> None:
    digest = b64(sha256(form))
    file.add(slug, why, json=written, expect="accept", **{"is": form}, digest=digest)


def _texts(file: File) -> None:
    for slug, why, written, form in [
        ("empty", "an empty object", "{}", "{}"),
        ("spaces", "white space", ' {"a" : [ 1 , 2 ] } ', '{"a":[1,2]}'),
        (
            "order",
            "members by UTF-16",
            '{"\u20ac":1,"\\r":2,"\ufb33":3,"1":4,"\U0001f600":5,"\x80":6,"\u00f6":7}',
            '{"\\r":2,"1":4,"\x80":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}',
        ),
        (
            "order-prefix",
            "a name before a longer one",
            '{"aa":1,"a":2,"":3}',
            '{"":3,"a":2,"aa":1}',
        ),
        ("order-case", "upper case first", '{"a":1,"B":2}', '{"B":2,"a":1}'),
        (
            "nested",
            "inner objects are sorted too",
            '[{"b":1,"a":{"d":1,"c":2}}]',
            '[{"a":{"c":2,"d":1},"b":1}]',
        ),
        ("literals", "the three words", "[true,false,null]", "[true,false,null]"),
        (
            "escapes",
            "short escapes where there are some",
            '["\\u0008\\u0009\\u000a\\u000c\\u000d\\u0022\\u005c\\/"]',
            '["\\b\\t\\n\\f\\r\\"\\\\/"]',
        ),
        (
            "controls",
            "the others in lower-case hex",
            '["\\u0000\\u000B\\u001F"]',
            '["\\u0000\\u000b\\u001f"]',
        ),
        (
            "unescaped",
            "nothing else is escaped",
            '["\\u007f\\u0080\\u2028\\ud83d\\ude00\\u003c"]',
            '["\x7f\x80\u2028\U0001f600<"]',
        ),
        (
            "not-normalized",
            "no normal form is made",
            '["e\\u0301","\\u00e9"]',
            '["e\u0301","\u00e9"]',
        ),
        ("deep", "64 lists inside of each other", "[" * 64 + "]" * 64, "[" * 64 + "]" * 64),
    ]:
        _form(file, f"text-{slug}", why, written, form)


def _refused(file: File) -> None:
    for slug, written in [
        ("unsafe", "[9007199254740992]"),
        ("unsafe-negative", "[-9007199254740992]"),
        ("64-bits", "[18446744073709551615]"),
        ("overflow", "[1e400]"),
        ("nan", "[NaN]"),
        ("infinity", "[-Infinity]"),
        ("twice", '{"a":1,"a":1}'),
        ("twice-escaped", '{"a":1,"\\u0061":2}'),
        ("twice-inside", '{"x":[{"a":1.5,"a":2}]}'),
        ("lone-surrogate", '["\\ud800"]'),
        ("lone-surrogate-name", '{"\\udc00":1}'),
        ("deep", "[" * 65 + "]" * 65),
        ("deep-objects", '{"a":' * 65 + "1" + "}" * 65),
        ("rest", "{}{}"),
        ("trailing-comma", "[1,]"),
        ("zero-led", "[01]"),
        ("nothing", ""),
    ]:
        why = f"arguments that have no one reading: {slug}"
        file.add(f"refused-{slug}", why, json=written, expect="malformed")


def hand_written(value: object) -> str:
    """The canonical form of values without floats and without names beyond the basic plane, for the
    proofs: there JSON's own writer and RFC 8785 agree."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
