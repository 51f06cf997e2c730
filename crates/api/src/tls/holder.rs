use std::sync::Arc;

use chancery_types::Secret;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;

/// What the certificates of hosts are proven with: the schemes of
/// [`SVID_ALGORITHMS`](https://www.rfc-editor.org/rfc/rfc8446#section-4.2.3), no RSA among them.
const SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
];

/// A certificate that a host already has, and its key.
#[derive(Debug, Clone)]
pub struct CertificateHolder {
    chain: Vec<Vec<u8>>,
    key: Arc<dyn SigningKey>,
}

/// Why a certificate cannot be proven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HolderError {
    /// No certificate in PEM.
    #[error("holds no certificate in PEM")]
    Certificate,
    /// No private key in PEM, or one that TLS does not know.
    #[error("holds no private key in PEM")]
    Key,
    /// The key signs neither ECDSA over P-256 or P-384 nor Ed25519.
    #[error("the key is neither of P-256 or P-384 nor of Ed25519")]
    Scheme,
    /// The library failed.
    #[error("cannot sign")]
    Sign(#[source] rustls::Error),
}

impl CertificateHolder {
    /// Reads a chain in PEM, the host's certificate first, and its key in PEM.
    pub fn from_pem(certificate: &[u8], key: &Secret) -> Result<Self, HolderError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| HolderError::Key)?;
        Ok(Self {
            chain: chain
                .ok_or(HolderError::Certificate)?
                .iter()
                .map(|der| der.to_vec())
                .collect(),
            key: any_supported_type(&key).map_err(|_| HolderError::Key)?,
        })
    }

    /// The certificates in DER, the host's first.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Signs with the certificate's key.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, HolderError> {
        let signer = self.key.choose_scheme(&SCHEMES);
        let signer = signer.ok_or(HolderError::Scheme)?;
        signer.sign(message).map_err(HolderError::Sign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_and_key_is_refused() {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let none = CertificateHolder::from_pem(b"", &secret("none"));
        assert!(matches!(none, Err(HolderError::Key)));
    }
}
