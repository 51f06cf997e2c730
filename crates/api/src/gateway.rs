//! What an instance and its home gateway say to each other beside MCP.

use chancery_audit::Disclosure;
use chancery_delegation::ConsentArtefact;
use chancery_types::id::SessionId;
use chancery_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// The `typ` of the proof that opens or joins a session.
pub const SESSION_PROOF_TYP: &str = "agent-session-pop+jwt";

/// A nonce for one proof; good once and for a minute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// The nonce.
    pub nonce: String,
}

/// What an instance presents to open or join a session: everything that binds code, authority and
/// key, each part signed by its own issuer, and the holder's signature over a fresh nonce.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presentation {
    /// The delegation chain, root first.
    pub chain: Vec<String>,
    /// The person's consent to the root.
    pub consent: ConsentArtefact,
    /// The mission document's exact bytes, base64url.
    pub mission: String,
    /// The signed manifest of the instance's agent: the COSE envelope, base64url.
    pub manifest: String,
    /// The credential of the agent key.
    pub wit: String,
    /// What opens the principal's commitment.
    pub principal: Disclosure,
    /// A compact JWS by the agent key with header `alg`, `typ` ([`SESSION_PROOF_TYP`]) and the
    /// claims of [`SessionProof`].
    pub proof: String,
}

/// The claims of the proof that opens or joins a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionProof {
    /// The home gateway's SPIFFE ID.
    pub aud: String,
    /// The nonce of the challenge.
    pub nonce: String,
    /// `cth` of the chain, base64url.
    pub cth: String,
    /// When it was made, in seconds.
    pub iat: u64,
}

/// A session as one of its instances sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionView {
    /// The session.
    pub session: SessionId,
    /// The digest of the policy bundle in force.
    pub policy: Digest,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// The tool servers, sorted.
    pub servers: Vec<String>,
    /// Whether it has ended.
    pub ended: bool,
}

/// A session that has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedSession {
    /// The session.
    pub session: SessionId,
    /// The index of its end entry in the gateway's log.
    pub log_index: u64,
    /// The digest of its Trust Record, once the server has enrolled it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub record: Option<Digest>,
}
