"""Structured fields: what RFC 9651 reads, what it refuses, and the one spelling."""

import unittest

from chancery_verify.http_signature.structured import (
    Kind,
    StructuredError,
    parse_dictionary,
    serialize,
)


class Structured(unittest.TestCase):
    def test_each_kind_has_one_spelling(self) -> None:
        for text, kind in [
            ("a=0", Kind.INTEGER),
            ("a=-999999999999999", Kind.INTEGER),
            ("a=1.5", Kind.DECIMAL),
            ("a=-0.125", Kind.DECIMAL),
            ("a=999999999999.0", Kind.DECIMAL),
            ('a="b \\"c\\" \\\\"', Kind.STRING),
            ('a=""', Kind.STRING),
            ("a=*b/c:d", Kind.TOKEN),
            ("a=:AAEC:", Kind.BYTES),
            ("a=::", Kind.BYTES),
            ("a=?0", Kind.BOOLEAN),
            ("a", Kind.BOOLEAN),
            ("a=@-1", Kind.DATE),
            ('a=%"\u0061%c3%a9 %25%22"', Kind.DISPLAY),
        ]:
            members = parse_dictionary(text)
            self.assertEqual(serialize(members), text)
            self.assertIs(members["a"].bare.kind, kind, text)

    def test_lists_and_parameters(self) -> None:
        text = 'a=("b" c;d=1 :AA==:);e;f=?0, *g.-_;h="i"'
        self.assertEqual(serialize(parse_dictionary(text)), text)
        spaced = '  a=(  "b"   c ;d=1 :AA==: ) ,\t*g '
        self.assertRaises(StructuredError, parse_dictionary, spaced)
        spaced = '  a=(  "b"   c; d=1 :AA: );e=?1 ,\t*g=?1 '
        self.assertEqual(serialize(parse_dictionary(spaced)), 'a=("b" c;d=1 :AA==:);e, *g')

    def test_the_last_of_two_counts(self) -> None:
        self.assertEqual(serialize(parse_dictionary("a=1, b=2, a=3")), "a=3, b=2")
        self.assertEqual(serialize(parse_dictionary("a;x=1;y;x=2")), "a;x=2;y")

    def test_what_is_no_dictionary_is_refused(self) -> None:
        self.assertEqual(parse_dictionary(""), {})
        for bad in [
            "A=1", "1=1", "a=", "a=,b", "a,", ",a", "a b", "a=1 b=2", "a;", "a;=1", "a;X", "a=(", "a=(b",
            "a=(b,c)", "a=((b))", 'a=("b""c")', "a=)", 'a="', 'a="\\x"', 'a="\x7f"', 'a="\u00e9"', "a=1.", "a=.1",
            "a=1.1234", "a=1000000000000.0", "a=1000000000000000", "a=-", "a=--1", "a=+1", "a=?2", "a=?",
            "a=:A:", "a=:AA", "a=:A-:", "a=:AA===:", "a=@1.0", "a=@", 'a=%"', 'a=%"%C3"', 'a=%"%ff"', 'a=%"\u00e9"',
            "a=\u00e9", "a=1;b=(c)", "a\n", "\ta",
        ]:  # fmt: skip
            with self.assertRaises(StructuredError, msg=bad):
                parse_dictionary(bad)
