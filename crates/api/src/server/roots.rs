use chancery_audit::Disclosure;
use chancery_delegation::{Assertion, ConsentArtefact};
use chancery_types::id::{InstanceId, PersonId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Asks for a draft of a root: what a person is going to consent to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftRoot {
    /// The instance that will hold the root.
    pub instance_id: InstanceId,
    /// The person who will consent.
    pub person_id: PersonId,
    /// The mission document's exact bytes, base64url.
    pub mission: String,
    /// The `authorization_details`.
    pub authorization_details: Vec<Value>,
    /// How long the root is valid, in seconds; what the operator's rules say where nothing is asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lifetime_seconds: Option<u64>,
    /// How many links may follow.
    pub max_depth: u64,
    /// The name of the session's home gateway; absent for the first one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gateway: Option<String>,
}

/// A draft: the claims. The person's client computes the challenge from them and believes nobody.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootDraft {
    /// The canonical claims, without `prn.apr`.
    pub claims: String,
}

/// Hands in the person's consent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmitRoot {
    /// The drafted claims, as they were drafted.
    pub claims: String,
    /// The assertion over them.
    pub consent: Assertion,
}

/// A root that is signed and enrolled.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedRoot {
    /// The root.
    pub root: String,
    /// The consent that it rests on.
    pub consent: ConsentArtefact,
    /// The mission document's exact bytes, base64url.
    pub mission: String,
    /// The manifest of the instance's agent: the COSE envelope, base64url.
    pub manifest: String,
    /// What opens the principal's commitment in the log.
    pub principal: Disclosure,
    /// The index of the entry that enrolled it in the server's log.
    pub log_index: u64,
}
