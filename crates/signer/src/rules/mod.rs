//! What each key signs.

pub(crate) mod access;
pub(crate) mod jwt;
pub(crate) mod root;
pub(crate) mod snapshot;
pub(crate) mod standing;
pub(crate) mod wit;
pub(crate) mod wit_svid;
pub(crate) mod x509;

use chancery_api::Problem;
use chancery_identity::SpiffeId;
use chancery_types::{Jwk, Timestamp};

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
