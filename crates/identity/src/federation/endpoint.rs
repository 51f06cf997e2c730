use std::fmt;
use std::str::FromStr;

use chancery_types::members;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{SpiffeId, TrustDomain};

/// The most bytes of the URL of a bundle endpoint.
pub const MAX_ENDPOINT_URL_BYTES: usize = 2_048;

const SCHEME: &str = "https://";

/// The URL of a bundle endpoint: scheme `https`, a host, no user; the rest is as it may be in a URL
/// (Federation sections 5.2.1.1 and 5.2.2.1). Visible ASCII only, so that no two readers disagree
/// about where the host ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointUrl {
    text: String,
    host: String,
    port: u16,
}

/// Why a text is no URL of a bundle endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointUrlError {
    /// More than [`MAX_ENDPOINT_URL_BYTES`].
    #[error("endpoint url is longer than {MAX_ENDPOINT_URL_BYTES} bytes")]
    TooLong,
    /// The scheme is not `https`, or the URL is a relative one.
    #[error("endpoint url does not start with https://")]
    Scheme,
    /// There is a user before the host.
    #[error("endpoint url holds a user")]
    User,
    /// There is no host, or one that is neither a name nor an address.
    #[error("endpoint url has no host")]
    Host,
    /// What follows the host is no port.
    #[error("endpoint url has a bad port")]
    Port,
    /// A blank, a backslash, a control character or a character outside of ASCII.
    #[error("endpoint url holds a character that no url holds")]
    Character,
}

impl EndpointUrl {
    /// The whole URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host: a name, an IPv4 address, or an IPv6 address in brackets; lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 443 where none is named.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for EndpointUrl {
    type Err = EndpointUrlError;

    fn from_str(text: &str) -> Result<Self, EndpointUrlError> {
        if text.len() > MAX_ENDPOINT_URL_BYTES {
            return Err(EndpointUrlError::TooLong);
        }
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !br#"\"<>^`{|}"#.contains(&byte))
        {
            return Err(EndpointUrlError::Character);
        }
        let scheme = text.get(..SCHEME.len());
        if !scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)) {
            return Err(EndpointUrlError::Scheme);
        }
        let rest = text.get(SCHEME.len()..).unwrap_or_default();
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        if authority.contains('@') {
            return Err(EndpointUrlError::User);
        }
        let (host, port) = split(authority)?;
        Ok(Self {
            text: text.to_owned(),
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

/// Host and port.
fn split(authority: &str) -> Result<(&str, u16), EndpointUrlError> {
    let end = match authority.strip_prefix('[') {
        Some(_) => authority.find(']').ok_or(EndpointUrlError::Host)? + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority
        .split_at_checked(end)
        .ok_or(EndpointUrlError::Host)?;
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let good = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !host.is_empty() && host.bytes().all(named)
        }
    };
    if !good {
        return Err(EndpointUrlError::Host);
    }
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => 443,
        // RFC 3986 lets a port be empty.
        Some("") => 443,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port: u16 = digits.parse().map_err(|_| EndpointUrlError::Port)?;
            (port != 0).then_some(port).ok_or(EndpointUrlError::Port)?
        }
        _ => return Err(EndpointUrlError::Port),
    };
    Ok((host, port))
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for EndpointUrl {
    type Error = EndpointUrlError;

    fn try_from(text: String) -> Result<Self, EndpointUrlError> {
        text.parse()
    }
}

impl From<EndpointUrl> for String {
    fn from(url: EndpointUrl) -> Self {
        url.text
    }
}

/// How the server of a bundle is authenticated. Never inferred, and never one for want of the other
/// (Federation section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointProfile {
    /// By a certificate of the Web's authorities for the host of the URL.
    HttpsWeb,
    /// By the X.509-SVID of exactly this workload.
    HttpsSpiffe {
        /// The endpoint's SPIFFE ID.
        endpoint: SpiffeId,
    },
}

/// That the bundle of one foreign trust domain is fetched: its name, where from, and how the server
/// is authenticated, each said explicitly (Federation section 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Fields")]
pub struct Relationship {
    trust_domain: TrustDomain,
    url: EndpointUrl,
    profile: EndpointProfile,
}

/// Why parameters are none of a relationship.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelationshipError {
    /// `https_spiffe` without the endpoint's SPIFFE ID.
    #[error("profile https_spiffe needs endpoint_spiffe_id")]
    EndpointMissing,
    /// `https_web` with one.
    #[error("profile https_web has no endpoint_spiffe_id")]
    EndpointNotUsed,
    /// The endpoint's SPIFFE ID names a trust domain: no X.509-SVID authenticates as one.
    #[error("endpoint_spiffe_id names no workload")]
    NoWorkload,
}

impl Relationship {
    /// The relationship of those parameters.
    pub fn new(
        trust_domain: TrustDomain,
        url: EndpointUrl,
        profile: EndpointProfile,
    ) -> Result<Self, RelationshipError> {
        if let EndpointProfile::HttpsSpiffe { endpoint } = &profile
            && endpoint.path().is_empty()
        {
            return Err(RelationshipError::NoWorkload);
        }
        Ok(Self {
            trust_domain,
            url,
            profile,
        })
    }

    /// Whose bundle it is.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Where every fetch begins, whatever it was redirected to before.
    pub const fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// How the server is authenticated, also the one that a fetch is redirected to.
    pub const fn profile(&self) -> &EndpointProfile {
        &self.profile
    }

    /// Whether the server is a workload of the trust domain whose bundle it serves.
    pub fn is_self_serving(&self) -> bool {
        match &self.profile {
            EndpointProfile::HttpsWeb => false,
            EndpointProfile::HttpsSpiffe { endpoint } => {
                *endpoint.trust_domain() == self.trust_domain
            }
        }
    }

    /// Where a fetch goes on that was redirected: a whole URL that could have been configured.
    /// Nothing remembers it (Federation sections 5.2.1.4 and 5.2.2.4).
    pub fn redirected(&self, location: &str) -> Result<EndpointUrl, EndpointUrlError> {
        location.parse()
    }
}

/// The parameters as they are written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    trust_domain: TrustDomain,
    endpoint_url: EndpointUrl,
    profile: ProfileName,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "members::present"
    )]
    endpoint_spiffe_id: Option<SpiffeId>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProfileName {
    HttpsWeb,
    HttpsSpiffe,
}

impl<'de> Deserialize<'de> for Relationship {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields: Fields = members::object(deserializer, "a federation relationship")?;
        fields.try_into().map_err(D::Error::custom)
    }
}

impl TryFrom<Fields> for Relationship {
    type Error = RelationshipError;

    fn try_from(fields: Fields) -> Result<Self, RelationshipError> {
        let profile = match (fields.profile, fields.endpoint_spiffe_id) {
            (ProfileName::HttpsWeb, None) => EndpointProfile::HttpsWeb,
            (ProfileName::HttpsWeb, Some(_)) => return Err(RelationshipError::EndpointNotUsed),
            (ProfileName::HttpsSpiffe, Some(endpoint)) => EndpointProfile::HttpsSpiffe { endpoint },
            (ProfileName::HttpsSpiffe, None) => return Err(RelationshipError::EndpointMissing),
        };
        Self::new(fields.trust_domain, fields.endpoint_url, profile)
    }
}

impl From<Relationship> for Fields {
    fn from(relationship: Relationship) -> Self {
        let (profile, endpoint_spiffe_id) = match relationship.profile {
            EndpointProfile::HttpsWeb => (ProfileName::HttpsWeb, None),
            EndpointProfile::HttpsSpiffe { endpoint } => (ProfileName::HttpsSpiffe, Some(endpoint)),
        };
        Self {
            trust_domain: relationship.trust_domain,
            endpoint_url: relationship.url,
            profile,
            endpoint_spiffe_id,
        }
    }
}
