use chancery_delegation::Registration;
use chancery_types::Digest;
use serde::{Deserialize, Serialize};

/// Asks for a person's registration at the console, under a one-time code. The invitation is open as long
/// as somebody asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// The digest of the code, in lower case.
    pub code: Digest,
    /// How long to wait for it.
    pub wait_seconds: u64,
}

/// What came of an invitation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invited {
    /// The passkey that was made; absent while nobody has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub registered: Option<RegisteredPasskey>,
}

/// A passkey that a person made at the console, and what it was made for. Whoever signs the trust document
/// verifies it again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredPasskey {
    /// What the browser sent.
    pub registration: Registration,
    /// The challenge that it answered.
    pub challenge: Digest,
    /// The relying party id of the console.
    pub rp_id: String,
    /// The console's origin.
    pub origin: String,
}
