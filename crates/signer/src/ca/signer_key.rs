use chancery_crypto::AwsLc;
use chancery_types::{Algorithm, Jwk, SignatureVerifier as _};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SubjectPublicKeyInfo};

use super::CaError;
use crate::keys::HeldKey;

/// A P-256 signing key as the certificate library takes it; the private half stays where it is.
pub(super) struct SignerKey<'a> {
    key: &'a dyn HeldKey,
    point: Vec<u8>,
}

impl<'a> SignerKey<'a> {
    pub(super) fn new(key: &'a dyn HeldKey) -> Result<Self, CaError> {
        if key.public().algorithm() != Algorithm::Es256 {
            return Err(CaError::AuthorityKey);
        }
        Ok(Self {
            key,
            point: key.public().to_public_bytes(),
        })
    }
}

impl PublicKeyData for SignerKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for SignerKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.key
            .sign_der(message)
            .map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// A P-256 public key that was asked to be certified: well-formed and on its curve.
pub(super) fn subject_key(spki_der: &[u8]) -> Result<SubjectPublicKeyInfo, CaError> {
    let spki = SubjectPublicKeyInfo::from_der(spki_der).map_err(|_| CaError::SubjectKey)?;
    let jwk = Jwk::p256_from_uncompressed(spki.der_bytes()).map_err(|_| CaError::SubjectKey)?;
    if spki.algorithm() == &PKCS_ECDSA_P256_SHA256 && AwsLc.is_valid_key(&jwk) {
        Ok(spki)
    } else {
        Err(CaError::SubjectKey)
    }
}
