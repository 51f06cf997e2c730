use chancery_delegation::{SignedStanding, StandingStatement};
use chancery_types::id::InstanceId;
use chancery_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// Hands in a standing consent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitConsent {
    /// The statement and the person's assertion over it.
    pub signed: SignedStanding,
    /// The mission document's exact bytes, base64url.
    pub mission: String,
}

/// Asks for a root that rests on a standing consent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UseConsent {
    /// The instance that will hold the root.
    pub instance_id: InstanceId,
}

/// Whether a standing consent can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// It can.
    Stands,
    /// As often as the person let it.
    UsedUp,
    /// Its date is over.
    Expired,
    /// It, its person, its mission or its agent is revoked.
    Revoked,
    /// Another epoch has begun.
    StaleEpoch,
    /// The trust document does not name the person's credential any more.
    Departed,
}

impl ConsentState {
    /// The state in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stands => "stands",
            Self::UsedUp => "used up",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::StaleEpoch => "of an earlier epoch",
            Self::Departed => "its person has gone",
        }
    }
}

/// A standing consent and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingConsent {
    /// What the person signed.
    pub statement: StandingStatement,
    /// The digest of its signed form: `prn.apr` of the roots that rest on it.
    pub consent: Digest,
    /// Whether it can be used.
    pub state: ConsentState,
    /// How often it was used, by the signer's count.
    pub uses: u64,
    /// The roots that rest on it, by number; a number whose root never left is missing. Only where
    /// one consent was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub roots: Vec<ConsentUse>,
    /// The index of the entry that enrolled it in the server's log.
    pub log_index: u64,
}

/// One use of a standing consent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentUse {
    /// Which.
    pub number: u64,
    /// The `jti` of the root.
    pub jti: String,
    /// The SPIFFE ID of its holder.
    pub instance: String,
    /// The session.
    pub session: String,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The index of the entry that enrolled it in the server's log.
    pub log_index: u64,
}

/// Standing consents, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingConsents {
    /// Oldest first.
    pub consents: Vec<StandingConsent>,
}
