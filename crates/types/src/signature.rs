//! Signature verification as an argument: the pure crates name algorithms and keys, a provider
//! outside of them does the arithmetic.

use std::fmt;

use crate::jwk::Jwk;
use crate::svid_key::{SvidAlgorithm, SvidKey};

/// A signature algorithm that some format of ours names. Anything else is refused where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032, pure).
    Ed25519,
    /// ECDSA over P-256 with SHA-256; signatures are the 64 bytes `r || s` (RFC 7518 section 3.4).
    Es256,
}

impl Algorithm {
    /// The name in a JOSE header: fully specified, `EdDSA` is not one of ours (RFC 9864).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::Es256 => "ES256",
        }
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ed25519, Self::Es256]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Verifies signatures. One provider serves the whole program (`chancery-crypto`); a browser build
/// brings another.
pub trait SignatureVerifier: Send + Sync {
    /// Whether `signature` is `key`'s over `message`. Total: any malformed input is `false`.
    fn verify(&self, key: &Jwk, message: &[u8], signature: &[u8]) -> bool;

    /// Whether `signature` is the P-256 key's over `message`, the signature in ASN.1 DER, as
    /// WebAuthn authenticators make it.
    fn verify_es256_der(&self, key: &Jwk, message: &[u8], signature: &[u8]) -> bool;

    /// Whether `signature` is the ML-DSA-44 key's over `message`, empty context (FIPS 204).
    fn verify_ml_dsa_44(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool;

    /// Whether `signature` is the key's over `message` with an algorithm of JWT-SVIDs and WIT-SVIDs,
    /// in the form that JOSE gives it (RFC 7518 section 3). `false` where the key does not fit the
    /// algorithm.
    fn verify_svid(
        &self,
        algorithm: SvidAlgorithm,
        key: &SvidKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool;

    /// Whether the key's point is on its curve. Called once, when a key is imported.
    fn is_valid_key(&self, key: &Jwk) -> bool;
}
