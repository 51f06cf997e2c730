use chancery_identity::{MaySpawn, RegistrationOwner, RegistrationTerms, TrustDomain};
use chancery_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// Registers an agent by its signed manifest. What it says takes the place of all that the registration
/// before said.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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
    /// What its instances are issued, and what is required of them.
    #[serde(skip_serializing_if = "RegistrationTerms::is_empty", default)]
    pub terms: RegistrationTerms,
    /// Whose files it comes from; absent where it is made by hand.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner: Option<RegistrationOwner>,
    /// Whether files may take over what was registered by hand.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub adopt: bool,
    /// What the registration is that this one takes the place of; whatever it is where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<ExpectedRegistration>,
}

/// What somebody who changes a registration goes by: where it is another one by now, nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedRegistration {
    /// There is none.
    Absent,
    /// The one that this entry of the server's log enrolled.
    Entry(u64),
}

/// What a registration comes to; nothing is registered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgedAgent {
    /// The SPIFFE ID that its manifest names.
    pub agent_id: String,
    /// The digest of the manifest's signed payload.
    pub manifest_digest: Digest,
    /// When the manifest ends to be valid.
    pub expires_at: Timestamp,
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
    /// What its instances are issued, and what is required of them.
    #[serde(skip_serializing_if = "RegistrationTerms::is_empty", default)]
    pub terms: RegistrationTerms,
    /// Whose files it comes from; absent where it was registered by hand.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner: Option<RegistrationOwner>,
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

/// Takes an agent out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireAgent {
    /// The agent.
    pub agent_id: String,
    /// Why.
    pub reason: String,
    /// Which registration is taken out; whatever it is where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<ExpectedRegistration>,
}

/// An agent is registered no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRetired {
    /// The agent.
    pub agent_id: String,
    /// The instances that have ended and are revoked with it, by their SPIFFE IDs: its own that ran or were
    /// of the last hour, and those that these had started.
    pub instances: Vec<String>,
    /// The entry of the server's log that says so.
    pub log_index: u64,
}

/// A registered manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The COSE envelope, base64url.
    pub manifest: String,
}
