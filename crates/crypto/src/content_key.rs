use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use chancery_types::Secret;

use crate::{RandomError, random_bytes};

/// Bytes of a content key.
pub const CONTENT_KEY_BYTES: usize = 32;

/// Why a value is not sealed or does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The library refused to seal.
    #[error("the value cannot be sealed")]
    Seal,
    /// Shorter than nonce and tag.
    #[error("the sealed value is cut short")]
    Truncated,
    /// Another key, another context, or other bytes than were sealed.
    #[error("the sealed value is not one of this key and place")]
    Refused,
    /// The bytes are no key.
    #[error("a content key has 32 bytes")]
    Key,
}

/// Authenticated encryption of values that are kept: what opens is what was sealed, under the same
/// key, for the same context. Says nothing about a value to whoever lacks the key, but for its
/// length.
pub trait ContentCipher: fmt::Debug + Send + Sync {
    /// Seals a value for a context. Two seals of one value differ.
    fn seal(&self, context: &[u8], value: &[u8]) -> Result<Vec<u8>, SealError>;

    /// The value, where it was sealed by this key for this context.
    fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Secret, SealError>;
}

/// A key that seals values with AES-256-GCM (NIST SP 800-38D): a random nonce of 12 bytes, then the
/// ciphertext, then the tag of 16. Good for 2^32 values.
pub struct ContentKey {
    key: RandomizedNonceKey,
    bytes: Secret,
}

impl ContentKey {
    /// Makes a fresh key.
    pub fn generate() -> Result<Self, RandomError> {
        let bytes = random_bytes::<CONTENT_KEY_BYTES>()?;
        Self::from_bytes(Secret::new(bytes.to_vec())).map_err(|_| RandomError)
    }

    /// The key of 32 bytes.
    pub fn from_bytes(bytes: Secret) -> Result<Self, SealError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes.expose());
        Ok(Self {
            key: key.map_err(|_| SealError::Key)?,
            bytes,
        })
    }

    /// The 32 bytes, for a key file or to be sealed by another key.
    pub const fn bytes(&self) -> &Secret {
        &self.bytes
    }
}

impl ContentCipher for ContentKey {
    fn seal(&self, context: &[u8], value: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = value.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(context), &mut sealed)
            .map_err(|_| SealError::Seal)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Secret, SealError> {
        let (nonce, sealed) = sealed
            .split_at_checked(NONCE_LEN)
            .filter(|(_, rest)| rest.len() >= AES_256_GCM.tag_len())
            .ok_or(SealError::Truncated)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Truncated)?;
        let mut sealed = sealed.to_vec();
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(context), &mut sealed)
            .map_err(|_| SealError::Refused)?;
        let length = opened.len();
        sealed.truncate(length);
        Ok(Secret::new(sealed))
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_for_the_same_place_alone() {
        let key = ContentKey::generate().unwrap();
        let sealed = key.seal(b"here", b"a value").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"a value"));
        assert!(key.open(b"here", &sealed).unwrap().ct_eq(b"a value"));
        assert_ne!(sealed, key.seal(b"here", b"a value").unwrap());
        let again = ContentKey::from_bytes(key.bytes().clone()).unwrap();
        assert!(again.open(b"here", &sealed).unwrap().ct_eq(b"a value"));
        let refused = |opened: Result<Secret, SealError>| opened.err();
        assert_eq!(
            refused(key.open(b"there", &sealed)),
            Some(SealError::Refused)
        );
        let other = ContentKey::generate().unwrap();
        assert_eq!(
            refused(other.open(b"here", &sealed)),
            Some(SealError::Refused)
        );
        for place in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[place] ^= 1;
            assert_eq!(
                refused(key.open(b"here", &flipped)),
                Some(SealError::Refused)
            );
        }
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let key = ContentKey::generate().unwrap();
        let sealed = key.seal(b"", b"").unwrap();
        assert_eq!(sealed.len(), 28);
        assert!(key.open(b"", &sealed).unwrap().expose().is_empty());
        for length in 0..sealed.len() {
            let opened = key.open(b"", &sealed[..length]);
            assert_eq!(opened.err(), Some(SealError::Truncated), "{length}");
        }
        let longer = key.seal(b"", b"value").unwrap();
        let cut = key.open(b"", &longer[..longer.len() - 1]);
        assert_eq!(cut.err(), Some(SealError::Refused));
    }

    #[test]
    fn is_not_printed_and_has_its_length() {
        let key = ContentKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "ContentKey([redacted])");
        for length in [0, 16, 31, 33] {
            let made = ContentKey::from_bytes(Secret::new(vec![1; length]));
            assert_eq!(made.err(), Some(SealError::Key), "{length}");
        }
    }
}
