use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _,
};
use chancery_types::{Algorithm, Jwk, JwkError, Secret, base64url};
use zeroize::Zeroizing;

/// A private key that signs with one algorithm. Never printed; the PKCS#8 form is kept beside the
/// parsed key so that it can be written to disk or handed to a TLS library.
pub struct SigningKey {
    inner: Inner,
    jwk: Jwk,
    pkcs8: Secret,
}

enum Inner {
    Ed25519(Ed25519KeyPair),
    P256 {
        fixed: Box<EcdsaKeyPair>,
        /// The same for signatures in DER, once one is asked for.
        der: OnceLock<Box<EcdsaKeyPair>>,
    },
}

/// Why a key cannot be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The library could not make a key.
    #[error("a key could not be generated")]
    Generate,
    /// The bytes are not a PKCS#8 key of the expected kind.
    #[error("not a PKCS#8 {0} private key")]
    Parse(Algorithm),
    /// The public half is one that no verifier of ours accepts.
    #[error("the public key is not acceptable")]
    Public(#[source] JwkError),
    /// The library could not sign.
    #[error("signing failed")]
    Sign,
    /// The key has no private form in JSON here.
    #[error("only a P-256 key is handed out as a JSON web key")]
    NoJwk,
}

impl SigningKey {
    /// Makes a fresh key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pkcs8 = match algorithm {
            Algorithm::Ed25519 => {
                let document = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
                    .map_err(|_| KeyError::Generate)?;
                document.as_ref().to_vec()
            }
            Algorithm::Es256 => return Self::generate_p256(),
        };
        Self::from_pkcs8(algorithm, Secret::new(pkcs8))
    }

    /// What was just made is not read again.
    fn generate_p256() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| KeyError::Generate)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyError::Generate)?;
        let pkcs8 = Secret::new(pkcs8.as_ref().to_vec());
        Self::p256(pair, pkcs8)
    }

    fn p256(pair: EcdsaKeyPair, pkcs8: Secret) -> Result<Self, KeyError> {
        let jwk = Jwk::p256_from_uncompressed(pair.public_key().as_ref());
        Ok(Self {
            jwk: jwk.map_err(KeyError::Public)?,
            inner: Inner::P256 {
                fixed: Box::new(pair),
                der: OnceLock::new(),
            },
            pkcs8,
        })
    }

    /// Reads a key in PKCS#8 DER.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: Secret) -> Result<Self, KeyError> {
        let parse = |_| KeyError::Parse(algorithm);
        let (inner, jwk) = match algorithm {
            Algorithm::Ed25519 => {
                let pair =
                    Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.expose()).map_err(parse)?;
                let public = pair.public_key().as_ref().try_into();
                let public = public.map_err(|_| KeyError::Parse(algorithm))?;
                (Inner::Ed25519(pair), Jwk::ed25519(public))
            }
            Algorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.expose());
                return Self::p256(pair.map_err(parse)?, pkcs8);
            }
        };
        Ok(Self {
            inner,
            jwk: jwk.map_err(KeyError::Public)?,
            pkcs8,
        })
    }

    /// The public half.
    pub const fn public(&self) -> &Jwk {
        &self.jwk
    }

    /// Signs; ECDSA signatures are the 64 bytes `r || s`, as JOSE has them.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.inner {
            Inner::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Inner::P256 { fixed, .. } => ecdsa(fixed, message),
        }
    }

    /// Signs; ECDSA signatures are ASN.1 DER, as X.509 and WebAuthn have them.
    pub fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.inner {
            Inner::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Inner::P256 { der, .. } => match der.get() {
                Some(pair) => ecdsa(pair, message),
                None => {
                    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
                    let pair = EcdsaKeyPair::from_pkcs8(algorithm, self.pkcs8.expose());
                    let pair = pair.map_err(|_| KeyError::Parse(Algorithm::Es256))?;
                    ecdsa(der.get_or_init(|| Box::new(pair)), message)
                }
            },
        }
    }

    /// The PKCS#8 DER form, for a key file or a TLS library.
    pub const fn pkcs8(&self) -> &Secret {
        &self.pkcs8
    }

    /// The key as a private JSON web key (RFC 7518 section 6.2.2), for a workload whose key it is: the
    /// public members, `alg` among them, and `d`. Only of a P-256 key.
    pub fn to_private_jwk(&self) -> Result<Secret, KeyError> {
        let Inner::P256 { fixed, .. } = &self.inner else {
            return Err(KeyError::NoJwk);
        };
        let scalar: EcPrivateKeyBin<'_> =
            (fixed.private_key().as_be_bytes()).map_err(|_| KeyError::NoJwk)?;
        let point = self.jwk.to_public_bytes();
        let (Some(x), Some(y)) = (point.get(1..33), point.get(33..)) else {
            return Err(KeyError::NoJwk);
        };
        let d = Zeroizing::new(base64url::encode(scalar.as_ref()));
        let text = format!(
            r#"{{"alg":"ES256","crv":"P-256","d":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            d.as_str(),
            base64url::encode(x),
            base64url::encode(y)
        );
        Ok(Secret::new(text.into_bytes()))
    }
}

fn ecdsa(pair: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let signature = pair
        .sign(&SystemRandom::new(), message)
        .map_err(|_| KeyError::Sign)?;
    Ok(signature.as_ref().to_vec())
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.jwk.kid())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chancery_types::SignatureVerifier as _;

    use super::*;
    use crate::AwsLc;

    #[test]
    fn signs_what_its_public_half_verifies() {
        for algorithm in [Algorithm::Ed25519, Algorithm::Es256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let again = SigningKey::from_pkcs8(algorithm, key.pkcs8().clone()).unwrap();
            assert_eq!(again.public(), key.public());
            let signature = again.sign(b"message").unwrap();
            assert!(AwsLc.is_valid_key(key.public()));
            assert!(AwsLc.verify(key.public(), b"message", &signature));
            assert!(!AwsLc.verify(key.public(), b"massage", &signature));
            assert!(!AwsLc.verify(key.public(), b"message", &[]));
        }
    }

    #[test]
    fn a_private_json_web_key_has_the_public_members_and_d() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let text = key.to_private_jwk().unwrap();
        let text = str::from_utf8(text.expose()).unwrap();
        let member = |name: &str| {
            let (_, rest) = text.split_once(&format!(r#""{name}":""#)).unwrap();
            rest.split_once('"').unwrap().0
        };
        for (name, value) in [("alg", "ES256"), ("crv", "P-256"), ("kty", "EC")] {
            assert_eq!(member(name), value);
        }
        let part = |name: &str| base64url::decode(member(name)).unwrap();
        assert_eq!(part("d").len(), 32);
        let point = [&[4][..], &part("x"), &part("y")].concat();
        assert_eq!(point, key.public().to_public_bytes());
        let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
        assert!(matches!(other.to_private_jwk(), Err(KeyError::NoJwk)));
    }

    #[test]
    fn der_and_fixed_are_not_exchanged() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let der = key.sign_der(b"message").unwrap();
        assert!(AwsLc.verify_es256_der(key.public(), b"message", &der));
        assert!(!AwsLc.verify(key.public(), b"message", &der));
        assert!(!AwsLc.verify_es256_der(key.public(), b"message", &key.sign(b"message").unwrap()));
    }

    #[test]
    fn a_point_off_the_curve_is_no_key() {
        assert!(!AwsLc.is_valid_key(&Jwk::p256([1; 32], [1; 32])));
    }

    #[test]
    fn is_not_printed() {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let printed = format!("{key:?}");
        assert!(printed.contains(&key.public().kid()) && printed.ends_with(".. }"));
    }

    #[test]
    fn refuses_the_wrong_kind() {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        assert!(SigningKey::from_pkcs8(Algorithm::Es256, key.pkcs8().clone()).is_err());
        assert!(SigningKey::from_pkcs8(Algorithm::Ed25519, Secret::new(vec![0; 48])).is_err());
    }
}
