use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most bytes of a hint (Workload API section 5.2.1).
const MAX_BYTES: usize = 1_024;

/// What tells a workload which of several SVIDs is for what (Workload API section 5.2.1): 1 to 1,024
/// bytes of text without control characters. It says nothing of who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hint(String);

/// Why a text is no hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hint has 1 to {MAX_BYTES} bytes and no control characters")]
pub struct HintError;

impl Hint {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hint {
    type Err = HintError;

    fn from_str(text: &str) -> Result<Self, HintError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Hint {
    type Error = HintError;

    fn try_from(text: String) -> Result<Self, HintError> {
        if text.is_empty() || text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            return Err(HintError);
        }
        Ok(Self(text))
    }
}

impl From<Hint> for String {
    fn from(hint: Hint) -> Self {
        hint.0
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_short_text() {
        let longest = "h".repeat(MAX_BYTES);
        for good in ["internal", "é ü", &longest] {
            assert_eq!(good.parse::<Hint>().unwrap().to_string(), good);
        }
        let too_long = format!("{longest}h");
        for bad in ["", "a\nb", "\u{7f}", "\u{85}", "\0", &too_long] {
            assert_eq!(bad.parse::<Hint>(), Err(HintError), "{bad:?}");
        }
    }
}
