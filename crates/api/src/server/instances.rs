use chancery_attestation::Evidence;
use chancery_identity::{JwtAudience, SpiffeId};
use chancery_types::id::InstanceId;
use chancery_types::{Jwk, Timestamp};
use serde::{Deserialize, Serialize};

use super::LaunchTerms;
use crate::Problem;

/// The node asks for an instance of an agent, with what it attested.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenInstance {
    /// The agent.
    pub agent_id: String,
    /// What the node attested of the process.
    pub evidence: Evidence,
    /// The instance that started the process, as the node attested it; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<InstanceId>,
    /// What the instance is for, and until when.
    #[serde(skip_serializing_if = "LaunchTerms::is_empty", default)]
    pub terms: LaunchTerms,
}

/// An instance that the server opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchedInstance {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// When it is to end in any case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
}

/// Asks for the instance's X.509-SVID.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueX509 {
    /// The instance.
    pub instance_id: InstanceId,
    /// The P-256 key to certify: SubjectPublicKeyInfo in base64url DER.
    pub spki: String,
    /// The broker that obtains it for the instance; absent where the instance does itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub broker: Option<SpiffeId>,
}

/// Asks for the X.509-SVID of one of Chancery's own services.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueService {
    /// `gateway`, `node` or `server`.
    pub service: String,
    /// The P-256 key to certify: SubjectPublicKeyInfo in base64url DER.
    pub spki: String,
}

/// An X.509-SVID and what verifies its peers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedX509 {
    /// The SPIFFE ID.
    pub spiffe_id: String,
    /// Certificates in base64url DER, leaf first.
    pub chain: Vec<String>,
    /// The trust domain's X.509 authorities in base64url DER.
    pub bundle: Vec<String>,
    /// When it ends to be valid.
    pub not_after: Timestamp,
}

/// Most instances whose X.509-SVIDs are asked for together.
pub const MAX_TOGETHER: usize = 128;

/// Asks for the X.509-SVIDs of several instances, each of which is issued or refused by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueX509s {
    /// At least one, and [`MAX_TOGETHER`] at most.
    pub requests: Vec<IssueX509>,
}

/// What became of each request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedX509s {
    /// One for each request, in their order.
    pub leaves: Vec<Leaf>,
    /// What stands above each leaf, root not among them: base64url DER.
    pub intermediates: Vec<String>,
}

/// A leaf, or why there is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Leaf {
    /// The certificate in base64url DER.
    Issued(String),
    /// Why there is none.
    Refused(Problem),
}

impl From<Result<String, Problem>> for Leaf {
    fn from(outcome: Result<String, Problem>) -> Self {
        match outcome {
            Ok(leaf) => Self::Issued(leaf),
            Err(problem) => Self::Refused(problem),
        }
    }
}

impl Leaf {
    /// The certificate, or why there is none.
    pub fn into_result(self) -> Result<String, Problem> {
        match self {
            Self::Issued(leaf) => Ok(leaf),
            Self::Refused(problem) => Err(problem),
        }
    }
}

/// Asks for the credential of the instance's agent key. The node has verified possession.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueWit {
    /// The instance.
    pub instance_id: InstanceId,
    /// The agent key.
    pub key: Jwk,
}

/// Asks for a JWT-SVID of the instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueJwt {
    /// The instance.
    pub instance_id: InstanceId,
    /// Whom the token is for.
    pub audience: Vec<JwtAudience>,
    /// The broker that obtains it for the instance; absent where the instance does itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub broker: Option<SpiffeId>,
}

/// Asks for a WIT-SVID of the instance, bound to a key that the node made for the workload.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueWitSvid {
    /// The instance.
    pub instance_id: InstanceId,
    /// The P-256 key that the workload is handed.
    pub key: Jwk,
}

/// Says that an instance's process has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndInstance {
    /// Why.
    pub reason: String,
}

/// An instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// Its agent.
    pub agent_id: String,
    /// Where it stands.
    pub state: InstanceState,
    /// Whether its agent key has a credential, so that it can be delegated to.
    pub has_agent_key: bool,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// How it is kept apart: `namespaces` or `unisolated`.
    pub isolation: String,
}

/// What was attested of an instance's process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceEvidence {
    /// As its node attested it; the digest of its canonical form is enrolled with every credential.
    pub evidence: Evidence,
}

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Its process runs.
    Running,
    /// Its process has ended.
    Ended,
}

impl InstanceState {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

/// All instances, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instances {
    /// Newest first.
    pub instances: Vec<Instance>,
}
