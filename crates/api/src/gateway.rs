//! What an instance and its home gateway say to each other beside MCP.

use chancery_audit::{BrakeMode, BrakeOn, CallKind, Counts, Disclosure, Label};
use chancery_delegation::ConsentArtefact;
use chancery_types::id::SessionId;
use chancery_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{ClientError, UnixClient};

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

/// What an operator stops or lets go on again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrakeOrder {
    /// What it is on.
    pub on: BrakeOn,
    /// Which one; `everywhere` where it is on every call.
    pub name: Label,
}

/// A brake to be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetBrake {
    /// What it is on.
    pub on: BrakeOn,
    /// Which one.
    pub name: Label,
    /// Until it is released, or for ever.
    pub mode: BrakeMode,
}

/// A change of a brake that is in the gateway's log: no call that stands after it goes by what was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrakeChanged {
    /// The index of its entry.
    pub log_index: u64,
    /// When.
    pub at: Timestamp,
}

/// That a session is observed, or enforced again, is in the gateway's log: calls that stand after it go by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserveChanged {
    /// The index of its entry.
    pub log_index: u64,
    /// When.
    pub at: Timestamp,
}

/// One brake in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brake {
    /// What it is on.
    pub on: BrakeOn,
    /// Which one.
    pub name: Label,
    /// Until it is released, or for ever.
    pub mode: BrakeMode,
}

/// The brakes in force, and the stores that hold content of untrusted sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brakes {
    /// The brakes, sorted.
    pub brakes: Vec<Brake>,
    /// The stores, sorted.
    pub tainted_stores: Vec<Label>,
}

/// What one instance may do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PermissionView {
    /// The SPIFFE ID of the instance.
    pub instance: Label,
    /// The server.
    pub server: Label,
    /// What kind of thing is called.
    pub kind: CallKind,
    /// The tool, the prompt or the URI.
    pub name: Label,
    /// The digest of the resource.
    pub resource: Digest,
    /// The execution that was allowed, or the approval.
    pub basis: String,
    /// Whether it is for one action once; otherwise for the tool and the resource until it lapses.
    pub once: bool,
    /// When it lapses.
    pub expires_at: Timestamp,
}

/// One instance in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatView {
    /// Its SPIFFE ID.
    pub instance: Label,
    /// What its conduct in this session has earned.
    pub trust: u64,
}

/// A session as its operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorSession {
    /// The session.
    pub session: SessionId,
    /// The agent that opened it.
    pub agent: Label,
    /// The digest of the mission.
    pub mission: Digest,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Who is in it.
    pub instances: Vec<SeatView>,
    /// What was decided.
    pub counts: Counts,
    /// Rows that the allowed calls asked for.
    pub rows: u64,
    /// Distinct resources that they reached.
    pub resources: u64,
    /// The untrusted sources whose content reached it.
    pub taint: Vec<Label>,
    /// The brakes that stop all of it.
    pub stopped_by: Vec<Label>,
    /// What of policy is not enforced in it now, for people; absent where all of policy is enforced.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub observed: Option<String>,
    /// Questions that wait for a person.
    pub questions: u64,
    /// What is permitted now. Nothing when it opens.
    pub permissions: Vec<PermissionView>,
}

/// The open sessions of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorSessions {
    /// The sessions, by id.
    pub sessions: Vec<OperatorSession>,
}

/// Speaks to the operator's socket of a gateway, which needs no server.
#[derive(Debug, Clone)]
pub struct GatewayClient(UnixClient);

impl GatewayClient {
    /// A client of that socket.
    pub fn new(socket: impl Into<std::path::PathBuf>) -> Self {
        Self(UnixClient::new(socket))
    }

    /// The open sessions.
    pub async fn sessions(&self) -> Result<OperatorSessions, ClientError> {
        self.0.get("/v1/sessions").await
    }

    /// One open session.
    pub async fn session(&self, session: SessionId) -> Result<OperatorSession, ClientError> {
        self.0.get(&format!("/v1/sessions/{session}")).await
    }

    /// Has policy not enforced in one open session, where the bundle lets sessions be observed.
    pub async fn observe(&self, session: SessionId) -> Result<ObserveChanged, ClientError> {
        let path = format!("/v1/sessions/{session}/observe");
        self.0.post(&path, &serde_json::json!({})).await
    }

    /// Has policy enforced in it again; in force for every call that is decided after the answer.
    pub async fn enforce(&self, session: SessionId) -> Result<ObserveChanged, ClientError> {
        let path = format!("/v1/sessions/{session}/enforce");
        self.0.post(&path, &serde_json::json!({})).await
    }

    /// The brakes in force.
    pub async fn brakes(&self) -> Result<Brakes, ClientError> {
        self.0.get("/v1/brakes").await
    }

    /// Sets a brake; in force for every call that is decided after the answer.
    pub async fn set_brake(&self, brake: &SetBrake) -> Result<BrakeChanged, ClientError> {
        self.0.post("/v1/brakes", brake).await
    }

    /// Releases a pause.
    pub async fn release_brake(&self, order: &BrakeOrder) -> Result<BrakeChanged, ClientError> {
        self.0.post("/v1/brakes/release", order).await
    }
}
