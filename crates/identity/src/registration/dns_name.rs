use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The most bytes of a DNS name (RFC 1035 section 2.3.4), and of one label.
const MAX_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// A DNS name that may stand in an X.509-SVID beside its one URI: 1 to 253 bytes; labels of 1 to 63
/// lower-case letters, digits and hyphens, none of which begins or ends with a hyphen (RFC 5890 section
/// 2.3.1); no wildcard, no final dot, no IP address.
///
/// It is a name for clients that know nothing of SPIFFE. Nothing here takes it for an identity
/// (X509-SVID section 2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

/// Why a text is no DNS name of an SVID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DnsNameError {
    /// Nothing, or more than 253 bytes.
    #[error("a dns name has 1 to {MAX_BYTES} bytes")]
    Length,
    /// A wildcard: it would be a name of others too.
    #[error("a dns name of an svid has no wildcard; name each one")]
    Wildcard,
    /// An IP address.
    #[error("an ip address is no dns name")]
    Address,
    /// A label that is empty, too long, or begins or ends with a hyphen.
    #[error(
        "each label of a dns name has 1 to {MAX_LABEL_BYTES} bytes and begins and ends with a letter or a digit"
    )]
    Label,
    /// Another byte than a lower-case letter, a digit or a hyphen.
    #[error(
        "a dns name has lower-case letters, digits, hyphens and dots; spell others in punycode"
    )]
    Character,
}

impl DnsName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DnsName {
    type Err = DnsNameError;

    fn from_str(text: &str) -> Result<Self, DnsNameError> {
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(DnsNameError::Length);
        }
        if text.contains('*') {
            return Err(DnsNameError::Wildcard);
        }
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
        if !text.bytes().all(allowed) {
            return Err(DnsNameError::Character);
        }
        let is_label = |label: &str| {
            (1..=MAX_LABEL_BYTES).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !text.split('.').all(is_label) {
            return Err(DnsNameError::Label);
        }
        // No top-level domain is a number, so that what ends in one is an address or nothing.
        let last = text.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DnsNameError::Address);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Serialize for DnsName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// While the text is read, so that an error says at which line it stands.
impl<'de> Deserialize<'de> for DnsName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = DnsName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a dns name")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DnsName, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_nothing_else_is_one() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        for good in [
            "a",
            "hello.agents.example.com",
            "xn--bcher-kva.example",
            "1.example",
            "a-b.c",
            &longest,
        ] {
            let name: DnsName = good.parse().unwrap();
            assert_eq!(name.to_string(), good);
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<DnsName>(&json).unwrap(), name);
        }
        let too_long = format!("{longest}b");
        let label = format!("{label}a.example");
        for (bad, why) in [
            ("", DnsNameError::Length),
            (&*too_long, DnsNameError::Length),
            (&*label, DnsNameError::Label),
            ("*.example.com", DnsNameError::Wildcard),
            ("*", DnsNameError::Wildcard),
            ("example.com.", DnsNameError::Label),
            (".example.com", DnsNameError::Label),
            ("a..b", DnsNameError::Label),
            (".", DnsNameError::Label),
            ("-a.example", DnsNameError::Label),
            ("a-.example", DnsNameError::Label),
            ("Example.com", DnsNameError::Character),
            ("a_b.example", DnsNameError::Character),
            ("a b", DnsNameError::Character),
            ("bücher.example", DnsNameError::Character),
            ("spiffe://td/agent/a", DnsNameError::Character),
            ("a\0.example", DnsNameError::Character),
            ("a\n", DnsNameError::Character),
            ("::1", DnsNameError::Character),
            ("127.0.0.1", DnsNameError::Address),
            ("10", DnsNameError::Address),
            ("host.1", DnsNameError::Address),
        ] {
            assert_eq!(bad.parse::<DnsName>(), Err(why), "{bad:?}");
            let json = serde_json::to_string(bad).unwrap();
            assert!(serde_json::from_str::<DnsName>(&json).is_err(), "{bad:?}");
        }
    }
}
