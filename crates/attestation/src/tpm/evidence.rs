use chancery_identity::AttestationLevel;
use chancery_types::Digest;
use serde::{Deserialize, Serialize};

use super::PcrValues;

/// What a host's TPM showed when it joined: made of a verified quote alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmEvidence {
    /// The digest of the endorsement key, which names the TPM.
    pub endorsement_key: Digest,
    /// The digest in the attestation key's name.
    pub attestation_key: Digest,
    /// The registers that were quoted.
    pub pcrs: PcrValues,
    /// How often the TPM was reset, as it says. TPMs disguise it where the key that signs is neither of
    /// the platform's nor of the endorsement hierarchy.
    pub resets: u32,
}

impl TpmEvidence {
    /// The level that it reaches.
    pub const fn level(&self) -> AttestationLevel {
        AttestationLevel::Tpm
    }
}
