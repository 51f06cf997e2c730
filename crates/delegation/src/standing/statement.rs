use chancery_identity::AgentId;
use chancery_types::id::{ConsentId, PersonId};
use chancery_types::limits::MAX_ROOT_SECONDS;
use chancery_types::{CanonicalError, Digest, Timestamp, to_canonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Reason;
use crate::token::Entry;

const STANDING_TAG: &[u8] = b"chancery/standing/v1\0";

/// Most roots that may rest on one standing consent.
pub const MAX_STANDING_USES: u64 = 10_000;

/// Most entries of a standing consent.
const MAX_ENTRIES: usize = 64;

/// What a person signs once for many roots. A canonical document of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingStatement {
    /// The form.
    pub standing: StandingForm,
    /// Drawn at random by the person's client.
    pub id: ConsentId,
    /// The authority that may make the roots: their `iss` and `prn.iss`.
    pub issuer: String,
    /// The person.
    pub person: PersonId,
    /// When the person signed: `prn.auth_time` of the roots.
    pub signed_at: Timestamp,
    /// The epoch of the roots: raising it ends the consent.
    pub epoch: u64,
    /// The digest of the mission's exact bytes.
    pub mission: Digest,
    /// The agent whose instances may hold the roots.
    pub agent: AgentId,
    /// The SPIFFE ID of the home gateway: the one `aud` of the roots.
    pub gateway: String,
    /// What each root grants: its `authorization_details`.
    pub entries: Vec<Value>,
    /// How many roots, at most.
    pub max_uses: u64,
    /// How long one root may live, in seconds.
    pub max_seconds: u64,
    /// How deep one root may be delegated further.
    pub max_depth: u64,
    /// No root outlives this.
    pub expires_at: Timestamp,
}

/// The one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StandingForm {
    /// Version 1.
    #[serde(rename = "chancery/standing/v1")]
    V1,
}

/// Why a statement is none that a root may rest on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StandingError {
    /// An entry is none.
    #[error("entry {place} of the standing consent is none: {reason}")]
    Entry {
        /// Which.
        place: usize,
        /// Why.
        reason: Reason,
    },
    /// No use, too many uses, no time, too much, no entry, or too many.
    #[error(
        "a standing consent has 1 to {MAX_STANDING_USES} uses of 1 to {MAX_ROOT_SECONDS} seconds each, \
         and 1 to {MAX_ENTRIES} entries"
    )]
    Amounts,
    /// It ends before it was signed.
    #[error("a standing consent ends after it was signed")]
    Ended,
}

impl StandingStatement {
    /// What does not follow from its form.
    pub fn check(&self) -> Result<(), StandingError> {
        let amounts = (1..=MAX_STANDING_USES).contains(&self.max_uses)
            && (1..=MAX_ROOT_SECONDS).contains(&self.max_seconds)
            && (1..=MAX_ENTRIES).contains(&self.entries.len());
        if !amounts {
            return Err(StandingError::Amounts);
        }
        if self.expires_at <= self.signed_at {
            return Err(StandingError::Ended);
        }
        self.read_entries().map(drop)
    }

    /// The entries, read.
    pub fn read_entries(&self) -> Result<Vec<Entry>, StandingError> {
        let entries = self.entries.iter().enumerate();
        entries
            .map(|(place, entry)| {
                Entry::parse(entry).map_err(|reason| StandingError::Entry { place, reason })
            })
            .collect()
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical(self)
    }

    /// The challenge of the person's assertion: SHA-256 over a tag of its own, a zero byte and the
    /// canonical bytes.
    pub fn challenge(&self) -> Result<Digest, CanonicalError> {
        let canonical = self.to_bytes()?;
        Ok(Digest::of_parts([STANDING_TAG, &canonical]))
    }
}
