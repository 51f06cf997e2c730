//! Bytes that an entry carries without reading them.

use std::fmt;

use chancery_types::base64url;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 1 to 32,768 bytes of another program, in an entry as base64url without padding: an entry that
/// holds them is never longer than an entry may be, whatever its other members are.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Vec<u8>);

/// Why bytes are no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("content has 1 to 32768 bytes")]
pub struct ContentSizeError;

impl Content {
    /// Most bytes of it.
    pub const MAX_BYTES: usize = 32_768;

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether so many bytes are content.
    pub const fn is_size(bytes: usize) -> bool {
        bytes >= 1 && bytes <= Self::MAX_BYTES
    }
}

impl TryFrom<Vec<u8>> for Content {
    type Error = ContentSizeError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, ContentSizeError> {
        match Self::is_size(bytes.len()) {
            true => Ok(Self(bytes)),
            false => Err(ContentSizeError),
        }
    }
}

/// The bytes are another program's, and may be what nobody should read in a message.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = base64url::decode(&text).map_err(serde::de::Error::custom)?;
        bytes.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_empty_nor_longer_than_an_entry_has_room_for() {
        assert_eq!(Content::try_from(Vec::new()), Err(ContentSizeError));
        assert_eq!(Content::try_from(vec![0; 32_769]), Err(ContentSizeError));
        assert_eq!(
            Content::try_from(vec![7; 32_768]).unwrap().as_bytes().len(),
            32_768
        );
        for text in ["\"\"", "\"AB\"", "\"AA==\"", "7", "null"] {
            assert!(serde_json::from_str::<Content>(text).is_err(), "{text}");
        }
        let content: Content = serde_json::from_str("\"AA\"").unwrap();
        assert_eq!(content.as_bytes(), [0]);
        assert_eq!(serde_json::to_string(&content).unwrap(), "\"AA\"");
        assert_eq!(format!("{content:?}"), "Content(1 bytes)");
    }
}
