use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most bytes of an audience: as many as a SPIFFE ID has.
pub const MAX_AUDIENCE_BYTES: usize = 2_048;

/// Whom a JWT-SVID is for: 1 to 2,048 bytes without control characters. What else it means is
/// the site's (JWT-SVID section 3.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JwtAudience(String);

/// Why a text is no audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtAudienceError {
    /// Nothing.
    #[error("audience is empty")]
    Empty,
    /// More than [`MAX_AUDIENCE_BYTES`].
    #[error("audience is longer than {MAX_AUDIENCE_BYTES} bytes")]
    TooLong,
    /// A control character.
    #[error("audience holds a control character")]
    Control,
}

impl JwtAudience {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JwtAudience {
    type Err = JwtAudienceError;

    fn from_str(text: &str) -> Result<Self, JwtAudienceError> {
        if text.is_empty() {
            return Err(JwtAudienceError::Empty);
        }
        if text.len() > MAX_AUDIENCE_BYTES {
            return Err(JwtAudienceError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(JwtAudienceError::Control);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for JwtAudience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for JwtAudience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for JwtAudience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
