use chancery_identity::SpiffeId;
use chancery_types::{Jwk, SignatureVerifier, Timestamp};

use crate::Reason;
use crate::token::{Entry, Grant};

/// What the maker of a root or link chooses.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The holder.
    pub subject: SpiffeId,
    /// The holder's key, whose possession the holder has proven to the maker.
    pub key: Jwk,
    /// Who may accept it. A root names somebody; a link that names nobody inherits.
    pub audience: Option<Vec<String>>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when it holds.
    pub not_before: Timestamp,
    /// When it is over.
    pub expires_at: Timestamp,
    /// Its identifier, drawn at random.
    pub jti: String,
    /// How deep it may be delegated, counted from the root.
    pub max_depth: u64,
    /// What the holder may do.
    pub entries: Vec<Entry>,
    /// What nobody below may do.
    pub forbid: Vec<Entry>,
    /// What nobody below may do without an approval.
    pub ask: Vec<Entry>,
}

impl Terms {
    pub(super) fn to_grant(&self, issuer: &str, depth: u64) -> Grant {
        Grant {
            issuer: issuer.to_owned(),
            subject: self.subject.clone(),
            audience: self.audience.clone(),
            issued_at: self.issued_at,
            not_before: self.not_before,
            expires_at: self.expires_at,
            jti: self.jti.clone(),
            depth,
            max_depth: self.max_depth,
            key: self.key,
            entries: self.entries.clone(),
            forbid: self.forbid.clone(),
            ask: self.ask.clone(),
        }
    }

    /// What can be said of the terms without a parent.
    pub(super) fn check(&self, verifier: &dyn SignatureVerifier) -> Result<(), Reason> {
        if !verifier.is_valid_key(&self.key) {
            Err(Reason::BadKey)
        } else if self.not_before.as_seconds() >= self.expires_at.as_seconds() {
            Err(Reason::Expired)
        } else if self.audience.as_ref().is_some_and(Vec::is_empty) {
            Err(Reason::WrongAudience)
        } else {
            Ok(())
        }
    }
}
