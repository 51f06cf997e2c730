//! WIT-SVIDs that workloads are handed: for an instance of the trust domain, an hour at most. They say
//! nothing that an agent key's credential needs, so that no handshake and no gateway takes one.

use chancery_api::Problem;
use chancery_api::signer::{SignWitSvid, SignedToken};
use chancery_crypto::AwsLc;
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{TrustDomain, WitSvidClaims};
use chancery_types::{SignatureVerifier as _, Timestamp};

use super::snapshot::Held;
use super::{check_instance, check_key, check_now, check_own, signed, svid_claims};
use crate::authorities::Authorities;

pub(crate) fn sign(
    authorities: &Authorities,
    (trust_domain, trust): (&TrustDomain, &VerifiedTrust),
    request: &SignWitSvid,
    held: &Held,
    now: Timestamp,
) -> Result<SignedToken, Problem> {
    let key = authorities.wit_svid(trust, &request.kid)?;
    let claims: WitSvidClaims = svid_claims(&request.claims, "wit-svid")?;
    check_now(Timestamp::from_seconds(claims.iat), now)?;
    check_own(&claims.sub, trust_domain)?;
    if !AwsLc.is_valid_key(&claims.cnf.jwk) {
        return Err(Problem::bad_request("key", "cnf.jwk is not a key"));
    }
    check_instance(held, &claims.sub)?;
    check_key(held, &claims.cnf.jwk)?;
    signed(key, claims.signing_input(key.public()))
}
