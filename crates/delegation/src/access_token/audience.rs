use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

const MAX_BYTES: usize = 128;

/// The one argument that an exchange may have.
pub const AUTHORIZATION_DETAILS: &str = "authorization_details";

/// A relying party, as the `aud` of its tokens names it: an absolute URI of at most 128 letters,
/// digits and `.`, `-`, `_`, `/` and `:`. No query, fragment, escape or wildcard, so that there is one
/// spelling of it, in chains and policies too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Audience(String);

/// Why a text is not the name of a relying party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an audience: expected an absolute URI of at most 128 letters, digits and . - _ / :, such as \
     https://api.example.org"
)]
pub struct AudienceError;

impl Audience {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tool that an exchange for this audience calls, as a tool server would list it. Its tokens
    /// carry entries of `servers` alone; what is changed of that is another tool to whoever pinned it.
    pub fn to_tool<'s>(&self, servers: impl Iterator<Item = &'s str>) -> Value {
        let mut servers: Vec<_> = servers.collect();
        servers.sort_unstable();
        let carries = match servers.as_slice() {
            [] => "It carries no authorization details.".to_owned(),
            some => format!("It carries entries of {} alone.", some.join(", ")),
        };
        json!({
            "name": self.0,
            "description": format!(
                "Exchanges the delegation chain for an access token for {self} (RFC 8693). {carries}"
            ),
            "inputSchema": {
                "type": "object",
                "properties": {AUTHORIZATION_DETAILS: {"type": "array"}},
                "additionalProperties": false
            },
            "annotations": {"readOnlyHint": false, "destructiveHint": true}
        })
    }
}

impl FromStr for Audience {
    type Err = AudienceError;

    fn from_str(text: &str) -> Result<Self, AudienceError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/:".contains(&byte);
        let (scheme, rest) = text.split_once(':').ok_or(AudienceError)?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let good = is_scheme
            && !rest.trim_matches('/').is_empty()
            && text.len() <= MAX_BYTES
            && text.bytes().all(plain);
        good.then(|| Self(text.to_owned())).ok_or(AudienceError)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_has_one_spelling() {
        for good in [
            "https://api.example.org/v1",
            "urn:a:b",
            "spiffe://t.example/agent/a",
        ] {
            assert_eq!(good.parse::<Audience>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "api",
            ":x",
            "https:",
            "https://",
            "HTTPS://api.example",
            "https://a.example/?q=1",
            "https://a.example/#f",
            "https://a.example/*",
            "https://a.example/%41",
            "https://a b",
            "https://a.example,https://b.example",
            &format!("https://{}", "a".repeat(121)),
        ] {
            assert_eq!(bad.parse::<Audience>(), Err(AudienceError), "{bad}");
        }
    }

    #[test]
    fn what_tokens_carry_is_part_of_what_is_pinned() {
        let audience: Audience = "https://api.example".parse().unwrap();
        let tool = |servers: &[&str]| audience.to_tool(servers.iter().copied());
        assert_eq!(tool(&["a", "b"]), tool(&["b", "a"]));
        assert_ne!(
            tool(&["a", "b"])["description"],
            tool(&["a"])["description"]
        );
        assert_ne!(tool(&[])["description"], tool(&["a"])["description"]);
    }
}
