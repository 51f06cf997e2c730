use std::fmt;
use std::str::FromStr;

use chancery_types::Digest;
use chancery_types::limits::{MAX_CHAIN_BYTES, MAX_CHAIN_LINKS};
use serde_json::Value;

/// What stands in `Agent-Delegation`, and in `_meta["io.chancery/delegation"]`: a chain in full, or
/// the reference to one that the same holder presented in the same session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelegationField {
    /// The links, root first.
    Chain(Vec<String>),
    /// `cth` of a chain that was presented before.
    Reference(Digest),
}

/// Why a value is not one of the field's. Nothing longer than a chain is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DelegationFieldError {
    /// Neither links nor a reference.
    #[error("neither the links of a delegation nor the reference to one")]
    Malformed,
    /// More links or bytes than a chain may have.
    #[error("longer than a delegation may be")]
    TooLong,
}

impl DelegationField {
    /// Reads the JSON form: an array of links, or a string that is a reference.
    pub fn from_json(value: &Value) -> Result<Self, DelegationFieldError> {
        match value {
            Value::String(reference) => reference
                .parse()
                .map(Self::Reference)
                .map_err(|_| DelegationFieldError::Malformed),
            Value::Array(links) => {
                let links = links.iter().map(|link| match link {
                    Value::String(link) => Ok(link.as_str()),
                    _ => Err(DelegationFieldError::Malformed),
                });
                Self::chain(links.collect::<Result<_, _>>()?)
            }
            _ => Err(DelegationFieldError::Malformed),
        }
    }

    /// The JSON form.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Chain(links) => Value::from(links.clone()),
            Self::Reference(digest) => Value::from(digest.to_string()),
        }
    }

    /// `cth`: of the links, or as referred to.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Chain(links) => Digest::of(links.join(",")),
            Self::Reference(digest) => *digest,
        }
    }

    fn chain(links: Vec<&str>) -> Result<Self, DelegationFieldError> {
        let bytes = links
            .iter()
            .fold(links.len().saturating_sub(1), |sum, link| {
                sum.saturating_add(link.len())
            });
        if links.len() > MAX_CHAIN_LINKS || bytes > MAX_CHAIN_BYTES {
            return Err(DelegationFieldError::TooLong);
        }
        let is_link = |link: &&str| {
            let parts =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            !link.is_empty() && link.bytes().all(parts)
        };
        if links.is_empty() || !links.iter().all(is_link) {
            return Err(DelegationFieldError::Malformed);
        }
        Ok(Self::Chain(links.into_iter().map(str::to_owned).collect()))
    }
}

impl FromStr for DelegationField {
    type Err = DelegationFieldError;

    fn from_str(text: &str) -> Result<Self, DelegationFieldError> {
        if text.len() > MAX_CHAIN_BYTES {
            return Err(DelegationFieldError::TooLong);
        }
        if text.starts_with("sha256:") {
            return text
                .parse()
                .map(Self::Reference)
                .map_err(|_| DelegationFieldError::Malformed);
        }
        Self::chain(text.split(',').collect())
    }
}

impl fmt::Display for DelegationField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(links) => f.write_str(&links.join(",")),
            Self::Reference(digest) => digest.fmt(f),
        }
    }
}
