"""Sizes exactly at each limit and one over it."""

from __future__ import annotations

from .files import File
from .world import CONTEXT, Spec, chain, put

MAX_LINKS = 8
MAX_BYTES = 16_384


def write() -> File:
    file = File("sizes", "adt-vectors/1", "sizes at each limit and over it", context=CONTEXT)
    slim = put("authorization_details", [])
    eight = chain(MAX_LINKS - 1, {0: Spec(edit=slim)})
    file.accept("eight-links", "the most links", eight, base=True)
    deep = {number: Spec(edit=put("del_max_depth", 8)) for number in range(9)}
    deep[0] = Spec(edit=lambda claims: claims.update(del_max_depth=8, authorization_details=[]))
    nine = chain(MAX_LINKS, deep)
    file.reject("nine-links", "one link more", "too_long", None, nine)
    file.reject("nine-nothings", "counted before anything is read", "too_long", None, ["x"] * 9)
    file.reject("no-links", "no link at all", "malformed", None, [])
    exact = _sized(MAX_BYTES)
    file.accept("bytes-exact", "a root of the most bytes", [exact])
    over = _sized(MAX_BYTES + 1)
    file.reject("bytes-over", "a root of one byte more", "too_long", None, [over])
    why = "counted in bytes: so many characters are more bytes"
    file.reject("bytes-of-characters", why, "too_long", None, ["\u00e9" * (MAX_BYTES // 2 + 1)])
    file.reject("bytes-fitting", "so many bytes are read", "malformed", 0, ["x" * MAX_BYTES])
    halves = ["x" * (MAX_BYTES // 2), "x" * (MAX_BYTES // 2)]
    file.reject("bytes-comma", "the comma between links counts", "too_long", None, halves)
    halves = ["x" * (MAX_BYTES // 2), "x" * (MAX_BYTES // 2 - 1)]
    file.reject("bytes-comma-fitting", "links that just fit are read", "malformed", 0, halves)
    return file


def _sized(target: int) -> str:
    """A root of exactly that many bytes, by the length of the person's sub and spaces."""
    for spaces in range(4):
        for length in range(11_000, 12_400):
            # Base64 makes four characters of three bytes; try only what can fit.
            spec = Spec(
                edit=put("prn", "sub", "u" * length),
                header_text=lambda text, spaces=spaces: text + " " * spaces,
            )
            short = _length(spec, length)
            if short == target:
                return chain(0, {0: spec})[0]
    raise AssertionError(f"no root of {target} bytes")


_MEASURED: dict[int, tuple[int, int]] = {}


def _length(spec: Spec, length: int) -> int:
    spaces = len(spec.header_text("")) if spec.header_text else 0  # type: ignore[arg-type]
    if spaces not in _MEASURED:
        header, payload, _ = chain(0, {0: spec})[0].split(".")
        _MEASURED[spaces] = (len(header), len(payload) * 3 // 4 - length)
    header_length, rest = _MEASURED[spaces]
    payload_bytes = rest + length
    return header_length + 1 + (payload_bytes * 4 + 2) // 3 + 1 + 86
