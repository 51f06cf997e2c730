"""Identifiers: a prefix, an underscore and 26 lower-case Crockford base32 digits (128 bits)."""

import re

_DIGITS = re.compile(r"[0-7][0-9abcdefghjkmnpqrstvwxyz]{25}\Z")


def is_id(text: str, prefix: str) -> bool:
    """Whether the text is an identifier of that kind, such as ``exe`` for an execution."""
    start, separator, digits = text.partition("_")
    return start == prefix and separator == "_" and _DIGITS.match(digits) is not None
