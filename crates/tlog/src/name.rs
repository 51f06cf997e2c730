use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name in bytes: cosignatures carry its length in one byte.
const MAX_NAME_BYTES: usize = 255;

/// The name of a key in a note: 1 to 255 bytes, no Unicode space, no control character, no plus
/// (C2SP signed-note, "Format").
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

/// The origin of one log: what its checkpoints begin with and what its keys are called. It is a
/// [`KeyName`], which C2SP recommends and our logs require.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(KeyName);

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key name: expected 1 to 255 bytes without spaces, control characters and plus")]
pub struct NameError;

impl KeyName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Origin {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name of the log's keys.
    pub const fn key_name(&self) -> &KeyName {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fits = (1..=MAX_NAME_BYTES).contains(&text.len());
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
        (fits && text.chars().all(plain))
            .then(|| Self(text.to_owned()))
            .ok_or(NameError)
    }
}

impl FromStr for Origin {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(KeyName);
as_text!(Origin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_a_note_line_cannot_carry() {
        assert!("example.com/log/gateway".parse::<Origin>().is_ok());
        let long = "x".repeat(256);
        for bad in [
            "",
            "a b",
            "a\u{a0}b",
            "a\u{2003}b",
            "a+b",
            "a\nb",
            "a\u{7f}",
            "\t",
            &long,
        ] {
            assert_eq!(bad.parse::<KeyName>(), Err(NameError), "{bad:?}");
            assert_eq!(bad.parse::<Origin>(), Err(NameError), "{bad:?}");
        }
    }
}
