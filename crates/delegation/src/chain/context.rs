use std::fmt;

use chancery_types::{Jwk, SignatureVerifier, Timestamp};

use crate::RevocationSet;

/// An authority whose roots are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchor {
    /// The `iss` of its roots.
    pub issuer: String,
    /// Its key.
    pub key: Jwk,
}

/// What a verifier knows and a chain cannot say.
#[derive(Clone, Copy)]
pub struct ChainContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// Who verifies; a chain names it in its effective `aud`.
    pub audience: &'a str,
    /// The authorities that are believed.
    pub anchors: &'a [TrustAnchor],
    /// The authorities' epoch; a root of any other is refused.
    pub epoch: u64,
    /// What is revoked.
    pub revoked: &'a RevocationSet,
    /// The arithmetic.
    pub verifier: &'a dyn SignatureVerifier,
}

/// What may change while a chain is remembered as verified.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    /// The time.
    pub now: Timestamp,
    /// The authorities' epoch.
    pub epoch: u64,
    /// What is revoked.
    pub revoked: &'a RevocationSet,
}

impl<'a> ChainContext<'a> {
    /// The part of this that may change.
    pub const fn standing(&self) -> Standing<'a> {
        Standing {
            now: self.now,
            epoch: self.epoch,
            revoked: self.revoked,
        }
    }
}

impl fmt::Debug for ChainContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainContext")
            .field("now", &self.now)
            .field("audience", &self.audience)
            .field("anchors", &self.anchors)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Standing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing")
            .field("now", &self.now)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
