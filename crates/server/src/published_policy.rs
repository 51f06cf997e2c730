use std::sync::Arc;

use chancery_crypto::AwsLc;
use chancery_identity::trust::{PolicySignersError, TrustDocument};
use chancery_policy::BundleSignature;
use chancery_session::{Rulebook, RulebookError};
use chancery_store::PolicyRow;

/// The policy bundle in force, with the signatures of those who signed it.
#[derive(Debug)]
pub(crate) struct PublishedPolicy {
    pub(crate) bundle: Arc<Rulebook>,
    pub(crate) signatures: Vec<BundleSignature>,
}

impl PublishedPolicy {
    /// What is stored; none, and said so, where too few people signed it: it governs nowhere.
    pub(crate) fn stored(
        row: &PolicyRow,
        trust: &TrustDocument,
    ) -> Result<Option<Self>, RulebookError> {
        let published = Self {
            bundle: Arc::new(Rulebook::load(&row.bundle.to_files())?),
            signatures: row.bundle.signatures(),
        };
        if let Err(error) = published.check(trust) {
            tracing::error!(digest = %row.digest, %error, "the stored policy bundle is not in force");
            return Ok(None);
        }
        Ok(Some(published))
    }

    /// Whether enough people signed it.
    pub(crate) fn check(&self, trust: &TrustDocument) -> Result<(), PolicySignersError> {
        let digest = self.bundle.digest();
        let signers =
            BundleSignature::signers(&self.signatures, digest, &trust.policy_signers, &AwsLc);
        trust.check_policy_signers(signers)
    }
}
