use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MAX_BYTES: usize = 64;

/// Whose files a registration comes from: 1 to 64 lower-case letters, digits, dots, hyphens and
/// underscores. What has one is changed and taken out with those files; what has none was registered by
/// hand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistrationOwner(String);

/// Why a text is no owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an owner has 1 to {MAX_BYTES} lower-case letters, digits, dots, hyphens and underscores")]
pub struct RegistrationOwnerError;

impl RegistrationOwner {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegistrationOwner {
    type Err = RegistrationOwnerError;

    fn from_str(text: &str) -> Result<Self, RegistrationOwnerError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for RegistrationOwner {
    type Error = RegistrationOwnerError;

    fn try_from(text: String) -> Result<Self, RegistrationOwnerError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        if text.is_empty() || text.len() > MAX_BYTES || !text.bytes().all(allowed) {
            return Err(RegistrationOwnerError);
        }
        Ok(Self(text))
    }
}

impl From<RegistrationOwner> for String {
    fn from(owner: RegistrationOwner) -> Self {
        owner.0
    }
}

impl fmt::Display for RegistrationOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_plain_name() {
        let longest = "o".repeat(MAX_BYTES);
        for good in ["files", "team-a", "a.b_c", "1", &longest] {
            assert_eq!(good.parse::<RegistrationOwner>().unwrap().to_string(), good);
        }
        let too_long = format!("{longest}o");
        for bad in ["", "A", "a b", "a/b", "é", "a\n", &too_long] {
            let refused = bad.parse::<RegistrationOwner>();
            assert_eq!(refused, Err(RegistrationOwnerError), "{bad:?}");
        }
    }
}
