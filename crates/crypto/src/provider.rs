use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED,
    ECDSA_P521_SHA512_FIXED, ED25519, EcdsaVerificationAlgorithm, ML_DSA_44, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use chancery_types::{
    Algorithm, Jwk, SignatureVerifier, SvidAlgorithm, SvidCurve, SvidKey, SvidKeyMaterial,
};

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

    fn verify_svid(
        &self,
        algorithm: SvidAlgorithm,
        key: &SvidKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        if !key.fits(algorithm) {
            return false;
        }
        let verified = match key.material() {
            SvidKeyMaterial::Ec { curve, point } => {
                UnparsedPublicKey::new(ecdsa(*curve), point).verify(message, signature)
            }
            SvidKeyMaterial::Rsa { n, e } => match rsa(algorithm) {
                Some(parameters) => {
                    RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
                }
                None => return false,
            },
        };
        verified.is_ok()
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

const fn ecdsa(curve: SvidCurve) -> &'static EcdsaVerificationAlgorithm {
    match curve {
        SvidCurve::P256 => &ECDSA_P256_SHA256_FIXED,
        SvidCurve::P384 => &ECDSA_P384_SHA384_FIXED,
        SvidCurve::P521 => &ECDSA_P521_SHA512_FIXED,
    }
}

const fn rsa(algorithm: SvidAlgorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        SvidAlgorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        SvidAlgorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        SvidAlgorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        SvidAlgorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        SvidAlgorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        SvidAlgorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        SvidAlgorithm::Es256 | SvidAlgorithm::Es384 | SvidAlgorithm::Es512 => None,
    }
}

#[cfg(test)]
mod tests;
