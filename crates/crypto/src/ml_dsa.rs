use std::fmt;

use aws_lc_rs::signature::{KeyPair as _, ML_DSA_44_SIGNING, PqdsaKeyPair};
use chancery_types::Secret;

use crate::KeyError;

/// An ML-DSA-44 private key (FIPS 204), for checkpoints. Stored as its 32-byte seed.
pub struct MlDsa44Key {
    pair: PqdsaKeyPair,
    seed: Secret,
}

impl MlDsa44Key {
    /// Makes a fresh key.
    pub fn generate() -> Result<Self, KeyError> {
        let seed = crate::random_bytes::<32>().map_err(|_| KeyError::Generate)?;
        Self::from_seed(Secret::new(seed.to_vec()))
    }

    /// The key of a 32-byte seed.
    pub fn from_seed(seed: Secret) -> Result<Self, KeyError> {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, seed.expose())
            .map_err(|_| KeyError::Generate)?;
        Ok(Self { pair, seed })
    }

    /// The 1,312 public bytes.
    pub fn public(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// The seed, for a key file.
    pub const fn seed(&self) -> &Secret {
        &self.seed
    }

    /// Signs with an empty context.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.algorithm().signature_len()];
        let length = self
            .pair
            .sign(message, &mut signature)
            .map_err(|_| KeyError::Sign)?;
        signature.truncate(length);
        Ok(signature)
    }
}

impl fmt::Debug for MlDsa44Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MlDsa44Key([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use chancery_types::SignatureVerifier as _;

    use super::*;
    use crate::AwsLc;

    #[test]
    fn signs_what_its_public_half_verifies() {
        let key = MlDsa44Key::generate().unwrap();
        let public = key.public();
        assert_eq!(public.len(), 1_312);
        let again = MlDsa44Key::from_seed(key.seed().clone()).unwrap();
        let signature = again.sign(b"message").unwrap();
        assert_eq!(signature.len(), 2_420);
        assert!(AwsLc.verify_ml_dsa_44(&public, b"message", &signature));
        assert!(!AwsLc.verify_ml_dsa_44(&public, b"massage", &signature));
        assert!(!AwsLc.verify_ml_dsa_44(&public, b"message", &signature[1..]));
    }
}
