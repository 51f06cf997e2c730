//! The lifting of a revocation: an act of the root keys, never of the server alone.

use chancery_delegation::Revocation;
use chancery_identity::trust::{TrustError, TrustSignature, VerifiedTrust};
use chancery_types::{SignatureVerifier, Timestamp, to_canonical};
use serde::{Deserialize, Serialize};

const TAG: &[u8] = b"chancery/lift/v1\0";

/// Says that one revocation holds no longer. It names the very revocation, by its time too, so that
/// it lifts no later one of the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    /// The trust domain.
    pub trust_domain: String,
    /// What is lifted.
    pub revocation: Revocation,
    /// When it was signed.
    pub lifted_at: Timestamp,
}

/// A lift with the signatures of root keys, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedLift {
    /// What is said.
    pub lift: Lift,
    /// Over the tag `chancery/lift/v1`, a zero byte and the canonical lift.
    pub signatures: Vec<TrustSignature>,
}

/// Why a lift is refused.
#[derive(Debug, thiserror::Error)]
pub enum LiftError {
    /// It has no canonical form.
    #[error("the lift has no canonical form")]
    Malformed,
    /// It is of another trust domain.
    #[error("the lift is of trust domain {0}")]
    TrustDomain(String),
    /// Too few root keys signed.
    #[error(transparent)]
    Signatures(#[from] TrustError),
}

impl Lift {
    /// What root keys sign.
    pub fn signing_input(&self) -> Result<Vec<u8>, LiftError> {
        let canonical = to_canonical(self).map_err(|_| LiftError::Malformed)?;
        Ok([TAG, &canonical].concat())
    }
}

impl SignedLift {
    /// Verifies that a threshold of the root keys in force signed it, for this trust domain.
    pub fn verify(
        self,
        trust: &VerifiedTrust,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Revocation, LiftError> {
        if self.lift.trust_domain != trust.trust_domain {
            return Err(LiftError::TrustDomain(self.lift.trust_domain));
        }
        let input = self.lift.signing_input()?;
        trust.verify_threshold(&input, &self.signatures, verifier)?;
        Ok(self.lift.revocation)
    }
}
