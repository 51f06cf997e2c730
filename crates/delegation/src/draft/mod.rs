//! Tokens to be made: what a verifier would refuse is refused before it is signed.

mod link;
mod proof;
mod root;
mod terms;

pub use link::LinkDraft;
pub use proof::ProofDraft;
pub use root::{PersonDraft, RootDraft};
pub use terms::Terms;

use chancery_types::jws::{Header, assemble, signing_input};
use chancery_types::{CanonicalError, Jwk, SignatureVerifier, to_canonical};
use serde_json::{Map, Value};

use crate::chain::LINK_TYP;
use crate::{Reason, Refusal};

/// Signs the bytes that it is given: Ed25519, or ECDSA as the 64 bytes `r || s`.
pub type Signer<'a, E> = &'a dyn Fn(&[u8]) -> Result<Vec<u8>, E>;

/// Why a token was not made.
#[derive(Debug, thiserror::Error)]
pub enum DraftError<E: std::error::Error + 'static> {
    /// A verifier would refuse the token.
    #[error("a verifier would refuse this token: {}", .0.reason)]
    Refused(Refusal),
    /// The claims have no canonical form.
    #[error("the claims have no canonical form")]
    Canonical(#[source] CanonicalError),
    /// The signer failed.
    #[error("signing failed")]
    Sign(#[source] E),
}

impl<E: std::error::Error + 'static> From<Reason> for DraftError<E> {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason.into())
    }
}

/// The signing input of a root or link.
fn link_signing_input<E: std::error::Error + 'static>(
    key: &Jwk,
    members: Map<String, Value>,
) -> Result<String, DraftError<E>> {
    let claims = to_canonical(&Value::Object(members)).map_err(DraftError::Canonical)?;
    let header = Header {
        algorithm: key.algorithm(),
        typ: LINK_TYP.to_owned(),
        kid: Some(key.kid()),
    };
    Ok(signing_input(&header, &claims))
}

/// Signs, and verifies what the signer made, so that a faulty or mistaken signer shows here.
fn sign_link<E: std::error::Error + 'static>(
    input: &str,
    key: &Jwk,
    verifier: &dyn SignatureVerifier,
    sign: Signer<'_, E>,
) -> Result<String, DraftError<E>> {
    let signature = sign(input.as_bytes()).map_err(DraftError::Sign)?;
    if !verifier.verify(key, input.as_bytes(), &signature) {
        return Err(Reason::BadSignature.into());
    }
    Ok(assemble(input, &signature))
}
