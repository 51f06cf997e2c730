//! The signed, dated snapshot that gateways work from (decisions 10 and 19).

use chancery_delegation::RevocationSet;
use chancery_identity::trust::VerifiedTrust;
use chancery_types::{Digest, SignatureVerifier, Timestamp, base64url, to_canonical};
use serde::{Deserialize, Serialize};

const TAG: &[u8] = b"chancery/snapshot/v1\0";

/// What holds at one moment: which trust document, which policy, which epoch, what is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Rises with every snapshot.
    pub sequence: u64,
    /// When it was made; its age decides what may still happen.
    pub issued_at: Timestamp,
    /// The version of the trust document.
    pub trust_version: u64,
    /// The digest of the trust document.
    pub trust_digest: Digest,
    /// The digest of the policy bundle.
    pub policy_digest: Digest,
    /// The authority epoch: chains of an earlier one are dead.
    pub epoch: u64,
    /// What is revoked.
    pub revoked: RevocationSet,
}

/// A snapshot with its signature, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The thumbprint of the snapshot signer's key.
    pub kid: String,
    /// The signature, base64url.
    pub signature: String,
}

/// A snapshot that a snapshot signer of the trust document signed. Only verification makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSnapshot(Snapshot);

/// Why a snapshot is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The snapshot has no canonical form.
    #[error("the snapshot has no canonical form")]
    Malformed,
    /// The trust document names no such signer, or the signature does not verify.
    #[error("no snapshot signer of the trust document signed this snapshot")]
    Signature,
}

impl Snapshot {
    /// What a snapshot signer signs.
    pub fn signing_input(&self) -> Result<Vec<u8>, SnapshotError> {
        let canonical = to_canonical(self).map_err(|_| SnapshotError::Malformed)?;
        Ok([TAG, &canonical].concat())
    }
}

impl SignedSnapshot {
    /// Verifies the signature by a snapshot signer that the trust document names.
    pub fn verify(
        self,
        trust: &VerifiedTrust,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedSnapshot, SnapshotError> {
        let input = self.snapshot.signing_input()?;
        let signature = base64url::decode(&self.signature).map_err(|_| SnapshotError::Malformed)?;
        let signed = trust
            .snapshot_signers
            .iter()
            .any(|key| key.kid() == self.kid && verifier.verify(key, &input, &signature));
        if signed {
            Ok(VerifiedSnapshot(self.snapshot))
        } else {
            Err(SnapshotError::Signature)
        }
    }
}

impl std::ops::Deref for VerifiedSnapshot {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}
