use chancery_delegation::draft::Signer;
use chancery_types::jws::{Compact, Header, assemble, signing_input};
use chancery_types::{CanonicalError, Digest, Jwk, SignatureVerifier, Timestamp, to_canonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{MAX_PRESENTATION_BYTES, Parts, Presentation, PresentationFormat};
use super::{Challenge, PresentationRefusal};

/// The `typ` of a holder's signature.
pub const HOLDER_TYP: &str = "chancery-presentation+jwt";

/// How far in the future a signature may be made, for clocks that differ.
const AHEAD_SECONDS: u64 = 5;

/// How long after it was made a signature is taken.
const AGE_SECONDS: u64 = 60;

/// What the holder says. Unknown claims are refused.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HolderClaims {
    aud: String,
    iat: u64,
    nonce: String,
    parts: Digest,
}

/// Why a presentation was not made.
#[derive(Debug, thiserror::Error)]
pub enum HolderError<E: std::error::Error + 'static> {
    /// The parts or claims have no canonical form.
    #[error("the presentation has no canonical form")]
    Canonical(#[source] CanonicalError),
    /// Whoever verifies would not read it.
    #[error("the presentation is longer than one may be")]
    TooLong,
    /// The signer failed.
    #[error("signing failed")]
    Sign(#[source] E),
}

/// Makes a presentation of the parts for the one who asked; `key` is the public half of what `sign`
/// signs with, the agent key.
pub fn sign_presentation<E: std::error::Error + 'static>(
    parts: Parts,
    challenge: &Challenge,
    now: Timestamp,
    key: &Jwk,
    sign: Signer<'_, E>,
) -> Result<Presentation, HolderError<E>> {
    let claims = HolderClaims {
        aud: challenge.audience.clone(),
        iat: now.as_seconds(),
        nonce: challenge.nonce.clone(),
        parts: parts.digest().map_err(HolderError::Canonical)?,
    };
    let header = Header {
        algorithm: key.algorithm(),
        typ: HOLDER_TYP.to_owned(),
        kid: None,
    };
    let claims = to_canonical(&claims).map_err(HolderError::Canonical)?;
    let input = signing_input(&header, &claims);
    let signature = sign(input.as_bytes()).map_err(HolderError::Sign)?;
    let presentation = Presentation {
        format: PresentationFormat::V1,
        parts,
        holder: assemble(&input, &signature),
    };
    let bytes = presentation.to_bytes().map_err(HolderError::Canonical)?;
    if bytes.len() > MAX_PRESENTATION_BYTES {
        return Err(HolderError::TooLong);
    }
    Ok(presentation)
}

/// Verifies that the holder of that key signed these parts for this challenge, just now. Takes the
/// challenge: there is no second answer to it.
pub(super) fn verify_holder(
    presentation: &Presentation,
    key: &Jwk,
    challenge: Challenge,
    now: Timestamp,
    verifier: &dyn SignatureVerifier,
) -> Result<Timestamp, PresentationRefusal> {
    let jws =
        Compact::parse(&presentation.holder).map_err(|_| PresentationRefusal::HolderMalformed)?;
    if jws.header.typ != HOLDER_TYP || jws.header.kid.is_some() {
        return Err(PresentationRefusal::HolderMalformed);
    }
    if !jws.verify(key, verifier) {
        return Err(PresentationRefusal::HolderSignature);
    }
    let claims: HolderClaims = serde_json::from_value(Value::Object(jws.claims))
        .map_err(|_| PresentationRefusal::HolderMalformed)?;
    if claims.aud != challenge.audience {
        return Err(PresentationRefusal::WrongAudience);
    }
    // Digests of both, compared in constant time.
    if !Digest::of(&claims.nonce).ct_eq(&Digest::of(&challenge.nonce)) {
        return Err(PresentationRefusal::WrongChallenge);
    }
    let made = Timestamp::from_seconds(claims.iat);
    let fresh = now < challenge.expires
        && made <= now.plus_seconds(AHEAD_SECONDS)
        && now <= made.plus_seconds(AGE_SECONDS);
    if !fresh {
        return Err(PresentationRefusal::Stale);
    }
    let parts = presentation.parts.digest();
    let same = parts.is_ok_and(|parts| parts.ct_eq(&claims.parts));
    same.then_some(made)
        .ok_or(PresentationRefusal::PartsExchanged)
}
