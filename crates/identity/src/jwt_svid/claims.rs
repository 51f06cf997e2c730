use chancery_types::id::CredentialId;
use chancery_types::jws::{self, Header};
use chancery_types::limits::MAX_JWS_BYTES;
use chancery_types::{Algorithm, CanonicalError, Jwk, members, to_canonical};
use serde::{Deserialize, Serialize};

use super::{JWT_SVID_TYP, JwtAudience, JwtIssuer};
use crate::SpiffeId;

/// How long a JWT-SVID lives where nobody says otherwise, in seconds.
pub const DEFAULT_JWT_SVID_SECONDS: u64 = 300;

/// The longest life of a JWT-SVID, in seconds: whoever sees it can use it until then.
pub const MAX_JWT_SVID_SECONDS: u64 = 3_600;

/// The most audiences of one token. Each of them can present it to the others (JWT-SVID section
/// 7.2).
pub const MAX_JWT_AUDIENCES: usize = 8;

/// The dot and the 64 bytes of an ES256 signature, as they follow what is signed.
const SIGNATURE_CHARS: usize = 1 + 86;

/// What a JWT-SVID of ours says, and all that it says: whose it is, for whom, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSvidClaims {
    /// Whom it is for; always a list.
    pub aud: Vec<JwtAudience>,
    /// When it stops being valid, in seconds.
    pub exp: u64,
    /// When it was issued, in seconds.
    pub iat: u64,
    /// Under which issuer its key is found by readers that know OpenID Connect; absent where no
    /// discovery document is served.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "members::present"
    )]
    pub iss: Option<JwtIssuer>,
    /// Names the token in the log.
    pub jti: CredentialId,
    /// Whose it is.
    pub sub: SpiffeId,
}

/// Why a JWT-SVID cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwtSvidDraftError {
    /// JWT-SVIDs of ours are signed with ES256.
    #[error("the JWT authority's key is not a P-256 key")]
    Authority,
    /// The token would never be valid.
    #[error("exp is not later than iat")]
    Lifetime,
    /// The token would live too long.
    #[error("a jwt-svid lives {MAX_JWT_SVID_SECONDS} seconds at most")]
    TooLong,
    /// The SPIFFE ID is too long to be issued.
    #[error("sub is longer than 2048 bytes")]
    Subject,
    /// A trust domain is no workload (JWT-SVID section 3.1).
    #[error("sub names a trust domain, not a workload")]
    NoPath,
    /// No audience (JWT-SVID section 3.2).
    #[error("a jwt-svid needs an audience")]
    NoAudience,
    /// Too many audiences.
    #[error("a jwt-svid has {MAX_JWT_AUDIENCES} audiences at most")]
    TooManyAudiences,
    /// An audience stands twice.
    #[error("an audience stands twice")]
    RepeatedAudience,
    /// The signed token would be longer than any that is read.
    #[error(
        "the token would be longer than {MAX_JWS_BYTES} bytes: name fewer or shorter audiences"
    )]
    TooLarge,
    /// The claims have no canonical form.
    #[error("claims have no canonical form")]
    Canonical(#[source] CanonicalError),
}

impl JwtSvidClaims {
    /// What the authority of that public key is to sign; [`jws::assemble`] makes the token of it
    /// and the signature. The header is `alg`, `typ` and `kid`; the claims are canonical JSON.
    pub fn signing_input(&self, authority: &Jwk) -> Result<String, JwtSvidDraftError> {
        if authority.algorithm() != Algorithm::Es256 {
            return Err(JwtSvidDraftError::Authority);
        }
        if self.exp <= self.iat {
            return Err(JwtSvidDraftError::Lifetime);
        }
        if self.exp - self.iat > MAX_JWT_SVID_SECONDS {
            return Err(JwtSvidDraftError::TooLong);
        }
        if !self.sub.is_mintable() {
            return Err(JwtSvidDraftError::Subject);
        }
        if self.sub.path().is_empty() {
            return Err(JwtSvidDraftError::NoPath);
        }
        self.check_audiences()?;
        let header = Header {
            algorithm: Algorithm::Es256,
            typ: JWT_SVID_TYP.to_owned(),
            kid: Some(authority.kid()),
        };
        let claims = to_canonical(self).map_err(JwtSvidDraftError::Canonical)?;
        let input = jws::signing_input(&header, &claims);
        if input.len() + SIGNATURE_CHARS > MAX_JWS_BYTES {
            return Err(JwtSvidDraftError::TooLarge);
        }
        Ok(input)
    }

    fn check_audiences(&self) -> Result<(), JwtSvidDraftError> {
        if self.aud.is_empty() {
            return Err(JwtSvidDraftError::NoAudience);
        }
        if self.aud.len() > MAX_JWT_AUDIENCES {
            return Err(JwtSvidDraftError::TooManyAudiences);
        }
        let mut sorted: Vec<_> = self.aud.iter().collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(JwtSvidDraftError::RepeatedAudience);
        }
        Ok(())
    }
}
