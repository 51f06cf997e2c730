use chancery_types::Digest;
use chancery_types::id::SessionId;
use serde::{Deserialize, Serialize};

/// The state of the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerStatus {
    /// The trust domain.
    pub trust_domain: String,
    /// The version of the trust document in force.
    pub trust_version: u64,
    /// The digest of the policy bundle in force.
    pub policy_digest: Digest,
    /// The authority epoch.
    pub epoch: u64,
    /// The log's origin.
    pub log_origin: String,
    /// How many entries are durable.
    pub log_size: u64,
    /// How many agents are registered.
    pub agents: u64,
    /// How many instances run.
    pub running_instances: u64,
}

/// A trust document's canonical text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustText {
    /// The signed document.
    pub document: String,
}

/// The gateway hands in a checkpoint of its log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolCheckpoint {
    /// The size of the checkpoint of this log that was enrolled last; 0 for none.
    pub old_size: u64,
    /// The consistency proof from `old_size`: base64url hashes.
    pub consistency: Vec<String>,
    /// The signed note.
    pub note: String,
}

/// The gateway hands in a Trust Record.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRecord {
    /// The session.
    pub session_id: SessionId,
    /// The record: canonical JSON.
    pub record: String,
}

/// Something is in the server's log, durably.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolled {
    /// The index of the entry.
    pub log_index: u64,
}
