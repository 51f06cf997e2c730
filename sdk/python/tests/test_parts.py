"""What the vectors cannot say: memory over time, and values that never arrive as JSON."""

import json
import math
import unittest

from chancery_verify import (
    Call,
    Reason,
    Refused,
    ReplayMemory,
    Revocation,
    RevocationError,
    RevocationKind,
    RevocationSet,
    Timestamp,
    arguments_digest,
    base64url,
    from_seconds,
    read_arguments,
)
from chancery_verify.canonical import CanonicalError, number, to_jcs
from chancery_verify.jws import Compact
from chancery_verify.strict_json import StrictJsonError, parse_strict, parse_strict_with_floats


class Memory(unittest.TestCase):
    def take(self, memory: ReplayMemory, holder: str, jti: str, until: int, now: int) -> bool:
        try:
            memory.remember(holder, jti, from_seconds(until), from_seconds(now))
        except Refused as refusal:
            self.assertEqual(refusal.reason, Reason.REPLAY)
            return False
        return True

    def test_nothing_is_taken_twice_inside_its_window(self) -> None:
        memory = ReplayMemory(9, 9)
        self.assertTrue(self.take(memory, "one", "a", 160, 100))
        for now in [100, 130, 160]:
            self.assertFalse(self.take(memory, "one", "a", 160, now))
        self.assertTrue(self.take(memory, "two", "a", 160, 100))
        self.assertFalse(self.take(memory, "one", "a", 160, 161))

    def test_a_flood_evicts_nothing_and_harms_nobody_else(self) -> None:
        memory = ReplayMemory(2, 9)
        self.assertTrue(self.take(memory, "one", "a", 160, 100))
        self.assertTrue(self.take(memory, "one", "b", 165, 105))
        self.assertFalse(self.take(memory, "one", "c", 165, 105))
        self.assertFalse(self.take(memory, "one", "a", 160, 105))
        self.assertTrue(self.take(memory, "two", "a", 165, 105))
        self.assertTrue(self.take(memory, "one", "c", 221, 161))

    def test_a_clock_that_steps_back_opens_no_window(self) -> None:
        memory = ReplayMemory(9, 9)
        self.assertTrue(self.take(memory, "one", "a", 160, 100))
        self.assertTrue(self.take(memory, "one", "b", 260, 200))
        self.assertFalse(self.take(memory, "one", "a", 160, 100))

    def test_holders_are_bounded_and_make_room_when_idle(self) -> None:
        memory = ReplayMemory(1, 2)
        for holder, now, taken in [
            ("one", 100, True),
            ("two", 100, True),
            ("three", 100, False),
            ("three", 161, True),
        ]:
            self.assertEqual(self.take(memory, holder, "a", now + 60, now), taken)


class Json(unittest.TestCase):
    def test_what_parsers_disagree_about_is_refused(self) -> None:
        for bad in [
            "",
            "NaN",
            "{}x",
            '{"a":1,"a":1}',
            '{"$serde_json::private::RawValue":"7"}',
            '[{"\\u0024serde_json::private::Number":"7"}]',
            "[1.0]",
            "[1e3]",
            "[-0]",
            '"\\ud800"',
            "\ufeff{}",
            "[" * 65 + "]" * 65,
            "[" * 100_000,
            "9" * 5_000,
            str(2**64),
            str(-(2**63) - 1),
        ]:
            with self.assertRaises(StrictJsonError, msg=bad[:20]):
                parse_strict(bad.encode())
        with self.assertRaises(StrictJsonError):
            parse_strict_with_floats(b"[1e400]")

    def test_brackets_in_texts_are_not_nesting(self) -> None:
        text = json.dumps(["[" * 100, '\\"[{'])
        self.assertEqual(parse_strict(text.encode()), json.loads(text))

    def test_the_rest_is_read(self) -> None:
        self.assertEqual(
            parse_strict(b' {"a":[1,-2,true,null,"x"]} '), {"a": [1, -2, True, None, "x"]}
        )
        self.assertEqual(parse_strict(b"[" * 64 + b"]" * 64), json.loads("[" * 64 + "]" * 64))
        self.assertEqual(math.copysign(1, parse_strict_with_floats(b"-0")), -1)


class Canonical(unittest.TestCase):
    def test_what_is_not_json_has_no_form(self) -> None:
        for bad in [math.nan, math.inf, {1}, b"a", "\ud800", {"a": 2**53}, [-(2**53)]]:
            with self.assertRaises(CanonicalError):
                to_jcs(bad)

    def test_every_form_reads_back(self) -> None:
        for exponent in range(-330, 308):
            for digits in ["1", "9.5", "1.2345678901234567", "-7.25"]:
                value = float(f"{digits}e{exponent}")
                self.assertEqual(float(number(value)), value)

    def test_arguments_are_judged_as_they_are_kept(self) -> None:
        self.assertEqual(read_arguments(b'{"b":5.0,"a":1e2}'), {"a": 100, "b": 5})
        self.assertIs(type(read_arguments(b'{"b":5.0}')["b"]), int)
        endless = b"9" * 5_000
        for bad in [
            b'{"a":1e16}',
            b'{"a":9007199254740993}',
            b'{"a":1e-' + endless + b"}",
            b'{"a":1e' + endless + b"}",
            b"[]",
            b"{",
        ]:
            with self.assertRaises(Refused):
                read_arguments(bad)
        self.assertEqual(read_arguments(b'{"a":0e' + b"0" * 5_000 + b"1}"), {"a": 0})
        with self.assertRaises(Refused):
            arguments_digest({"a": 2**64})


class Base64(unittest.TestCase):
    def test_one_spelling_per_value(self) -> None:
        self.assertEqual(base64url.decode("AA"), b"\0")
        for bad in ["AB", "AA==", "A", "A+", "A/", "AA\n", " AA", "A\u0410"]:
            with self.assertRaises(ValueError, msg=bad):
                base64url.decode(bad)

    def test_a_token_of_no_unicode_is_malformed(self) -> None:
        with self.assertRaises(Refused) as refused:
            Compact.parse("\ud800.a.b")
        self.assertEqual(refused.exception.reason, Reason.MALFORMED)


class Calls(unittest.TestCase):
    def test_a_proof_for_one_type_is_none_for_another(self) -> None:
        kinds = ["mcp_tool", "mcp_resource", "mcp_prompt"]
        targets = [json.dumps(Call("s", "n", {}, kind).proof_target()) for kind in kinds]
        self.assertEqual(len(set(targets)), 3)


class Revocations(unittest.TestCase):
    def test_a_set_is_made_of_any_order_and_the_later_stands(self) -> None:
        one = lambda id, at: Revocation.of(RevocationKind.TOKEN, id, Timestamp(at))
        person = Revocation.of(RevocationKind.PERSON, "per_" + "7" * 26)
        made = RevocationSet.of([person, one("b", 1), one("a", 2), one("a", 5), one("a", 3)])
        self.assertEqual([found.id for found in made.revocations()], ["a", "b", person.id])
        self.assertEqual(made.since(RevocationKind.TOKEN, "a"), 5)
        self.assertIsNone(made.since(RevocationKind.SESSION, "a"))
        self.assertEqual(len(made), 3)

    def test_a_set_is_bounded(self) -> None:
        tokens = [Revocation.of(RevocationKind.TOKEN, f"t{number}") for number in range(8_193)]
        self.assertEqual(len(RevocationSet.of(tokens[1:])), 8_192)
        with self.assertRaises(RevocationError):
            RevocationSet.of(tokens)

    def test_an_identifier_is_one_of_its_kind(self) -> None:
        for kind in RevocationKind:
            with self.assertRaisesRegex(RevocationError, f"identifier of a {kind}: expected"):
                Revocation.of(kind, "a b")

    def test_a_refusal_says_what_is_revoked(self) -> None:
        said = str(Refused(Reason.REVOKED, 1, RevocationKind.KEY))
        self.assertEqual(said, "refused at link 1: revoked (key)")
