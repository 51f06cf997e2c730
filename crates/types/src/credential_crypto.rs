//! What a credential for a TPM is made with.

use std::fmt;

use crate::Secret;

/// A fresh P-256 key's point and what it shares with another point.
#[derive(Debug)]
pub struct EcdhShare {
    /// The fresh key's x-coordinate.
    pub x: [u8; 32],
    /// The fresh key's y-coordinate.
    pub y: [u8; 32],
    /// The shared x-coordinate.
    pub z: Secret,
}

/// The cryptography of `TPM2_MakeCredential` in software (TPM 2.0 Library part 1, annexes B.10.4 and
/// C.6.4, section 24). Pure crates take it as an argument. None where a key is not usable.
pub trait CredentialCrypto: fmt::Debug + Send + Sync {
    /// RSA-OAEP with SHA-256 (RFC 8017) to a public key of big-endian modulus and exponent.
    fn rsa_oaep_sha256(&self, n: &[u8], e: &[u8], label: &[u8], message: &[u8]) -> Option<Vec<u8>>;

    /// A fresh P-256 key, agreed upon with an uncompressed point.
    fn ecdh_p256(&self, point: &[u8]) -> Option<EcdhShare>;

    /// HMAC with SHA-256 over the parts one after the other.
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];

    /// AES-128-CFB from an initialisation vector of zeros. The key must be good once.
    fn aes_128_cfb(&self, key: &[u8; 16], plain: &[u8]) -> Option<Vec<u8>>;
}
