"""Dictionaries of structured fields (RFC 9651): read as the text says, written in one spelling."""

from __future__ import annotations

import base64
import re
import string
from dataclasses import dataclass, field
from enum import Enum
from typing import NoReturn

_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_NUMBER = re.compile(r"(-?)([0-9]+)(?:(\.)([0-9]*))?")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")
_BYTES = re.compile(r":([A-Za-z0-9+/]*)={0,2}:")
_DISPLAY = re.compile(r'%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"')


class StructuredError(ValueError):
    """Why a text is no dictionary."""


class Kind(Enum):
    """What a bare item is."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    STRING = "string"
    TOKEN = "token"
    BYTES = "bytes"
    BOOLEAN = "boolean"
    DATE = "date"
    DISPLAY = "display"


@dataclass(frozen=True)
class Bare:
    """A bare item. A decimal is held in thousandths."""

    kind: Kind
    value: int | str | bytes | bool


Parameters = dict[str, Bare]


@dataclass(frozen=True)
class Item:
    """A bare item with its parameters."""

    bare: Bare
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True)
class InnerList:
    """A list of items with parameters of its own."""

    items: tuple[Item, ...]
    parameters: Parameters = field(default_factory=dict)


Dictionary = dict[str, Item | InnerList]

_TRUE = Bare(Kind.BOOLEAN, True)


def parse_dictionary(text: str) -> Dictionary:
    """Reads a dictionary; of a key that stands twice the last value counts."""
    return _Parser(text).dictionary()


def serialize(members: Dictionary) -> str:
    """The one spelling of a dictionary."""
    return ", ".join(_member(key, entry) for key, entry in members.items())


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text.strip(" "), 0

    def dictionary(self) -> Dictionary:
        members: Dictionary = {}
        while self._left():
            key = self._take(_KEY)[0]
            if self._skip("="):
                members[key] = self._list() if self._next() == "(" else self._item()
            else:
                members[key] = Item(_TRUE, self._parameters())
            self._skip_all(" \t")
            if not self._left():
                return members
            if not self._skip(","):
                _fail()
            self._skip_all(" \t")
            if not self._left():
                _fail()
        return members

    def _list(self) -> InnerList:
        self._skip("(")
        items: list[Item] = []
        while True:
            self._skip_all(" ")
            if self._skip(")"):
                return InnerList(tuple(items), self._parameters())
            items.append(self._item())
            if self._next() not in (" ", ")"):
                _fail()

    def _item(self) -> Item:
        return Item(self._bare(), self._parameters())

    def _parameters(self) -> Parameters:
        found: Parameters = {}
        while self._skip(";"):
            self._skip_all(" ")
            key = self._take(_KEY)[0]
            found[key] = self._bare() if self._skip("=") else _TRUE
        return found

    def _bare(self) -> Bare:
        match self._next():
            case '"':
                text = re.sub(r"\\(.)", r"\1", self._take(_STRING)[1])
                return Bare(Kind.STRING, text)
            case ":":
                return Bare(Kind.BYTES, _decode(self._take(_BYTES)[1]))
            case "?":
                self._skip("?")
                if self._next() not in ("0", "1"):
                    _fail()
                return Bare(Kind.BOOLEAN, self._skip("1") or not self._skip("0"))
            case "@":
                self._skip("@")
                number = self._number()
                return Bare(Kind.DATE, number.value) if number.kind is Kind.INTEGER else _fail()
            case "%":
                return Bare(Kind.DISPLAY, _display(self._take(_DISPLAY)[1]))
            case first if first and first in string.ascii_letters + "*":
                return Bare(Kind.TOKEN, self._take(_TOKEN)[0])
            case _:
                return self._number()

    def _number(self) -> Bare:
        sign, whole, dot, rest = self._take(_NUMBER).groups()
        factor = -1 if sign else 1
        if dot is None:
            return Bare(Kind.INTEGER, factor * int(whole)) if len(whole) <= 15 else _fail()
        if len(whole) > 12 or not 1 <= len(rest) <= 3:
            _fail()
        return Bare(Kind.DECIMAL, factor * int(whole + rest.ljust(3, "0")))

    def _left(self) -> bool:
        return self._at < len(self._text)

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, mark: str) -> bool:
        found = self._next() == mark
        self._at += found
        return found

    def _skip_all(self, marks: str) -> None:
        while self._left() and self._next() in marks:
            self._at += 1

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            _fail()
        self._at = found.end()
        return found


def _fail() -> NoReturn:
    raise StructuredError("not a dictionary of structured fields")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4)) if len(text) % 4 != 1 else _fail()


def _display(text: str) -> str:
    data = re.sub(rb"%(..)", lambda pair: bytes([int(pair[1], 16)]), text.encode("ascii"))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        _fail()


def _member(key: str, entry: Item | InnerList) -> str:
    if isinstance(entry, InnerList):
        items = " ".join(_bare(item.bare) + _parameters(item.parameters) for item in entry.items)
        return f"{key}=({items}){_parameters(entry.parameters)}"
    held = "" if entry.bare == _TRUE else "=" + _bare(entry.bare)
    return key + held + _parameters(entry.parameters)


def _parameters(parameters: Parameters) -> str:
    return "".join(
        f";{key}" if value == _TRUE else f";{key}={_bare(value)}"
        for key, value in parameters.items()
    )


def _bare(bare: Bare) -> str:
    value = bare.value
    match bare.kind:
        case Kind.STRING:
            return '"' + re.sub(r'(["\\])', r"\\\1", str(value)) + '"'
        case Kind.BYTES:
            assert isinstance(value, bytes)
            return f":{base64.b64encode(value).decode('ascii')}:"
        case Kind.BOOLEAN:
            return "?1" if value else "?0"
        case Kind.DATE:
            return f"@{value}"
        case Kind.DECIMAL:
            assert isinstance(value, int)
            whole, rest = divmod(abs(value), 1_000)
            return f"{'-' if value < 0 else ''}{whole}.{f'{rest:03}'.rstrip('0') or '0'}"
        case Kind.DISPLAY:
            plain = lambda byte: chr(byte) if 0x20 <= byte < 0x7F and byte not in b'%"' else f"%{byte:02x}"
            return '%"' + "".join(map(plain, str(value).encode("utf-8"))) + '"'
        case _:
            return str(value)
