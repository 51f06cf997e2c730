"""Rules for chains, as ``delegation.json`` of a policy bundle holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import spiffe_id
from ..chain.verified import VerifiedChain
from ..token.grant import Grant
from . import parse
from .breach import RuleReason, RulesBroken, require
from .level import AttestationLevel
from .lists import AgentPattern, Lists
from .parse import Lifetimes


@dataclass(frozen=True)
class ChainRules:
    """Without any, nothing is refused that the format itself does not refuse."""

    root: Lifetimes = Lifetimes()
    link: Lifetimes = Lifetimes()
    max_depth: int | None = None
    agents: Lists[AgentPattern] = field(default_factory=Lists)
    trust_domains: Lists[str] = field(default_factory=Lists)
    keys: Lists[bytes] = field(default_factory=Lists)
    min_attestation: AttestationLevel | None = None

    @staticmethod
    def parse(data: bytes) -> ChainRules:
        """Reads the document strictly; raises ``RulesError`` that names the member."""
        document = parse.Document.read(data)
        rules = ChainRules(
            root=document.lifetimes("root"),
            link=document.lifetimes("link"),
            max_depth=document.integer("max_depth"),
            agents=document.lists("agents", parse.pattern),
            trust_domains=document.lists("trust_domains", parse.trust_domain),
            keys=document.lists("keys", parse.thumbprint),
            min_attestation=document.level("min_attestation"),
        )
        document.finish()
        return rules

    def check_chain(self, chain: VerifiedChain) -> None:
        """Holds a chain to the rules: every link its lifetime, depth, holder and key. Raises
        ``RulesBroken`` with the first link that breaks one."""
        for number, link in enumerate(chain.links):
            try:
                self.check_grant(link.grant)
            except RulesBroken as broken:
                raise RulesBroken(broken.reason, number) from None

    def check_grant(self, grant: Grant) -> None:
        """Holds one root or link to the rules."""
        lifetimes = self.root if grant.depth == 0 else self.link
        # ``iat`` is the maker's word; whichever began earlier counts.
        begins = min(grant.not_before, grant.issued_at) // 1_000_000
        lives = grant.expires_at // 1_000_000 - begins
        require(_within(lifetimes.max_seconds, lives), RuleReason.LIFETIME)
        # A link is never deeper than it permits.
        require(_within(self.max_depth, grant.max_depth), RuleReason.DEPTH)
        domain = spiffe_id.trust_domain(grant.subject)
        require(self.trust_domains.admit(lambda known: known == domain), RuleReason.TRUST_DOMAIN)
        holder = self.agents.admit(lambda pattern: pattern.covers(grant.subject))
        require(holder, RuleReason.AGENT)
        key = grant.key.thumbprint()
        require(self.keys.admit(lambda known: known == key), RuleReason.KEY)

    def check_level(self, level: AttestationLevel) -> None:
        """Holds an instance to the rules by what vouches for it."""
        least = self.min_attestation
        require(least is None or level.rank >= least.rank, RuleReason.ATTESTATION)


def _within(most: int | None, value: int) -> bool:
    return most is None or value <= most
