use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;

const MAX_BYTES: usize = 64;

/// The name of a tool server, as it stands in `/mcp/{server}`: 1 to 64 of `a-z`, `0-9`, `-`, `_`
/// and `.`, starting with a letter or digit. Never a path, never percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ServerName(Arc<str>);

/// Why a text is not the name of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a server name: expected 1 to 64 of a-z, 0-9, - _ and ., starting with a letter or digit"
)]
pub struct ServerNameError;

impl ServerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let starts = text.bytes().next().is_some_and(plain);
        let continues = text
            .bytes()
            .all(|byte| plain(byte) || b"-_.".contains(&byte));
        if starts && continues && text.len() <= MAX_BYTES {
            Ok(Self(text.into()))
        } else {
            Err(ServerNameError)
        }
    }
}

impl TryFrom<String> for ServerName {
    type Error = ServerNameError;

    fn try_from(text: String) -> Result<Self, ServerNameError> {
        text.parse()
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_one_plain_segment() {
        assert_eq!(
            "fs-1.x_y".parse::<ServerName>().unwrap().to_string(),
            "fs-1.x_y"
        );
        let long = "a".repeat(65);
        for bad in ["", ".", "..", "-a", "A", "a/b", "a%2e", "é", "a b", &long] {
            assert_eq!(bad.parse::<ServerName>(), Err(ServerNameError), "{bad:?}");
        }
    }
}
