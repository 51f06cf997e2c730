"""The members of a JSON object, taken out one by one; what is left over is unknown and refused."""

from __future__ import annotations

import re
from typing import Any

from .. import base64url
from ..limits import MAX_SAFE_INTEGER, MAX_SECONDS
from ..reason import Reason, Refused, require
from ..timestamp import Timestamp, from_seconds

_ID = re.compile(r"[!-~]{1,128}\Z")


class Members:
    """Takes members of an object out; any other shape is refused as malformed."""

    def __init__(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise Refused(Reason.MALFORMED)
        self._left = dict(value)

    def finish(self) -> None:
        """Refuses what was not taken."""
        require(not self._left, Reason.MALFORMED)

    def has(self, name: str) -> bool:
        """Whether the member is there."""
        return name in self._left

    def value(self, name: str) -> Any:
        """The member, whatever it is."""
        require(self.has(name), Reason.MALFORMED)
        return self._left.pop(name)

    def object(self, name: str) -> Members:
        """An object."""
        return Members(self.value(name))

    def array(self, name: str) -> list[Any]:
        """A list."""
        return array(self.value(name))

    def text(self, name: str) -> str:
        """A text that is not empty."""
        return text(self.value(name))

    def id(self, name: str) -> str:
        """Visible ASCII, short enough to remember."""
        value = self.text(name)
        require(_ID.match(value) is not None, Reason.MALFORMED)
        return value

    def integer(self, name: str) -> int:
        """A non-negative integer that every reader represents exactly."""
        value = self.value(name)
        if type(value) is not int or not 0 <= value <= MAX_SAFE_INTEGER:
            raise Refused(Reason.MALFORMED)
        return value

    def time(self, name: str) -> Timestamp:
        """Whole seconds since the epoch, within what a timestamp holds."""
        seconds = self.integer(name)
        require(seconds <= MAX_SECONDS, Reason.MALFORMED)
        return from_seconds(seconds)

    def digest(self, name: str) -> bytes:
        """Thirty-two bytes in base64url."""
        try:
            data = base64url.decode(self.text(name))
        except ValueError:
            raise Refused(Reason.MALFORMED) from None
        require(len(data) == 32, Reason.MALFORMED)
        return data


def array(value: Any) -> list[Any]:
    """A list, or malformed."""
    if not isinstance(value, list):
        raise Refused(Reason.MALFORMED)
    return value


def text(value: Any) -> str:
    """A text that is not empty, or malformed."""
    if not isinstance(value, str) or not value:
        raise Refused(Reason.MALFORMED)
    return value
