//! The paths of SVIDs that an issuer answers with.

use std::sync::{Arc, Mutex, PoisonError};

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::{VerifiedIntermediate, VerifiedX509Svid, X509Bundle, X509SvidError};
use chancery_types::Timestamp;

/// Verifies chains, each leaf's signature each time and that of the certificate above it once as long as it is
/// the same one under the same bundle.
#[derive(Debug, Default)]
pub(crate) struct Paths(Mutex<Option<Arc<VerifiedIntermediate>>>);

impl Paths {
    /// What `verify_x509_svid` of `chancery-identity` says.
    pub(crate) fn verify(
        &self,
        chain: &[Vec<u8>],
        bundle: &X509Bundle,
        now: Timestamp,
    ) -> Result<VerifiedX509Svid, X509SvidError> {
        let known = self.known();
        let verified = known.and_then(|known| known.verify(chain, bundle, now, SVID_ALGORITHMS));
        // What it does not accept the whole path refuses too, and says why, or leads elsewhere.
        if let Some(verified) = verified {
            return Ok(verified);
        }
        let (svid, kept) = VerifiedIntermediate::of(chain, bundle, now, SVID_ALGORITHMS)?;
        if let Some(kept) = kept {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(kept));
        }
        Ok(svid)
    }

    fn known(&self) -> Option<Arc<VerifiedIntermediate>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
