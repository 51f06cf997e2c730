"""The vectors of the completeness index."""

import base64
import json
import unittest
from pathlib import Path
from typing import Any

from chancery_verify import log_index

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "log_index.jsonl"


def bytes_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def chain(stated: dict[str, Any]) -> log_index.Chain:
    return log_index.Chain(stated["entries"], stated["last"], bytes_of(stated["head"]))


def root(vector: dict[str, Any]) -> str:
    chains = {
        log_index.place(one["name"]): log_index.followed(
            (index, bytes_of(leaf)) for index, leaf in one["entries"]
        )
        for one in vector["instances"]
    }
    same = bytes_of(vector["root"]) == log_index.root(chains)
    return "same" if same and len(chains) == vector["count"] else "another root"


def path(vector: dict[str, Any]) -> str:
    end = vector["end"]
    made = log_index.Path(
        None if end is None else (bytes_of(end["key"]), chain(end)),
        tuple(bytes_of(sibling) for sibling in vector["siblings"]),
    )
    held = log_index.verify(made, vector["instance"], bytes_of(vector["root"]))
    return "absent" if held is None else "present"


def judged(vector: dict[str, Any]) -> str:
    try:
        if vector["kind"] == "root":
            return root(vector)
        if vector["kind"] == "path":
            return path(vector)
        log_index.parse(bytes_of(vector["file"]))
    except log_index.IndexRefused as refused:
        return refused.reason
    return "accept"


class LogIndex(unittest.TestCase):
    def test_vectors_have_the_verdicts_that_they_state(self) -> None:
        vectors = [json.loads(line) for line in VECTORS.read_text().splitlines()]
        self.assertGreater(len(vectors), 90)
        for vector in vectors:
            stated = vector.get("reason") or vector.get("expect") or "same"
            with self.subTest(vector["number"], name=vector["name"]):
                self.assertEqual(judged(vector), stated)


if __name__ == "__main__":
    unittest.main()
