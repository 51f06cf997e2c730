use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, ML_DSA_44, ParsedPublicKey,
    UnparsedPublicKey,
};
use chancery_types::{Algorithm, Jwk, SignatureVerifier};

/// Verifies with aws-lc-rs. Its Ed25519 accepts keys of small order; [`Jwk`] does not let them in.
#[derive(Debug, Clone, Copy, Default)]
pub struct AwsLc;

impl SignatureVerifier for AwsLc {
    fn verify(&self, key: &Jwk, message: &[u8], signature: &[u8]) -> bool {
        let public = key.to_public_bytes();
        match key.algorithm() {
            Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, public),
            Algorithm::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public),
        }
        .verify(message, signature)
        .is_ok()
    }

    fn verify_es256_der(&self, key: &Jwk, message: &[u8], signature: &[u8]) -> bool {
        key.algorithm() == Algorithm::Es256
            && UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.to_public_bytes())
                .verify(message, signature)
                .is_ok()
    }

    fn verify_ml_dsa_44(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ML_DSA_44, public_key)
            .verify(message, signature)
            .is_ok()
    }

    fn is_valid_key(&self, key: &Jwk) -> bool {
        let public = key.to_public_bytes();
        match key.algorithm() {
            Algorithm::Ed25519 => ParsedPublicKey::new(&ED25519, public),
            Algorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public),
        }
        .is_ok()
    }
}
