use std::fmt;

/// Which of the operator's rules a chain breaks: one code each. Exhaustive on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleReason {
    /// A root or link that lives too long.
    Lifetime,
    /// A link too deep.
    Depth,
    /// A holder who is blocked, or not among those who are allowed.
    Agent,
    /// A holder of such a trust domain.
    TrustDomain,
    /// A holder's key that is blocked, or not among those that are allowed.
    Key,
    /// Too little vouches for the instance.
    Attestation,
}

impl RuleReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Lifetime,
        Self::Depth,
        Self::Agent,
        Self::TrustDomain,
        Self::Key,
        Self::Attestation,
    ];

    /// The code in the log and in answers.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lifetime => "rules_lifetime",
            Self::Depth => "rules_depth",
            Self::Agent => "rules_agent",
            Self::TrustDomain => "rules_trust_domain",
            Self::Key => "rules_key",
            Self::Attestation => "rules_attestation",
        }
    }

    /// What to say to people.
    pub const fn said(self) -> &'static str {
        match self {
            Self::Lifetime => "a root or link lives longer than the operator's rules allow",
            Self::Depth => "the chain is or may become deeper than the operator's rules allow",
            Self::Agent => "the operator's rules do not allow a holder's agent",
            Self::TrustDomain => "the operator's rules do not allow a holder's trust domain",
            Self::Key => "the operator's rules do not allow a holder's key",
            Self::Attestation => "too little vouches for the instance by the operator's rules",
        }
    }
}

impl fmt::Display for RuleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A broken rule and the link that breaks it, the root being 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleBreach {
    /// Which rule.
    pub reason: RuleReason,
    /// Which link.
    pub link: usize,
}

impl RuleBreach {
    pub(super) const fn at(link: usize, reason: RuleReason) -> Self {
        Self { reason, link }
    }
}

impl fmt::Display for RuleBreach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}: {}", self.link, self.reason)
    }
}

impl std::error::Error for RuleBreach {}
