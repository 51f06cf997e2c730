//! SPIFFE IDs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::TrustDomain;

/// The most bytes of an ID that we issue. Longer ones are read, never minted (SPIFFE-ID
/// section 2.3).
pub const MAX_MINTED_ID_BYTES: usize = 2_048;

const SCHEME: &str = "spiffe://";

/// A SPIFFE ID in its one spelling: `spiffe://`, a [`TrustDomain`] and a path of zero or more
/// segments of `[a-zA-Z0-9.-_]`, none of them `.` or `..` (SPIFFE-ID section 2). Text in any other
/// spelling, upper-case trust domains included, is refused; see [`SpiffeId::normalize`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: String,
    trust_domain: TrustDomain,
}

/// Why a text is not a SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeIdError {
    /// Does not start with `spiffe://`.
    #[error("does not start with spiffe://")]
    Scheme,
    /// Nothing between `spiffe://` and the path.
    #[error("trust domain is empty")]
    EmptyTrustDomain,
    /// More than 255 bytes.
    #[error("trust domain is longer than 255 bytes")]
    TrustDomainTooLong,
    /// Upper case, a port, a user, percent-encoding or anything else outside of `[a-z0-9.-_]`.
    #[error("trust domain holds a character outside of a-z, 0-9, dot, dash and underscore")]
    TrustDomainCharacter,
    /// `//` in the path, or a slash at its end.
    #[error("path has an empty segment or ends in a slash")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("path has a dot segment")]
    DotSegment,
    /// A query, a fragment, percent-encoding or anything else outside of `[a-zA-Z0-9.-_]`.
    #[error("path holds a character outside of letters, digits, dot, dash and underscore")]
    PathCharacter,
    /// Too long for an ID that we issue.
    #[error("longer than 2048 bytes")]
    TooLong,
    /// An agent or instance ID needs a path.
    #[error("has no path")]
    NoPath,
    /// An agent ID with `/instance/` in it (decision 27).
    #[error("an agent id may not contain /instance/")]
    InstanceInAgentId,
    /// Not `<agent id>/instance/<instance id>`.
    #[error("not the id of an instance: expected <agent id>/instance/ins_...")]
    NotAnInstance,
    /// Not `/service/node/<node id>`.
    #[error("not the id of a node: expected /service/node/nod_...")]
    NotANode,
}

impl SpiffeId {
    /// Reads what a person typed: scheme and trust domain in any case (SPIFFE-ID section 2.4).
    /// Certificates and tokens are never read this way.
    pub fn normalize(text: &str) -> Result<Self, SpiffeIdError> {
        let rest = text
            .get(..SCHEME.len())
            .filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
            .and_then(|scheme| text.get(scheme.len()..))
            .ok_or(SpiffeIdError::Scheme)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (trust_domain, path) = rest.split_at_checked(end).ok_or(SpiffeIdError::Scheme)?;
        Self::from_parts(trust_domain.to_ascii_lowercase().parse()?, path)
    }

    /// The ID of `path`, which is empty or starts with a slash, in `trust_domain`.
    pub fn from_parts(trust_domain: TrustDomain, path: &str) -> Result<Self, SpiffeIdError> {
        check_path(path)?;
        Ok(Self {
            text: format!("{SCHEME}{trust_domain}{path}"),
            trust_domain,
        })
    }

    pub(crate) fn of_trust_domain(trust_domain: TrustDomain) -> Self {
        Self {
            text: format!("{SCHEME}{trust_domain}"),
            trust_domain,
        }
    }

    /// `id` and more segments that the caller knows to be well-formed.
    pub(crate) fn extended(id: &Self, suffix: &str) -> Self {
        Self {
            text: format!("{}{suffix}", id.text),
            trust_domain: id.trust_domain.clone(),
        }
    }

    /// The trust domain.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The path: empty, or a slash and segments.
    pub fn path(&self) -> &str {
        self.text
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_prefix(self.trust_domain.as_str()))
            .unwrap_or_default()
    }

    /// The whole ID.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the ID is short enough to be issued.
    pub fn is_mintable(&self) -> bool {
        self.text.len() <= MAX_MINTED_ID_BYTES
    }
}

fn check_path(path: &str) -> Result<(), SpiffeIdError> {
    if path.is_empty() {
        return Ok(());
    }
    let segments = path.strip_prefix('/').ok_or(SpiffeIdError::PathCharacter)?;
    for segment in segments.split('/') {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        match segment {
            "" => return Err(SpiffeIdError::EmptySegment),
            "." | ".." => return Err(SpiffeIdError::DotSegment),
            other if !other.bytes().all(allowed) => return Err(SpiffeIdError::PathCharacter),
            _ => {}
        }
    }
    Ok(())
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (trust_domain, path) = rest.split_at_checked(end).ok_or(SpiffeIdError::Scheme)?;
        Self::from_parts(trust_domain.parse()?, path)
    }
}

impl Serialize for SpiffeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for SpiffeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
