"""Which of the operator's rules a chain breaks."""

from __future__ import annotations

from enum import StrEnum


class RuleReason(StrEnum):
    """One code for each rule, the same as in the log and in the Rust verifier."""

    LIFETIME = "rules_lifetime"
    DEPTH = "rules_depth"
    AGENT = "rules_agent"
    TRUST_DOMAIN = "rules_trust_domain"
    KEY = "rules_key"
    ATTESTATION = "rules_attestation"


class RulesBroken(Exception):
    """A broken rule, and the link that breaks it where it is about one."""

    def __init__(self, reason: RuleReason, link: int | None = None) -> None:
        where = "" if link is None else f"link {link}: "
        super().__init__(f"{where}{reason.value}")
        self.reason = reason
        self.link = link


def require(holds: bool, reason: RuleReason) -> None:
    """Refuses with ``reason`` unless ``holds``."""
    if not holds:
        raise RulesBroken(reason)
