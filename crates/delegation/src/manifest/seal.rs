use chancery_types::{Algorithm, CanonicalError, Jwk, to_canonical};
use coset::TaggedCborSerializable as _;
use serde_json::Value;

use super::ManifestError;
use super::envelope::{MAX_ENVELOPE_BYTES, unsigned};
use super::verified::check_complete;
use crate::draft::Signer;

/// Why a manifest was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SealError<E: std::error::Error + 'static> {
    /// A verifier would refuse the document.
    #[error("a verifier would refuse this manifest")]
    Refused(#[source] ManifestError),
    /// The document has no canonical form.
    #[error("the manifest has no canonical form")]
    Canonical(#[source] CanonicalError),
    /// The key is not Ed25519.
    #[error("manifests are signed with Ed25519")]
    Key,
    /// The envelope could not be encoded.
    #[error("the envelope could not be encoded")]
    Encode,
    /// The signer failed.
    #[error("signing failed")]
    Sign(#[source] E),
}

/// Signs a manifest, after checking that it is complete. `key` is the public half of what `sign`
/// signs with.
pub fn sign_manifest<E: std::error::Error + 'static>(
    document: &Value,
    key: &Jwk,
    sign: Signer<'_, E>,
) -> Result<Vec<u8>, SealError<E>> {
    check_complete(document).map_err(SealError::Refused)?;
    let payload = to_canonical(document).map_err(SealError::Canonical)?;
    seal_manifest_payload(payload, key, sign)
}

/// Puts bytes into a signed envelope without judging them. What is sealed this way is refused by
/// every verifier unless it is a manifest.
pub fn seal_manifest_payload<E: std::error::Error + 'static>(
    payload: Vec<u8>,
    key: &Jwk,
    sign: Signer<'_, E>,
) -> Result<Vec<u8>, SealError<E>> {
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(SealError::Key);
    }
    let mut envelope = unsigned(key, payload);
    envelope.signature = sign(&envelope.tbs_data(b"")).map_err(SealError::Sign)?;
    let bytes = envelope.to_tagged_vec().map_err(|_| SealError::Encode)?;
    if bytes.len() > MAX_ENVELOPE_BYTES {
        return Err(SealError::Refused(ManifestError::TooLarge));
    }
    Ok(bytes)
}
