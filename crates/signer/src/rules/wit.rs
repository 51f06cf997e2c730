//! Workload identity tokens: for an instance of the trust domain, a day at most.

use chancery_api::Problem;
use chancery_api::signer::{SignWit, SignedToken};
use chancery_crypto::AwsLc;
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{TrustDomain, WitClaims};
use chancery_types::{SignatureVerifier as _, Timestamp, canonical, parse_strict};

use super::snapshot::Held;
use super::{check_instance, check_key, check_now, check_own, signed};
use crate::authorities::Authorities;

/// Longest life of an agent key's credential: as long as an instance may live.
const MAX_LIFETIME_SECONDS: u64 = 86_400;

pub(crate) fn sign(
    authorities: &Authorities,
    (trust_domain, trust): (&TrustDomain, &VerifiedTrust),
    request: &SignWit,
    held: &Held,
    now: Timestamp,
) -> Result<SignedToken, Problem> {
    let malformed = || Problem::bad_request("claims", "claims are not those of a wit+jwt");
    if !canonical::is_canonical(request.claims.as_bytes()) {
        return Err(malformed());
    }
    let value = parse_strict(request.claims.as_bytes()).map_err(|_| malformed())?;
    let claims: WitClaims = serde_json::from_value(value).map_err(|_| malformed())?;
    check_now(Timestamp::from_seconds(claims.iat), now)?;
    check_own(&claims.sub, trust_domain)?;
    if claims.exp.saturating_sub(claims.iat) > MAX_LIFETIME_SECONDS {
        return Err(Problem::forbidden(
            "lifetime",
            "a token lives a day at most",
        ));
    }
    if !AwsLc.is_valid_key(&claims.cnf.jwk) {
        return Err(Problem::bad_request("key", "cnf.jwk is not a key"));
    }
    check_instance(held, &claims.sub)?;
    check_key(held, &claims.cnf.jwk)?;
    let key = authorities.wit(trust)?;
    signed(key, claims.signing_input(key.public()))
}
