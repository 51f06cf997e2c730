//! JWT-SVIDs: for an instance of the trust domain, an hour at most, by a key that the trust document
//! names for nothing else.

use chancery_api::Problem;
use chancery_api::signer::{SignJwt, SignedToken};
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{InstanceSpiffeId, JwtSvidClaims, TrustDomain};
use chancery_types::jws::assemble;
use chancery_types::{Timestamp, canonical, parse_strict};

use super::snapshot::Held;
use super::{check_instance, check_now};
use crate::authorities::Authorities;

pub(crate) fn sign(
    authorities: &Authorities,
    (trust_domain, trust): (&TrustDomain, &VerifiedTrust),
    request: &SignJwt,
    held: &Held,
    now: Timestamp,
) -> Result<SignedToken, Problem> {
    let key = authorities.jwt(trust, &request.kid)?;
    let claims = claims(&request.claims)?;
    check_now(Timestamp::from_seconds(claims.iat), now)?;
    let instance = claims.sub.as_str().parse::<InstanceSpiffeId>();
    if !instance.is_ok_and(|instance| instance.trust_domain() == trust_domain) {
        return Err(Problem::forbidden(
            "sub",
            "a token is signed for own instances only",
        ));
    }
    check_instance(held, &claims.sub)?;
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

fn claims(text: &str) -> Result<JwtSvidClaims, Problem> {
    let malformed = || Problem::bad_request("claims", "claims are not those of a jwt-svid");
    if !canonical::is_canonical(text.as_bytes()) {
        return Err(malformed());
    }
    let value = parse_strict(text.as_bytes()).map_err(|_| malformed())?;
    if !value.is_object() {
        return Err(malformed());
    }
    serde_json::from_value(value).map_err(|_| malformed())
}
