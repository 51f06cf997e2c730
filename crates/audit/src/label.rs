//! Names that stand in clear in a log.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name of 1 to 2,048 bytes without control characters: an id, a reason code, the name of a tool.
/// Never free text and never a person's name; those are commitments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// Why a text is not a label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a label: expected 1 to 2048 bytes without control characters")]
pub struct LabelError;

impl Label {
    /// Most bytes of a label.
    pub const MAX_BYTES: usize = 2_048;

    /// The text itself, or its digest where it is no label: how a log names what others named.
    pub fn or_digest(text: &str) -> Self {
        text.parse()
            .unwrap_or_else(|_| Self(chancery_types::Digest::of(text).to_string()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(LabelError);
        }
        Ok(Self(text))
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        text.to_owned().try_into()
    }
}

impl Borrow<str> for Label {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Label {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Label {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_no_name_holds() {
        let long = "x".repeat(2_049);
        for bad in ["", "a\nb", "a\0", "\u{7f}", "\u{85}", &long] {
            assert_eq!(bad.parse::<Label>(), Err(LabelError), "{bad:?}");
        }
        assert_eq!("files/read é".parse::<Label>().unwrap(), "files/read é");
        assert_eq!(Label::or_digest("a"), "a");
        assert_eq!(Label::or_digest(&long).as_str().len(), 71);
    }
}
