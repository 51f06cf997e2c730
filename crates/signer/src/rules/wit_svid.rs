//! WIT-SVIDs that workloads are handed: for an instance of the trust domain, an hour at most. They say
//! nothing that an agent key's credential needs, so that no handshake and no gateway takes one.

use chancery_api::Problem;
use chancery_api::signer::{SignWitSvid, SignedToken};
use chancery_crypto::AwsLc;
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{InstanceSpiffeId, TrustDomain, WitSvidClaims};
use chancery_types::jws::assemble;
use chancery_types::{SignatureVerifier as _, Timestamp, canonical, parse_strict};

use super::snapshot::Held;
use super::{check_instance, check_key, check_now};
use crate::authorities::Authorities;

pub(crate) fn sign(
    authorities: &Authorities,
    (trust_domain, trust): (&TrustDomain, &VerifiedTrust),
    request: &SignWitSvid,
    held: &Held,
    now: Timestamp,
) -> Result<SignedToken, Problem> {
    let key = authorities.wit_svid(trust, &request.kid)?;
    let claims = claims(&request.claims)?;
    check_now(Timestamp::from_seconds(claims.iat), now)?;
    let instance = claims.sub.as_str().parse::<InstanceSpiffeId>();
    if !instance.is_ok_and(|instance| instance.trust_domain() == trust_domain) {
        return Err(Problem::forbidden(
            "sub",
            "a token is signed for own instances only",
        ));
    }
    if !AwsLc.is_valid_key(&claims.cnf.jwk) {
        return Err(Problem::bad_request("key", "cnf.jwk is not a key"));
    }
    check_instance(held, &claims.sub)?;
    check_key(held, &claims.cnf.jwk)?;
    let input = claims
        .signing_input(key.public())
        .map_err(|error| Problem::bad_request("claims", error.to_string()))?;
    let signature = key
        .sign(input.as_bytes())
        .map_err(|error| Problem::internal("sign", &error))?;
    Ok(SignedToken {
        token: assemble(&input, &signature),
    })
}

fn claims(text: &str) -> Result<WitSvidClaims, Problem> {
    let malformed = || Problem::bad_request("claims", "claims are not those of a wit-svid");
    if !canonical::is_canonical(text.as_bytes()) {
        return Err(malformed());
    }
    let value = parse_strict(text.as_bytes()).map_err(|_| malformed())?;
    if !value.is_object() {
        return Err(malformed());
    }
    serde_json::from_value(value).map_err(|_| malformed())
}
