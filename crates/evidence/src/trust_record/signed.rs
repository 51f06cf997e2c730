use std::ops::Deref;

use chancery_types::{
    CanonicalError, Digest, Jwk, SignatureVerifier, base64url, parse_strict, to_canonical,
};

use super::{ConfirmationKey, TrustRecord};

/// A Trust Record that a key named by the caller signed. Only verification makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTrustRecord {
    record: TrustRecord,
    digest: Digest,
}

/// Why a Trust Record is refused.
#[derive(Debug, thiserror::Error)]
pub enum TrustRecordError {
    /// Not canonical JSON of the profile.
    #[error("not a TRACE v0.2 record of ours in canonical form")]
    Malformed,
    /// No signature.
    #[error("the record is not signed")]
    Unsigned,
    /// The record names a key that the caller does not trust.
    #[error("no trusted record signer has the key that the record names")]
    UntrustedKey,
    /// The signature does not verify.
    #[error("the record's signature does not verify")]
    Signature,
    /// The record has no canonical form.
    #[error("the record has no canonical form")]
    Canonical(#[source] CanonicalError),
}

impl TrustRecord {
    /// What the record's key signs: the RFC 8785 form without the signature.
    pub fn signing_input(&self) -> Result<Vec<u8>, TrustRecordError> {
        let unsigned = Self {
            signature: None,
            ..self.clone()
        };
        to_canonical(&unsigned).map_err(TrustRecordError::Canonical)
    }

    /// The canonical bytes of the record with its signature.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TrustRecordError> {
        to_canonical(self).map_err(TrustRecordError::Canonical)
    }
}

impl VerifiedTrustRecord {
    /// Reads and verifies a record. The key comes from `trusted`, never from the record; every byte
    /// counts, since the bytes must be the canonical form.
    pub fn verify(
        bytes: &[u8],
        trusted: &[Jwk],
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, TrustRecordError> {
        let value = parse_strict(bytes).map_err(|_| TrustRecordError::Malformed)?;
        let record: TrustRecord =
            serde_json::from_value(value).map_err(|_| TrustRecordError::Malformed)?;
        if record.to_bytes()? != bytes {
            return Err(TrustRecordError::Malformed);
        }
        let signature = record
            .signature
            .as_deref()
            .ok_or(TrustRecordError::Unsigned)?;
        let signature = base64url::decode(signature).map_err(|_| TrustRecordError::Malformed)?;
        let key = trusted
            .iter()
            .find(|key| ConfirmationKey::of(key).as_ref() == Some(&record.cnf.jwk))
            .ok_or(TrustRecordError::UntrustedKey)?;
        if !verifier.verify(key, &record.signing_input()?, &signature) {
            return Err(TrustRecordError::Signature);
        }
        Ok(Self {
            record,
            digest: Digest::of(bytes),
        })
    }

    /// The digest of the signed record: what the server's log enrols.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl Deref for VerifiedTrustRecord {
    type Target = TrustRecord;

    fn deref(&self) -> &TrustRecord {
        &self.record
    }
}
