use chancery_identity::SpiffeId;
use chancery_types::jws::Compact;
use chancery_types::{CanonicalError, Digest, Jwk, Timestamp};
use serde::de::Error as _;
use serde_json::Error as JsonError;

use super::Standing;
use super::narrowing::check_time;
use crate::revocation::{Named, RevocationSet};
use crate::standing::RootTerms;
use crate::token::{Entry, Grant, Principal};
use crate::{Reason, Refusal};

/// A chain that was verified from a known authority down to its holder. Only
/// [`super::verify_chain`] makes one. It holds for the moment of verification: whoever keeps it
/// asks [`VerifiedChain::recheck`] before each use.
#[derive(Debug, Clone)]
pub struct VerifiedChain {
    pub(super) root: Root,
    pub(super) first: VerifiedLink,
    pub(super) rest: Vec<VerifiedLink>,
    pub(super) audience: Vec<String>,
    pub(super) digest: Digest,
}

/// What only the root says.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) sid: String,
    pub(super) epoch: u64,
    pub(super) principal: Principal,
    pub(super) mission: Digest,
}

/// A root or link of a verified chain.
#[derive(Debug, Clone)]
pub struct VerifiedLink {
    pub(super) grant: Grant,
    pub(super) token: String,
    pub(super) hash: Digest,
    pub(super) subsumed_by: Vec<usize>,
}

impl VerifiedChain {
    /// `sid` of the root.
    pub fn sid(&self) -> &str {
        &self.root.sid
    }

    /// `ep` of the root.
    pub const fn epoch(&self) -> u64 {
        self.root.epoch
    }

    /// The person at the root.
    pub const fn principal(&self) -> &Principal {
        &self.root.principal
    }

    /// The digest of the mission document.
    pub const fn mission(&self) -> Digest {
        self.root.mission
    }

    /// What a standing consent judges of the root.
    pub const fn root_terms(&self) -> RootTerms<'_> {
        RootTerms {
            grant: &self.first.grant,
            epoch: self.root.epoch,
            principal: &self.root.principal,
            mission: self.root.mission,
        }
    }

    /// `iss` of the root: the authority's URL.
    pub fn authority(&self) -> &str {
        &self.first.grant.issuer
    }

    /// The root.
    pub const fn root(&self) -> &VerifiedLink {
        &self.first
    }

    /// The last link, which is the root where nothing was delegated further.
    pub fn leaf(&self) -> &VerifiedLink {
        self.rest.last().unwrap_or(&self.first)
    }

    /// The subject of the leaf: the one who may present this chain.
    pub fn leaf_subject(&self) -> &SpiffeId {
        &self.leaf().grant.subject
    }

    /// The key of the leaf: the one that signs proofs and children.
    pub fn leaf_key(&self) -> &Jwk {
        &self.leaf().grant.key
    }

    /// Root and links, root first.
    pub fn links(&self) -> impl DoubleEndedIterator<Item = &VerifiedLink> + ExactSizeIterator {
        let all: Vec<_> = std::iter::once(&self.first).chain(&self.rest).collect();
        all.into_iter()
    }

    /// `cth`: the digest of the links joined by commas.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Who may accept the leaf.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// When the first link ends; from this moment on the chain is over.
    pub fn expires_at(&self) -> Timestamp {
        // A child never outlives its parent.
        self.leaf().grant.expires_at
    }

    /// The challenge that the person's consent answers: see [`crate::consent_challenge`].
    pub fn consent_challenge(&self) -> Result<Digest, CanonicalError> {
        // Read again: few chains come with a consent to verify, and all of them would pay for a copy.
        let root = Compact::parse(&self.first.token);
        let root = root.map_err(|error| CanonicalError::NotJson(JsonError::custom(error)))?;
        crate::consent_challenge(&root.claims)
    }

    /// Whether the chain still stands: in force, of the current epoch, no link revoked.
    pub fn recheck(&self, standing: &Standing<'_>) -> Result<(), Refusal> {
        for (at, link) in self.links().enumerate() {
            check_time(&link.grant, standing.now).map_err(|reason| Refusal::at(at, reason))?;
            check_link_revoked(at, &link.grant, standing.revoked)?;
        }
        check_root_revoked(&self.root, standing.revoked)?;
        if self.root.epoch != standing.epoch {
            return Err(Refusal::at(0, Reason::StaleEpoch));
        }
        Ok(())
    }
}

/// Refuses a root or link that is revoked by its `jti`, its holder or its holder's key.
pub(super) fn check_link_revoked(
    at: usize,
    grant: &Grant,
    revoked: &RevocationSet,
) -> Result<(), Refusal> {
    let named = Named::Link {
        jti: &grant.jti,
        subject: &grant.subject,
        key: &grant.key,
    };
    match revoked.find(named) {
        Some(kind) => Err(Refusal::revoked(at, kind)),
        None => Ok(()),
    }
}

/// Refuses a root whose session, mission, person or standing consent is revoked.
pub(super) fn check_root_revoked(root: &Root, revoked: &RevocationSet) -> Result<(), Refusal> {
    let named = Named::Root {
        sid: &root.sid,
        mission: &root.mission,
        person: &root.principal.subject,
        consent: root.principal.standing.map(|used| used.consent),
    };
    match revoked.find(named) {
        Some(kind) => Err(Refusal::revoked(0, kind)),
        None => Ok(()),
    }
}

impl VerifiedLink {
    /// The claims that roots and links have in common.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// `jti`.
    pub fn jti(&self) -> &str {
        &self.grant.jti
    }

    /// `sub`.
    pub const fn subject(&self) -> &SpiffeId {
        &self.grant.subject
    }

    /// `cnf.jwk`.
    pub const fn key(&self) -> &Jwk {
        &self.grant.key
    }

    /// `del_depth`.
    pub const fn depth(&self) -> u64 {
        self.grant.depth
    }

    /// `exp`.
    pub const fn expires_at(&self) -> Timestamp {
        self.grant.expires_at
    }

    /// What it grants.
    pub fn entries(&self) -> &[Entry] {
        &self.grant.entries
    }

    /// The compact JWS as it was presented.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The digest of the compact JWS: how the log and the evidence name it.
    pub fn token_digest(&self) -> Digest {
        Digest::of(&self.token)
    }

    /// The digest of the signing input: `par_hash` of a child.
    pub const fn hash(&self) -> Digest {
        self.hash
    }
}
