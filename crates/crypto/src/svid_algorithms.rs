use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs::{ECDSA_P256_SHA256, ECDSA_P384_SHA384, ED25519};

/// The signature algorithms that certificate paths are verified with.
pub static SVID_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[ECDSA_P256_SHA256, ECDSA_P384_SHA384, ED25519];
