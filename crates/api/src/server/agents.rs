use chancery_identity::{AgentId, TrustDomain};
use chancery_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// Registers an agent by its signed manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterAgent {
    /// The COSE envelope, base64url.
    pub manifest: String,
    /// The foreign trust domains whose bundles its instances are handed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub federates_with: Vec<TrustDomain>,
    /// What its instances may start; nothing where it is absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub may_spawn: Option<MaySpawn>,
}

/// What an instance of an agent may start: the operator's word, not the agent's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaySpawn {
    /// Instances of which agents.
    pub agents: Vec<AgentId>,
    /// How many that live at once, for each instance that starts them: 1 to 10,000.
    pub at_once: u64,
    /// Whether they may go on when the one that started them has ended.
    #[serde(default)]
    pub outlive: bool,
}

/// A registered agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The SPIFFE ID that its manifest names.
    pub agent_id: String,
    /// The manifest's id.
    pub manifest_id: String,
    /// The digest of the manifest's signed payload.
    pub manifest_digest: Digest,
    /// When the manifest ends to be valid.
    pub expires_at: Timestamp,
    /// The foreign trust domains whose bundles its instances are handed, by name.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub federates_with: Vec<TrustDomain>,
    /// What its instances may start; nothing where it is absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub may_spawn: Option<MaySpawn>,
    /// The index of the entry that enrolled it in the server's log.
    pub log_index: u64,
}

/// All registered agents.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    /// In the order of their ids.
    pub agents: Vec<Agent>,
}

/// A registered manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The COSE envelope, base64url.
    pub manifest: String,
}
