use std::fmt;

use chancery_types::{Digest, Timestamp};

use super::StandingStatement;
use crate::token::{Grant, Principal};

/// The terms of a root as a standing consent judges them, signed already or not yet.
#[derive(Debug, Clone, Copy)]
pub struct RootTerms<'a> {
    /// What a link has too.
    pub grant: &'a Grant,
    /// The authority's epoch.
    pub epoch: u64,
    /// The person at the root, and which use of which consent it is.
    pub principal: &'a Principal,
    /// The digest of the mission.
    pub mission: Digest,
}

/// Why a standing consent does not cover a root: one code each. Exhaustive on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StandingReason {
    /// The root names another standing consent.
    Other,
    /// The root is another person's or authority's, or the person was authenticated at another time.
    Person,
    /// For another mission.
    Mission,
    /// Held by an instance of another agent.
    Agent,
    /// For another gateway.
    Gateway,
    /// It grants something else.
    Scope,
    /// It lives longer.
    Lifetime,
    /// It may be delegated deeper.
    Depth,
    /// Of another epoch.
    Epoch,
    /// Its number is beyond the last one.
    UsedUp,
    /// It outlives the consent.
    Expired,
}

impl StandingReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Other,
        Self::Person,
        Self::Mission,
        Self::Agent,
        Self::Gateway,
        Self::Scope,
        Self::Lifetime,
        Self::Depth,
        Self::Epoch,
        Self::UsedUp,
        Self::Expired,
    ];

    /// The code in answers and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Other => "consent_other",
            Self::Person => "consent_person",
            Self::Mission => "consent_mission",
            Self::Agent => "consent_agent",
            Self::Gateway => "consent_gateway",
            Self::Scope => "consent_scope",
            Self::Lifetime => "consent_lifetime",
            Self::Depth => "consent_depth",
            Self::Epoch => "consent_epoch",
            Self::UsedUp => "consent_used_up",
            Self::Expired => "consent_expired",
        }
    }

    /// The code in words.
    pub const fn said(self) -> &'static str {
        match self {
            Self::Other => "the root names another standing consent",
            Self::Person => {
                "the standing consent is another person's, or of another authority or time"
            }
            Self::Mission => "the standing consent is for another mission",
            Self::Agent => "the standing consent is for another agent",
            Self::Gateway => "the standing consent is for another gateway",
            Self::Scope => "the root grants something else than the standing consent",
            Self::Lifetime => "the root lives longer than the standing consent lets one",
            Self::Depth => "the root may be delegated deeper than the standing consent lets it",
            Self::Epoch => "the standing consent is of another epoch; the person signs a new one",
            Self::UsedUp => "the standing consent is used up; the person signs a new one",
            Self::Expired => "the root outlives the standing consent, or that is over",
        }
    }
}

impl fmt::Display for StandingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.said())
    }
}

impl std::error::Error for StandingReason {}

impl StandingStatement {
    /// Whether the consent covers a root of these terms. How often it was used is the signer's to
    /// count and the log's to show; whether it was revoked, every chain check asks.
    pub fn covers(&self, root: &RootTerms<'_>) -> Result<(), StandingReason> {
        let RootTerms {
            grant,
            epoch,
            principal,
            mission,
        } = *root;
        let require = |holds: bool, reason| if holds { Ok(()) } else { Err(reason) };
        let used = principal.standing.filter(|used| used.consent == self.id);
        let number = used.ok_or(StandingReason::Other)?.number;
        require(
            principal.subject == self.person.to_string()
                && principal.issuer == self.issuer
                && grant.issuer == self.issuer
                && same_second(principal.authenticated_at, self.signed_at),
            StandingReason::Person,
        )?;
        require(mission == self.mission, StandingReason::Mission)?;
        let holder = grant.subject.as_str().split_once("/instance/");
        require(
            holder.is_some_and(|(agent, _)| agent == self.agent.as_str()),
            StandingReason::Agent,
        )?;
        let audience = grant.audience.as_deref().unwrap_or_default();
        require(
            matches!(audience, [only] if *only == self.gateway),
            StandingReason::Gateway,
        )?;
        // Exactly the same entries: one that stood twice would have its limits twice.
        let stated = self.read_entries().map_err(|_| StandingReason::Scope)?;
        require(grant.entries == stated, StandingReason::Scope)?;
        let from = grant.not_before.min(grant.issued_at);
        let lives = grant.expires_at.micros_since(from);
        require(
            lives <= self.max_seconds.saturating_mul(1_000_000),
            StandingReason::Lifetime,
        )?;
        require(grant.max_depth <= self.max_depth, StandingReason::Depth)?;
        require(epoch == self.epoch, StandingReason::Epoch)?;
        require(number <= self.max_uses, StandingReason::UsedUp)?;
        require(grant.expires_at <= self.expires_at, StandingReason::Expired)
    }
}

const fn same_second(one: Timestamp, other: Timestamp) -> bool {
    one.as_seconds() == other.as_seconds()
}
