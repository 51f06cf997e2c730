use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::federation::{EndpointUrl, EndpointUrlError};

/// The issuer of JWT-SVIDs for readers that know OpenID Connect: an `https` URL without query,
/// fragment and slash at the end, in the one spelling that tokens and the discovery document have
/// (OpenID Connect Discovery section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtIssuer(String);

/// Why a text is no issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtIssuerError {
    /// Not the URL of an `https` server.
    #[error("issuer is no https url")]
    Url(#[from] EndpointUrlError),
    /// A query or a fragment.
    #[error("issuer has a query or a fragment")]
    Query,
    /// A slash at the end.
    #[error("issuer ends with a slash")]
    Slash,
}

impl JwtIssuer {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the host: empty, or a path that begins with a slash.
    pub fn path(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/')
            .and_then(|start| rest.get(start..))
            .unwrap_or_default()
    }
}

impl FromStr for JwtIssuer {
    type Err = JwtIssuerError;

    fn from_str(text: &str) -> Result<Self, JwtIssuerError> {
        let _: EndpointUrl = text.parse()?;
        if text.contains(['?', '#']) {
            return Err(JwtIssuerError::Query);
        }
        if text.ends_with('/') {
            return Err(JwtIssuerError::Slash);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for JwtIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for JwtIssuer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for JwtIssuer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_one_spelling() {
        for (text, path) in [
            ("https://td.example", ""),
            ("https://td.example:8443", ""),
            ("https://td.example/tenant/a", "/tenant/a"),
        ] {
            let issuer: JwtIssuer = text.parse().unwrap();
            assert_eq!((issuer.as_str(), issuer.path()), (text, path));
        }
        for (text, error) in [
            (
                "http://td.example",
                JwtIssuerError::Url(EndpointUrlError::Scheme),
            ),
            (
                "https://a@td.example",
                JwtIssuerError::Url(EndpointUrlError::User),
            ),
            ("https://", JwtIssuerError::Url(EndpointUrlError::Host)),
            ("https://td.example?a", JwtIssuerError::Query),
            ("https://td.example/#", JwtIssuerError::Query),
            ("https://td.example/", JwtIssuerError::Slash),
            ("https://td.example/a/", JwtIssuerError::Slash),
        ] {
            assert_eq!(text.parse::<JwtIssuer>(), Err(error), "{text}");
        }
    }
}
