"""Whether bytes are one well-formed CBOR map (RFC 8949 appendix C). Nothing is read out of it."""

from __future__ import annotations

_MAX_DEPTH = 32


def is_one_map(data: bytes) -> bool:
    """Whether the bytes are one definite or indefinite map and nothing else."""
    if not data or data[0] >> 5 != 5:
        return False
    try:
        return _skip(data, 0, 0) == len(data)
    except (ValueError, IndexError):
        return False


def _skip(data: bytes, at: int, depth: int) -> int:
    """The position behind the item at ``at``."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    major, low = data[at] >> 5, data[at] & 31
    if low == 31:
        return _skip_indefinite(data, at + 1, major, depth)
    value, at = _argument(data, at + 1, low)
    if major in (2, 3):
        if at + value > len(data):
            raise ValueError("cut off")
        if major == 3:
            data[at : at + value].decode("utf-8")
        return at + value
    items = {4: value, 5: 2 * value, 6: 1}.get(major, 0)
    for _ in range(items):
        at = _skip(data, at, depth + 1)
    return at


def _argument(data: bytes, at: int, low: int) -> tuple[int, int]:
    if low < 24:
        return low, at
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(low)
    if size is None or at + size > len(data):
        raise ValueError("cut off or reserved")
    return int.from_bytes(data[at : at + size], "big"), at + size


def _skip_indefinite(data: bytes, at: int, major: int, depth: int) -> int:
    if major not in (2, 3, 4, 5):
        raise ValueError("no such indefinite item")
    items = 0
    while data[at] != 0xFF:
        if major in (2, 3) and (data[at] >> 5 != major or data[at] & 31 == 31):
            raise ValueError("a chunk of another kind")
        at = _skip(data, at, depth + 1)
        items += 1
    if major == 5 and items % 2:
        raise ValueError("a key without its value")
    return at + 1
