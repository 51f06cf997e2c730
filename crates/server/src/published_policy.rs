use std::sync::Arc;

use chancery_api::Problem;
use chancery_crypto::AwsLc;
use chancery_identity::trust::{PolicySignersError, TrustDocument};
use chancery_policy::BundleSignature;
use chancery_session::{Rulebook, RulebookError};
use chancery_store::PolicyRow;

/// The policy bundle that was published last, with the signatures of those who signed it.
#[derive(Debug)]
pub(crate) struct PublishedPolicy {
    pub(crate) bundle: Arc<Rulebook>,
    pub(crate) signatures: Vec<BundleSignature>,
    /// Why it is not in force, where too few people signed it.
    standing: Result<(), PolicySignersError>,
}

impl PublishedPolicy {
    /// A bundle, in force where enough of the signers of that trust document signed it.
    pub(crate) fn new(
        bundle: Arc<Rulebook>,
        signatures: Vec<BundleSignature>,
        trust: &TrustDocument,
    ) -> Self {
        let signers =
            BundleSignature::signers(&signatures, bundle.digest(), &trust.policy_signers, &AwsLc);
        let standing = trust.check_policy_signers(signers);
        if let Err(error) = standing {
            tracing::error!(digest = %bundle.digest(), %error, "the policy bundle is not in force");
        }
        Self {
            bundle,
            signatures,
            standing,
        }
    }

    /// What is stored.
    pub(crate) fn stored(row: &PolicyRow, trust: &TrustDocument) -> Result<Self, RulebookError> {
        let bundle = Arc::new(Rulebook::load(&row.bundle.to_files())?);
        Ok(Self::new(bundle, row.bundle.signatures(), trust))
    }

    /// The same under another trust document.
    pub(crate) fn under(&self, trust: &TrustDocument) -> Self {
        Self::new(Arc::clone(&self.bundle), self.signatures.clone(), trust)
    }

    /// Refuses where it is not in force: nothing is done by its rules, nor without them.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        self.standing.map_err(|error| {
            Problem::unavailable(error.code(), error.to_string()).with_remedy(
                "have enough people sign the bundle with `chancery policy sign`, and publish it again",
            )
        })
    }
}
