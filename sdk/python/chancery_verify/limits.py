"""Limits that hold everywhere, checked before anything is read that they bound."""

MAX_JSON_DEPTH = 64
"""Deepest nesting of a JSON document."""

MAX_CHAIN_LINKS = 8
"""Most links of a chain, root included."""

MAX_CHAIN_BYTES = 16_384
"""Most bytes of a chain: its links joined by commas."""

MAX_JWS_BYTES = 16_384
"""Most bytes of one compact JWS."""

MAX_ROOT_SECONDS = 3_600
"""Longest life of a root, in seconds."""

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader represents exactly."""

MAX_SECONDS = (2**64 - 1) // 1_000_000
"""The last second that 64 bits of microseconds hold."""

MAX_REVOCATIONS = 8_192
"""Most revocations that are in force at one time."""

MAX_RULES_BYTES = 262_144
"""Most bytes of the operator's rules for chains."""

MAX_RULES_ENTRIES = 4_096
"""Most entries of one list of the operator's rules."""
