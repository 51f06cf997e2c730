//! JWT-SVIDs: for an instance of the trust domain, an hour at most, by a key that the trust document
//! names for nothing else.

use chancery_api::Problem;
use chancery_api::signer::{SignJwt, SignedToken};
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{JwtSvidClaims, TrustDomain};
use chancery_types::Timestamp;

use super::snapshot::Held;
use super::{check_instance, check_now, check_own, signed, svid_claims};
use crate::authorities::Authorities;

pub(crate) fn sign(
    authorities: &Authorities,
    (trust_domain, trust): (&TrustDomain, &VerifiedTrust),
    request: &SignJwt,
    held: &Held,
    now: Timestamp,
) -> Result<SignedToken, Problem> {
    let key = authorities.jwt(trust, &request.kid)?;
    let claims: JwtSvidClaims = svid_claims(&request.claims, "jwt-svid")?;
    check_now(Timestamp::from_seconds(claims.iat), now)?;
    check_own(&claims.sub, trust_domain)?;
    check_instance(held, &claims.sub)?;
    signed(key, claims.signing_input(key.public()))
}
