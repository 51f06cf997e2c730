//! Salted commitments: what a log says in place of what it must not carry.

use chancery_types::Digest;
use serde::{Deserialize, Serialize};

use crate::{FieldType, Label};

const TAG: &[u8] = b"chancery/commit/v1";

/// A commitment to one value. Says nothing about the value to anyone without the salt, and cannot
/// be opened to another value. Erasing value and salt leaves every proof about it valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commitment(Digest);

impl Commitment {
    /// Takes a digest that is a commitment.
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest.
    pub const fn as_digest(&self) -> &Digest {
        &self.0
    }
}

impl FieldType for Commitment {
    fn describe() -> String {
        "commitment".to_owned()
    }

    fn schema() -> serde_json::Value {
        Digest::schema()
    }
}

/// Commits to `value` under `name` with a salt of 32 random bytes that is used once: SHA-256 over
/// `chancery/commit/v1`, then name, salt and value, each behind its length in eight bytes, big
/// endian.
pub fn commit(name: &str, salt: &[u8; 32], value: &[u8]) -> Commitment {
    let lengths = [name.len(), salt.len(), value.len()].map(|length| (length as u64).to_be_bytes());
    let [name_length, salt_length, value_length] = &lengths;
    Commitment(Digest::of_parts([
        TAG,
        name_length,
        name.as_bytes(),
        salt_length,
        salt,
        value_length,
        value,
    ]))
}

/// What opens a commitment. Kept outside of the log, handed to those who may know.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// What the value is; the name of the field that holds the commitment.
    pub name: Label,
    #[serde(with = "salt_text")]
    /// The salt.
    pub salt: [u8; 32],
    /// The value.
    pub value: String,
}

/// A disclosure that does not open the commitment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the disclosure of {name} does not open the commitment {commitment}")]
pub struct DisclosureError {
    name: Label,
    commitment: Digest,
}

impl Disclosure {
    /// The commitment that this opens.
    pub fn commitment(&self) -> Commitment {
        commit(self.name.as_str(), &self.salt, self.value.as_bytes())
    }

    /// The value, once it is shown that `commitment` is to it under `name`.
    pub fn open(&self, name: &str, commitment: &Commitment) -> Result<&str, DisclosureError> {
        let made = commit(name, &self.salt, self.value.as_bytes());
        if self.name == *name && made.0.ct_eq(&commitment.0) {
            return Ok(&self.value);
        }
        Err(DisclosureError {
            name: self.name.clone(),
            commitment: commitment.0,
        })
    }
}

impl std::fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disclosure")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

mod salt_text {
    use chancery_types::base64url;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        salt: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(salt))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        base64url::decode_array(&String::deserialize(deserializer)?)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disclosure() -> Disclosure {
        Disclosure {
            name: "principal".parse().unwrap(),
            salt: [7; 32],
            value: "Ada".to_owned(),
        }
    }

    #[test]
    fn only_the_committed_value_opens() {
        let commitment = disclosure().commitment();
        assert_eq!(disclosure().open("principal", &commitment), Ok("Ada"));
        for other in [
            Disclosure {
                value: "Bob".to_owned(),
                ..disclosure()
            },
            Disclosure {
                value: String::new(),
                ..disclosure()
            },
            Disclosure {
                salt: [8; 32],
                ..disclosure()
            },
            Disclosure {
                name: "operator".parse().unwrap(),
                ..disclosure()
            },
        ] {
            assert!(other.open("principal", &commitment).is_err());
        }
        assert!(disclosure().open("operator", &commitment).is_err());
    }

    #[test]
    fn parts_cannot_be_shifted() {
        assert_ne!(commit("ab", &[0; 32], b"c"), commit("a", &[0; 32], b"bc"));
        assert_ne!(commit("", &[0; 32], b""), commit("\0", &[0; 32], b""));
        let shifted = {
            let mut salt = [0; 32];
            salt[0] = b'x';
            salt
        };
        // One and the same text but for where each part ends.
        assert_ne!(commit("a", &shifted, b"\0"), commit("ax", &[0; 32], b""));
        assert_ne!(
            commit("a", &shifted, b"\0yz"),
            commit("ax", &[0; 32], b"yz")
        );
    }

    #[test]
    fn the_recipe_is_fixed() {
        // A change of the recipe would orphan every commitment that was ever logged.
        let bytes = [
            &b"chancery/commit/v1"[..],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            b"a",
            &[0, 0, 0, 0, 0, 0, 0, 32],
            &[9; 32],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            b"bc",
        ]
        .concat();
        assert_eq!(commit("a", &[9; 32], b"bc").as_digest(), &Digest::of(bytes));
    }

    #[test]
    fn a_disclosure_does_not_print_and_reads_strictly() {
        assert!(!format!("{:?}", disclosure()).contains("Ada"));
        let good = serde_json::to_string(&disclosure()).unwrap();
        assert_eq!(
            serde_json::from_str::<Disclosure>(&good).unwrap(),
            disclosure()
        );
        for bad in [
            good.replace("\"salt\":\"", "\"salt\":\"A"),
            good.replace('}', ",\"more\":1}"),
            good.replace("\"value\":\"Ada\"", "\"value\":1"),
        ] {
            assert!(serde_json::from_str::<Disclosure>(&bad).is_err(), "{bad}");
        }
    }
}
