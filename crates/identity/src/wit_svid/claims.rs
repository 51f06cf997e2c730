use chancery_types::id::CredentialId;
use chancery_types::jws::{self, Header};
use chancery_types::{Algorithm, CanonicalError, Jwk, to_canonical};
use serde::{Deserialize, Serialize};

use crate::wit::{WIT_TYP, confirmation};
use crate::{Confirmation, SpiffeId};

/// How long a WIT-SVID that a workload is handed lives where nobody says otherwise, in seconds.
pub const DEFAULT_WIT_SVID_SECONDS: u64 = 300;

/// The longest life of one, in seconds.
pub const MAX_WIT_SVID_SECONDS: u64 = 3_600;

/// What a WIT-SVID says that a workload is handed together with its key, and all that it says: whose
/// it is, bound to which key, and for how long. It is no credential of an agent key, which says more
/// and is refused without it ([`WitClaims`](crate::WitClaims)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitSvidClaims {
    /// The holder's key: one that signs with ES256.
    #[serde(deserialize_with = "confirmation")]
    pub cnf: Confirmation,
    /// When it stops being valid, in seconds.
    pub exp: u64,
    /// When it was issued, in seconds. Never limits its validity.
    pub iat: u64,
    /// Names the token in the log.
    pub jti: CredentialId,
    /// Whose it is.
    pub sub: SpiffeId,
}

/// Why a WIT-SVID cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitSvidDraftError {
    /// WIT-SVIDs of ours are signed with ES256.
    #[error("the token authority's key is not a P-256 key")]
    Authority,
    /// The holder's key signs with none of the nine algorithms (WIT-SVID section 3.2).
    #[error("cnf.jwk is not a P-256 key")]
    Holder,
    /// The token would never be valid.
    #[error("exp is not later than iat")]
    Lifetime,
    /// The token would live too long.
    #[error("a wit-svid lives {MAX_WIT_SVID_SECONDS} seconds at most")]
    TooLong,
    /// The SPIFFE ID is too long to be issued.
    #[error("sub is longer than 2048 bytes")]
    Subject,
    /// A trust domain is no workload.
    #[error("sub names a trust domain, not a workload")]
    NoPath,
    /// The claims have no canonical form.
    #[error("claims have no canonical form")]
    Canonical(#[source] CanonicalError),
}

impl WitSvidClaims {
    /// What the authority of that public key is to sign; [`jws::assemble`] makes the token of it
    /// and the signature. The header is `alg`, `typ` and `kid`; the claims are canonical JSON.
    pub fn signing_input(&self, authority: &Jwk) -> Result<String, WitSvidDraftError> {
        if authority.algorithm() != Algorithm::Es256 {
            return Err(WitSvidDraftError::Authority);
        }
        if self.cnf.jwk.algorithm() != Algorithm::Es256 {
            return Err(WitSvidDraftError::Holder);
        }
        if self.exp <= self.iat {
            return Err(WitSvidDraftError::Lifetime);
        }
        if self.exp - self.iat > MAX_WIT_SVID_SECONDS {
            return Err(WitSvidDraftError::TooLong);
        }
        if !self.sub.is_mintable() {
            return Err(WitSvidDraftError::Subject);
        }
        if self.sub.path().is_empty() {
            return Err(WitSvidDraftError::NoPath);
        }
        let header = Header {
            algorithm: Algorithm::Es256,
            typ: WIT_TYP.to_owned(),
            kid: Some(authority.kid()),
        };
        let claims = to_canonical(self).map_err(WitSvidDraftError::Canonical)?;
        Ok(jws::signing_input(&header, &claims))
    }
}
