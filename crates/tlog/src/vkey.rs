use std::fmt;
use std::str::FromStr;

use chancery_types::{Digest, Jwk, JwkError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::{decode_base64, encode_base64};
use crate::{KeyName, NameError, NoteSignature};

/// Bytes of an ML-DSA-44 public key (FIPS 204).
const ML_DSA_44_PUBLIC_BYTES: usize = 1_312;

/// A signature type of our logs (C2SP signed-note, "Signature types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignatureKind {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x04: a timestamped Ed25519 cosignature over the note's text; a witness's, never a log's.
    Cosignature,
    /// 0x06: a timestamped ML-DSA-44 cosignature over the tree.
    MlDsa44,
}

/// The public key of one signature type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// An Ed25519 key that signs texts; never of small order.
    Ed25519(Jwk),
    /// An Ed25519 key that cosigns checkpoints; never of small order.
    Cosignature(Jwk),
    /// The 1,312 bytes of an ML-DSA-44 key.
    MlDsa44(Vec<u8>),
}

/// A verifier key: a name, a key and the id that follows from both. Parsed from and displayed as
/// a C2SP vkey, in one spelling.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    key_id: [u8; 4],
    key: KeyMaterial,
}

/// Why a text is not a verifier key of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierKeyError {
    /// Not `name+hex+base64`.
    #[error("not a verifier key: expected <name>+<8 hex digits>+<base64>")]
    Shape,
    /// The name.
    #[error("malformed name in a verifier key")]
    Name(#[source] NameError),
    /// The signature type is not 0x01, 0x04 or 0x06.
    #[error(
        "verifier key of another signature type than Ed25519 (0x01), Ed25519 cosignatures (0x04) and ML-DSA-44 (0x06)"
    )]
    Type,
    /// The key has the wrong length.
    #[error("verifier key of the wrong length")]
    Length,
    /// The Ed25519 key is one that verifies forgeries.
    #[error("unacceptable Ed25519 verifier key")]
    Weak(#[source] JwkError),
    /// The id is not the one that follows from name and key.
    #[error("the id in a verifier key is not the key's")]
    KeyId,
}

impl SignatureKind {
    /// The type byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
            Self::MlDsa44 => 0x06,
        }
    }
}

impl fmt::Display for SignatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::Cosignature => "Ed25519 cosignature",
            Self::MlDsa44 => "ML-DSA-44",
        })
    }
}

impl VerifierKey {
    /// The vkey of an Ed25519 public key.
    pub fn ed25519(name: KeyName, public: &[u8]) -> Result<Self, VerifierKeyError> {
        Ok(Self::new(name, KeyMaterial::Ed25519(ed25519(public)?)))
    }

    /// The vkey of a witness's Ed25519 public key.
    pub fn cosignature(name: KeyName, public: &[u8]) -> Result<Self, VerifierKeyError> {
        Ok(Self::new(name, KeyMaterial::Cosignature(ed25519(public)?)))
    }

    /// The vkey of an ML-DSA-44 public key.
    pub fn ml_dsa_44(name: KeyName, public: &[u8]) -> Result<Self, VerifierKeyError> {
        if public.len() != ML_DSA_44_PUBLIC_BYTES {
            return Err(VerifierKeyError::Length);
        }
        Ok(Self::new(name, KeyMaterial::MlDsa44(public.to_vec())))
    }

    /// The name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Whether a signature line names this key: its name and its id.
    pub fn is_named_by(&self, line: &NoteSignature) -> bool {
        line.name() == &self.name && line.key_id() == self.key_id
    }

    /// The first four bytes of SHA-256 over name, newline, type and key.
    pub const fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// The key.
    pub const fn key(&self) -> &KeyMaterial {
        &self.key
    }

    /// The signature type.
    pub const fn kind(&self) -> SignatureKind {
        self.key.kind()
    }

    fn new(name: KeyName, key: KeyMaterial) -> Self {
        let digest = Digest::of_parts([
            name.as_str().as_bytes(),
            b"\n",
            &[key.kind().byte()],
            &key.public_bytes(),
        ]);
        let [a, b, c, d, ..] = *digest.as_bytes();
        Self {
            name,
            key_id: [a, b, c, d],
            key,
        }
    }
}

impl KeyMaterial {
    const fn kind(&self) -> SignatureKind {
        match self {
            Self::Ed25519(_) => SignatureKind::Ed25519,
            Self::Cosignature(_) => SignatureKind::Cosignature,
            Self::MlDsa44(_) => SignatureKind::MlDsa44,
        }
    }

    /// The bytes of the public key. Two keys that wrap the same bytes are the same key, whatever
    /// they are called and used for (C2SP tlog-policy, "Public key representation").
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) | Self::Cosignature(key) => key.to_public_bytes(),
            Self::MlDsa44(public) => public.clone(),
        }
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(key_id), Some(key)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(VerifierKeyError::Shape);
        };
        let name = name.parse().map_err(VerifierKeyError::Name)?;
        let key = decode_base64(key).ok_or(VerifierKeyError::Shape)?;
        let key = match key.split_first() {
            Some((0x01, public)) => Self::ed25519(name, public)?,
            Some((0x04, public)) => Self::cosignature(name, public)?,
            Some((0x06, public)) => Self::ml_dsa_44(name, public)?,
            Some(_) => return Err(VerifierKeyError::Type),
            None => return Err(VerifierKeyError::Shape),
        };
        if hex(key.key_id) != key_id {
            return Err(VerifierKeyError::KeyId);
        }
        Ok(key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind().byte()][..], &self.key.public_bytes()].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            hex(self.key_id),
            encode_base64(&key)
        )
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{} ({})", self.name, hex(self.key_id), self.kind())
    }
}

impl Serialize for VerifierKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VerifierKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

fn ed25519(public: &[u8]) -> Result<Jwk, VerifierKeyError> {
    let public = public.try_into().map_err(|_| VerifierKeyError::Length)?;
    Jwk::ed25519(public).map_err(VerifierKeyError::Weak)
}

fn hex(key_id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(key_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn reads_the_example_of_the_specification() {
        let key: VerifierKey = EXAMPLE.parse().unwrap();
        assert_eq!(key.kind(), SignatureKind::Ed25519);
        assert_eq!(key.to_string(), EXAMPLE);
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<VerifierKey>(&json).unwrap(), key);
    }

    #[test]
    fn the_same_key_under_two_types_is_two_identities() {
        let name: KeyName = "n".parse().unwrap();
        let post_quantum = VerifierKey::ml_dsa_44(name.clone(), &[7; 1_312]).unwrap();
        let again: VerifierKey = post_quantum.to_string().parse().unwrap();
        assert_eq!(again, post_quantum);
        assert_eq!(again.kind(), SignatureKind::MlDsa44);
        assert!(VerifierKey::ml_dsa_44(name.clone(), &[7; 1_311]).is_err());
        assert!(VerifierKey::ed25519(name, &[7; 33]).is_err());
    }

    #[test]
    fn a_witness_key_is_not_the_text_key_of_the_same_bytes() {
        let text: VerifierKey = EXAMPLE.parse().unwrap();
        let public = text.key().public_bytes();
        let witness = VerifierKey::cosignature(text.name().clone(), &public).unwrap();
        assert_eq!(witness.kind(), SignatureKind::Cosignature);
        assert_ne!(witness.key_id(), text.key_id());
        let again: VerifierKey = witness.to_string().parse().unwrap();
        assert_eq!(again, witness);
        assert!(VerifierKey::cosignature(text.name().clone(), &public[1..]).is_err());
        assert!(VerifierKey::cosignature(text.name().clone(), &[0; 32]).is_err());
    }

    #[test]
    fn refuses_other_keys() {
        let zero = format!(
            "n+00000000+{}",
            encode_base64(&[&[1][..], &[0; 32]].concat())
        );
        for bad in [
            "",
            "example.com/foo",
            "example.com/foo+530d903a",
            "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U0=",
            "example.com/foo+530d903a+",
            &zero,
        ] {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad:?}");
        }
    }
}
