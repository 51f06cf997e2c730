use std::sync::Arc;

use chancery_api::snapshot::VerifiedSnapshot;
use chancery_crypto::AwsLc;
use chancery_delegation::access_token::access_token_prefix;
use chancery_delegation::{ChainContext, IssuerKey, ManifestContext, Standing, TrustAnchor};
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{TrustDomain, WitBundle};
use chancery_policy::SignedBundle;
use chancery_session::Rulebook;
use chancery_types::{Digest, Timestamp};

/// How old a snapshot may be for new sessions, new grants and irreversible calls.
const FRESH_SECONDS: u64 = 10;

/// How far ahead of our clock a snapshot may be dated.
pub(crate) const MAX_AHEAD_SECONDS: u64 = 5;

/// Everything that is in force at one moment: taken together, replaced together. Whoever decides
/// holds one of these for the whole decision.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) trust: Arc<VerifiedTrust>,
    pub(crate) snapshot: VerifiedSnapshot,
    pub(crate) policy: Policy,
    anchors: Vec<TrustAnchor>,
    issuers: Vec<IssuerKey>,
    tokens: WitBundle,
    /// What access tokens of the trust domain's authorities begin with.
    access: Vec<String>,
}

/// A loaded policy bundle, who signed it, and the object that holds both.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) signed: Arc<SignedBundle>,
    pub(crate) bundle: Arc<Rulebook>,
    pub(crate) object: Digest,
}

impl Policy {
    pub(crate) fn version(&self) -> u64 {
        self.bundle.index().version()
    }
}

/// What the age of the snapshot still lets happen (decision 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Everything.
    Fresh,
    /// Calls of running sessions that can be taken back.
    Stale,
    /// Nothing.
    Expired,
}

impl Freshness {
    pub(crate) const STALE: &'static str = "snapshot_stale";
    pub(crate) const EXPIRED: &'static str = "snapshot_expired";
}

impl InForce {
    pub(crate) fn new(
        trust: Arc<VerifiedTrust>,
        snapshot: VerifiedSnapshot,
        policy: Policy,
        trust_domain: &TrustDomain,
    ) -> Self {
        let anchors = trust.delegation_authorities.iter();
        let issuers = trust.manifest_issuers.iter();
        let keys = trust.token_authorities.iter().copied();
        let access = trust.access_token_authorities.iter();
        Self {
            access: access
                .map(|known| access_token_prefix(&known.key))
                .collect(),
            anchors: anchors.map(TrustAnchor::from).collect(),
            issuers: issuers.map(IssuerKey::from).collect(),
            tokens: WitBundle::new(trust_domain.clone(), keys),
            trust,
            snapshot,
            policy,
        }
    }

    pub(crate) fn freshness(&self, now: Timestamp, grace_seconds: u64) -> Freshness {
        let issued = self.snapshot.issued_at;
        if now <= issued.plus_seconds(FRESH_SECONDS) {
            Freshness::Fresh
        } else if now <= issued.plus_seconds(grace_seconds) {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    pub(crate) const fn tokens(&self) -> &WitBundle {
        &self.tokens
    }

    /// Whether a text holds an access token of the trust domain's own authorities, as it is written.
    pub(crate) fn holds_access_token(&self, text: &str) -> bool {
        self.access
            .iter()
            .any(|prefix| text.contains(prefix.as_str()))
    }

    /// What holds apart from the date: whoever decided by the one need not ask the other.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        !self.continues(other) || self.policy.bundle.digest() != other.policy.bundle.digest()
    }

    /// Calls `with` with what a chain is verified against.
    pub(crate) fn chains<T>(
        &self,
        audience: &str,
        now: Timestamp,
        with: impl FnOnce(&ChainContext<'_>) -> T,
    ) -> T {
        with(&ChainContext {
            now,
            audience,
            anchors: &self.anchors,
            epoch: self.snapshot.epoch,
            revoked: &self.snapshot.revoked,
            verifier: &AwsLc,
        })
    }

    /// Calls `with` with what may have changed since a chain was verified.
    pub(crate) fn standing<T>(&self, now: Timestamp, with: impl FnOnce(Standing<'_>) -> T) -> T {
        with(Standing {
            now,
            epoch: self.snapshot.epoch,
            revoked: &self.snapshot.revoked,
        })
    }

    /// Calls `with` with what a manifest is verified against.
    pub(crate) fn manifests<T>(
        &self,
        now: Timestamp,
        with: impl FnOnce(&ManifestContext<'_>) -> T,
    ) -> T {
        with(&ManifestContext {
            now,
            issuers: &self.issuers,
            revoked: &|name| self.snapshot.revoked.has_agent(name),
            verifier: &AwsLc,
        })
    }

    /// Whether a chain that was verified under `before` need not be verified again.
    pub(crate) fn continues(&self, before: &Self) -> bool {
        self.trust.digest() == before.trust.digest()
            && self.snapshot.epoch == before.snapshot.epoch
            && self.snapshot.revoked == before.snapshot.revoked
    }
}
