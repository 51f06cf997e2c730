//! The operator's rules for chains: how long, how deep, to whom. They travel as `delegation.json` in
//! the policy bundle, so that they share its signature, digest and version; the server holds every
//! root to them before a person is asked, gateways and verifiers hold every chain to them.

mod breach;
mod lists;
mod parse;

use chancery_identity::{AttestationLevel, TrustDomain};
use chancery_types::Digest;

use crate::chain::VerifiedChain;
use crate::token::Grant;

pub use breach::{RuleBreach, RuleReason};
pub use lists::{AgentPattern, Lists};
pub use parse::ChainRulesError;

/// What the member `rules` of every document says: its form.
pub const RULES_FORM: &str = "chancery/delegation-rules/v1";

/// Rules for chains. Without any, nothing is refused that the format itself does not refuse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainRules {
    root: Lifetimes,
    link: Lifetimes,
    max_depth: Option<u64>,
    agents: Lists<AgentPattern>,
    trust_domains: Lists<TrustDomain>,
    keys: Lists<Digest>,
    min_attestation: Option<AttestationLevel>,
}

/// How long a root or a link lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifetimes {
    /// Where nobody asks for another time; never more than the most.
    pub default_seconds: Option<u64>,
    /// At most.
    pub max_seconds: Option<u64>,
}

impl ChainRules {
    /// Reads the document strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChainRulesError> {
        parse::read(bytes)
    }

    /// How long a root lives.
    pub const fn root(&self) -> Lifetimes {
        self.root
    }

    /// How long a link lives.
    pub const fn link(&self) -> Lifetimes {
        self.link
    }

    /// Holds a chain to the rules: every link its lifetime, depth, holder and key. What is refused is
    /// named with the first link that breaks a rule.
    pub fn check_chain(&self, chain: &VerifiedChain) -> Result<(), RuleBreach> {
        for (at, link) in chain.links().enumerate() {
            self.check_grant(link.grant())
                .map_err(|reason| RuleBreach::at(at, reason))?;
        }
        Ok(())
    }

    /// Holds one root or link to the rules: also one that is not signed yet.
    pub fn check_grant(&self, grant: &Grant) -> Result<(), RuleReason> {
        let lifetimes = if grant.depth == 0 {
            self.root
        } else {
            self.link
        };
        // `iat` is the maker's word; whichever began earlier counts.
        let from = grant.not_before.min(grant.issued_at);
        let lives = grant
            .expires_at
            .as_seconds()
            .saturating_sub(from.as_seconds());
        let within = |most: Option<u64>, value: u64| most.is_none_or(|most| value <= most);
        let require = |holds: bool, reason| if holds { Ok(()) } else { Err(reason) };
        require(within(lifetimes.max_seconds, lives), RuleReason::Lifetime)?;
        // A link is never deeper than it permits.
        require(within(self.max_depth, grant.max_depth), RuleReason::Depth)?;
        require(
            self.trust_domains
                .admit(|domain| domain == grant.subject.trust_domain()),
            RuleReason::TrustDomain,
        )?;
        require(
            self.agents.admit(|pattern| pattern.covers(&grant.subject)),
            RuleReason::Agent,
        )?;
        let thumbprint = grant.key.thumbprint();
        require(self.keys.admit(|key| *key == thumbprint), RuleReason::Key)
    }

    /// Holds an instance to the rules by what vouches for it.
    pub fn check_level(&self, level: AttestationLevel) -> Result<(), RuleReason> {
        match self.min_attestation {
            Some(least) if level < least => Err(RuleReason::Attestation),
            _ => Ok(()),
        }
    }
}

impl Lifetimes {
    /// The lifetime of one for which nobody asks another: `otherwise` where the rules name none.
    pub fn by_default(self, otherwise: u64) -> u64 {
        let seconds = self.default_seconds.unwrap_or(otherwise);
        self.max_seconds.map_or(seconds, |most| seconds.min(most))
    }
}

#[cfg(test)]
mod tests;
