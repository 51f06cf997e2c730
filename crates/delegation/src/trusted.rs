//! What the trust document names, as verification takes it.

use chancery_identity::trust::{DelegationAuthority, ManifestIssuer, PersonCredential};

use crate::{Credential, IssuerKey, TrustAnchor};

impl From<&DelegationAuthority> for TrustAnchor {
    fn from(known: &DelegationAuthority) -> Self {
        Self {
            issuer: known.issuer.clone(),
            key: known.key,
        }
    }
}

impl From<&ManifestIssuer> for IssuerKey {
    fn from(known: &ManifestIssuer) -> Self {
        Self {
            issuer: known.issuer.clone(),
            key: known.key,
        }
    }
}

/// Nobody keeps the counter of a credential of the trust document.
impl<'a> From<&'a PersonCredential> for Credential<'a> {
    fn from(known: &'a PersonCredential) -> Self {
        Self {
            credential_id: &known.credential_id,
            key: &known.key,
            rp_id: &known.rp_id,
            origin: &known.origin,
            last_counter: None,
        }
    }
}
