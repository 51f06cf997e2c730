"""The completeness index of a log: what a log says that it holds of one instance (decision record 2).

Verifies the path from a root to an instance, and reads proof files. That the log holds the entry
with the root is for a reader of C2SP ``tlog-proof`` to say.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

HEADER = "chancery-index-proof/1"
EMPTY = hashlib.sha256().digest()

_MAX_DEPTH = 256
_MAX_NAME_BYTES = 2_048


class IndexRefused(ValueError):
    """Nothing is proven; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Chain:
    """How many entries a log holds of an instance, where the last one stands, and the head over them."""

    entries: int
    last: int
    head: bytes

    def __post_init__(self) -> None:
        if not (0 < self.entries <= self.last + 1 <= 2**64 and len(self.head) == 32):
            raise IndexRefused("end")


@dataclass(frozen=True)
class Path:
    """What stands at the end of the way, and the hashes beside it, the deepest first."""

    end: tuple[bytes, Chain] | None
    siblings: tuple[bytes, ...]


@dataclass(frozen=True)
class ProofFile:
    """The parts of a proof file, read and not verified."""

    instance: str
    entry: bytes
    path: Path
    inclusion: str


def place(instance: str) -> bytes:
    """Where an instance stands."""
    return _hash(5, instance.encode())


def followed(leaves: Iterable[tuple[int, bytes]]) -> Chain:
    """The chain over entries: their indices in the log and their leaf hashes, in order."""
    head, entries, last = bytes(32), 0, 0
    for index, leaf in leaves:
        head, entries, last = _hash(4, head, _u64(index), leaf), entries + 1, index
    return Chain(entries, last, head)


def root(chains: dict[bytes, Chain]) -> bytes:
    """The root over all instances, by their places."""
    return _subtree(sorted(chains.items()), 0)


def verify(path: Path, instance: str, top: bytes) -> Chain | None:
    """What the index under ``top`` has of an instance; none where it has nothing. Raises
    :class:`IndexRefused` where the path proves neither."""
    way, depth = place(instance), len(path.siblings)
    if depth > _MAX_DEPTH:
        raise IndexRefused("too_deep")
    if path.end is None:
        node = EMPTY
    else:
        other, chain = path.end
        if any(_bit(other, bit) != _bit(way, bit) for bit in range(depth)):
            raise IndexRefused("elsewhere")
        node = _leaf(other, chain)
    for bit, sibling in zip(range(depth - 1, -1, -1), path.siblings, strict=True):
        node = _hash(3, sibling, node) if _bit(way, bit) else _hash(3, node, sibling)
    if node != top:
        raise IndexRefused("root_mismatch")
    return path.end[1] if path.end is not None and path.end[0] == way else None


def parse(data: bytes) -> ProofFile:
    """Reads a proof file strictly; the inclusion proof as far as its first lines."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise IndexRefused("not_text") from None
    head, separator, inclusion = text.partition("\n\n")
    if not separator:
        raise IndexRefused("no_inclusion")
    lines = head.split("\n") + [""] * 4
    if lines[0] != HEADER:
        raise IndexRefused("header")
    instance = lines[1].removeprefix("instance ")
    if lines[1] == instance:
        raise IndexRefused("instance")
    entry = _base64(lines[2].removeprefix("entry "))
    if not lines[2].startswith("entry ") or entry is None:
        raise IndexRefused("entry")
    end = _end(lines[3], place(instance))
    hashes = [_base64(line) for line in head.split("\n")[4:]]
    # As a reader goes: line by line, so that what comes first is named.
    for at, line in enumerate(hashes):
        if at == _MAX_DEPTH:
            raise IndexRefused("too_many_hashes")
        if line is None or len(line) != 32:
            raise IndexRefused("hash")
    _check_inclusion(inclusion)
    if not instance or len(instance.encode()) > _MAX_NAME_BYTES or _has_control(instance):
        raise IndexRefused("instance")
    if not entry:
        raise IndexRefused("entry")
    path = Path(end, tuple(line for line in hashes if line is not None))
    return ProofFile(instance, entry, path, inclusion)


def _end(line: str, own: bytes) -> tuple[bytes, Chain] | None:
    if line == "absent":
        return None
    words = line.split(" ")
    if words[0] == "present" and len(words) == 4:
        key: bytes | None = own
    elif words[0] == "other" and len(words) == 5:
        key = _base64(words.pop(1))
    else:
        raise IndexRefused("end")
    entries, last, head = _decimal(words[1]), _decimal(words[2]), _base64(words[3])
    restated = words[0] == "other" and key == own
    if key is None or len(key) != 32 or restated or None in (entries, last, head):
        raise IndexRefused("end")
    assert entries is not None and last is not None and head is not None
    return key, Chain(entries, last, head)


def _check_inclusion(text: str) -> None:
    head, _, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if lines.pop(0) != "c2sp.org/tlog-proof@v1" or not checkpoint:
        raise IndexRefused("inclusion")
    if lines and lines[0].startswith("extra "):
        if not _base64(lines.pop(0).removeprefix("extra ")):
            raise IndexRefused("inclusion")
    index = lines.pop(0) if lines else ""
    if not index.startswith("index ") or _decimal(index.removeprefix("index ")) is None:
        raise IndexRefused("inclusion")
    hashes = [_base64(line) for line in lines]
    if len(hashes) > 63 or any(one is None or len(one) != 32 for one in hashes):
        raise IndexRefused("inclusion")


def _subtree(leaves: list[tuple[bytes, Chain]], bit: int) -> bytes:
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return _leaf(*leaves[0])
    left = [leaf for leaf in leaves if not _bit(leaf[0], bit)]
    right = [leaf for leaf in leaves if _bit(leaf[0], bit)]
    return _hash(3, _subtree(left, bit + 1), _subtree(right, bit + 1))


def _leaf(key: bytes, chain: Chain) -> bytes:
    return _hash(2, key, _u64(chain.entries), _u64(chain.last), chain.head)


def _hash(kind: int, *parts: bytes) -> bytes:
    return hashlib.sha256(b"".join((bytes((kind,)), *parts))).digest()


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _bit(key: bytes, bit: int) -> bool:
    return bool(key[bit // 8] & (128 >> bit % 8))


def _decimal(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0"):
        return None
    number = int(text)
    return number if number < 2**64 else None


def _base64(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None


def _has_control(text: str) -> bool:
    return any(unicodedata.category(letter) == "Cc" for letter in text)
