//! JWT-SVIDs: bearer tokens for one audience (JWT-SVID).

mod audience;
mod claims;
mod issuer;
mod verify;

pub use audience::{JwtAudience, JwtAudienceError, MAX_AUDIENCE_BYTES};
pub use claims::{
    DEFAULT_JWT_SVID_SECONDS, JwtSvidClaims, JwtSvidDraftError, MAX_JWT_AUDIENCES,
    MAX_JWT_SVID_SECONDS,
};
pub use issuer::{JwtIssuer, JwtIssuerError};
pub(crate) use verify::seconds;
pub use verify::{JwtSvidContext, JwtSvidError, VerifiedJwtSvid, bearer_token, verify_jwt_svid};

/// The `typ` of JWT-SVIDs of ours. Others leave it out or say `JOSE` (JWT-SVID section 2.3).
pub const JWT_SVID_TYP: &str = "JWT";
