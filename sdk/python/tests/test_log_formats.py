"""The vectors of C2SP tlog-tiles paths and tlog-cosignature lines, by a reader of a few lines."""

import base64
import hashlib
import json
import re
import struct
import unittest
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

VECTORS = Path(__file__).resolve().parents[3] / "vectors"
PATH = re.compile(
    r"tile/(entries|0|[1-9]\d?)/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII
)


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (VECTORS / name).read_text().splitlines()]


def tile_path(text: str) -> tuple[int, int, int] | None:
    """Level (-1 for bundles), index and width."""
    match = PATH.fullmatch(text)
    if match is None:
        return None
    kind, number, width = match.groups()
    level = -1 if kind == "entries" else int(kind)
    index = int(number.replace("x", "").replace("/", ""))
    spelt_shortest = not number.startswith("x000/")
    fits = level <= 63 and index < 2**64 and spelt_shortest and int(width or 1) < 256
    return (level, index, int(width or 256)) if fits else None


def cosignature(vector: dict[str, Any]) -> int | str:
    """The time of a cosignature, or why it is none."""
    name, key_id, data = vector["vkey"].split("+", 2)
    key = base64.b64decode(data, validate=True)
    _, line_name, line_data = vector["line"].split(" ")
    body = base64.b64decode(line_data, validate=True)
    if line_name != name or body[:4].hex() != key_id:
        return "unknown"
    if len(body) != 12 + {4: 64, 6: 2420}[key[0]]:
        return "length"
    time = int.from_bytes(body[4:12], "big")
    if time >= 2**63:
        return "timestamp"
    origin, size, root = vector["text"].split("\n")[:3]
    try:
        if key[0] == 4:
            message = f"cosignature/v1\ntime {time}\n{vector['text']}".encode()
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(body[12:], message)
        else:
            named = b"".join(
                struct.pack(">B", len(part)) + part + between
                for part, between in ((name.encode(), body[4:12]), (origin.encode(), b""))
            )
            message = b"subtree/v1\n\0" + named + struct.pack(">QQ", 0, int(size))
            message += base64.b64decode(root, validate=True)
            MLDSA44PublicKey.from_public_bytes(key[1:]).verify(body[12:], message)
    except InvalidSignature:
        return "wrong"
    return time


class LogFormats(unittest.TestCase):
    def test_paths_have_the_verdicts_that_they_state(self) -> None:
        for vector in read("log_tile_paths.jsonl"):
            if "path" not in vector:
                continue
            with self.subTest(vector["path"]):
                stated = None
                if vector["expect"] == "accept":
                    stated = (vector["level"], vector["index"], vector["width"])
                self.assertEqual(tile_path(vector["path"]), stated)

    def test_cosignatures_have_the_verdicts_that_they_state(self) -> None:
        for vector in read("log_cosignatures.jsonl"):
            with self.subTest(vector["name"]):
                stated = vector.get("reason", vector.get("timestamp"))
                self.assertEqual(cosignature(vector), stated)

    def test_a_key_id_is_that_of_its_key(self) -> None:
        for vector in read("log_cosignatures.jsonl"):
            name, key_id, data = vector["vkey"].split("+", 2)
            made = hashlib.sha256(name.encode() + b"\n" + base64.b64decode(data)).hexdigest()
            self.assertEqual(made[:8], key_id)


if __name__ == "__main__":
    unittest.main()
