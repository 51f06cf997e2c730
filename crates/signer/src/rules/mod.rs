//! What each key signs.

pub(crate) mod access;
pub(crate) mod jwt;
pub(crate) mod root;
pub(crate) mod snapshot;
pub(crate) mod standing;
pub(crate) mod wit;
pub(crate) mod wit_svid;
pub(crate) mod x509;

use std::fmt::Display;

use chancery_api::Problem;
use chancery_api::signer::SignedToken;
use chancery_identity::{InstanceSpiffeId, SpiffeId, TrustDomain};
use chancery_types::jws::assemble;
use chancery_types::{Jwk, Timestamp, canonical, parse_strict};
use serde::de::DeserializeOwned;

use crate::keys::HeldKey;

/// Longest life of anything that is issued to an instance.
pub(crate) const MAX_LIFETIME_SECONDS: u64 = 3_600;

/// How far the asker's clock may stand from the signer's.
pub(crate) const MAX_SKEW_SECONDS: u64 = 60;

/// Refuses what would be issued to an instance that is revoked, itself or with its agent.
fn check_instance(held: &snapshot::Held, subject: &SpiffeId) -> Result<(), Problem> {
    match held.revoked.of_instance(subject.as_str()) {
        None => Ok(()),
        Some(kind) => Err(revoked(&format!("the {kind} of {subject} is revoked"))),
    }
}

/// Refuses a holder key that is revoked.
fn check_key(held: &snapshot::Held, key: &Jwk) -> Result<(), Problem> {
    if held.revoked.has_key(key) {
        return Err(revoked("the agent key is revoked"));
    }
    Ok(())
}

fn revoked(message: &str) -> Problem {
    Problem::forbidden("revoked", message)
}

/// Refuses a time of issuance that is not now.
pub(crate) fn check_now(asked: Timestamp, now: Timestamp) -> Result<(), Problem> {
    let skew = asked.micros_since(now).max(now.micros_since(asked));
    if skew > MAX_SKEW_SECONDS * 1_000_000 {
        return Err(
            Problem::forbidden("clock_skew", "the time of issuance is not now")
                .with_remedy("set the clocks of this machine and of the server"),
        );
    }
    Ok(())
}

/// Refuses a subject that is no instance of the trust domain.
fn check_own(subject: &SpiffeId, trust_domain: &TrustDomain) -> Result<(), Problem> {
    let instance = subject.as_str().parse::<InstanceSpiffeId>();
    if !instance.is_ok_and(|instance| instance.trust_domain() == trust_domain) {
        return Err(Problem::forbidden(
            "sub",
            "a token is signed for own instances only",
        ));
    }
    Ok(())
}

/// Reads the claims of an SVID, which are spelt in the one way that there is.
fn svid_claims<C: DeserializeOwned>(text: &str, what: &str) -> Result<C, Problem> {
    let malformed = || Problem::bad_request("claims", format!("claims are not those of a {what}"));
    if !canonical::is_canonical(text.as_bytes()) {
        return Err(malformed());
    }
    let value = parse_strict(text.as_bytes()).map_err(|_| malformed())?;
    if !value.is_object() {
        return Err(malformed());
    }
    serde_json::from_value(value).map_err(|_| malformed())
}

/// Signs what claims come to, where they come to a token at all.
fn signed(key: &dyn HeldKey, input: Result<String, impl Display>) -> Result<SignedToken, Problem> {
    let input = input.map_err(|error| Problem::bad_request("claims", error.to_string()))?;
    let signature = key
        .sign(input.as_bytes())
        .map_err(|error| Problem::internal("sign", &error))?;
    Ok(SignedToken {
        token: assemble(&input, &signature),
    })
}
