use std::fmt;
use std::str::FromStr;

use super::{LogOrigin, TrustDocument};

/// The name of one of a deployment's gateways: empty for the first, else 1 to 32 lower-case letters,
/// digits and dashes. Its SPIFFE ID and the origin of its log follow from it; whether there is such a
/// gateway is the trust document's to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayName(String);

/// Why a text is not the name of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a gateway: expected 1 to 32 lower-case letters, digits and dashes")]
pub struct GatewayNameError;

impl GatewayName {
    /// The path of its SPIFFE ID below `/service/`.
    pub fn service(&self) -> String {
        self.below("gateway")
    }

    /// Its SPIFFE ID in a trust domain.
    pub fn spiffe_id(&self, trust_domain: &str) -> String {
        format!("spiffe://{trust_domain}/service/{}", self.service())
    }

    /// The origin of its log in a trust domain.
    pub fn log_origin(&self, trust_domain: &str) -> String {
        format!("{trust_domain}/log/{}", self.service())
    }

    fn below(&self, name: &str) -> String {
        if self.0.is_empty() {
            name.to_owned()
        } else {
            format!("{name}/{}", self.0)
        }
    }
}

impl TrustDocument {
    /// The gateway that writes the log of that origin, where this document admits one: writer and
    /// origin are of one name.
    pub fn gateway_of_origin(&self, origin: &str) -> Option<&LogOrigin> {
        self.gateways().find(|known| known.origin == origin)
    }

    /// The gateway with that SPIFFE ID, where this document admits one.
    pub fn gateway(&self, spiffe_id: &str) -> Option<&LogOrigin> {
        self.gateways().find(|known| known.writer == spiffe_id)
    }

    /// The logs of gateways.
    pub fn gateways(&self) -> impl Iterator<Item = &LogOrigin> {
        self.log_origins.iter().filter(|known| {
            let prefix = GatewayName::default().spiffe_id(&self.trust_domain);
            let name = match known.writer.strip_prefix(&prefix) {
                Some("") => Some(GatewayName::default()),
                Some(rest) => rest.strip_prefix('/').and_then(|name| name.parse().ok()),
                None => None,
            };
            name.is_some_and(|name| known.origin == name.log_origin(&self.trust_domain))
        })
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GatewayName {
    type Err = GatewayNameError;

    fn from_str(text: &str) -> Result<Self, GatewayNameError> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(GatewayNameError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_gateway_has_no_name_and_others_have_a_plain_one() {
        let first = GatewayName::default();
        assert_eq!(
            first.spiffe_id("a.example"),
            "spiffe://a.example/service/gateway"
        );
        assert_eq!(first.log_origin("a.example"), "a.example/log/gateway");
        let second: GatewayName = "g2".parse().unwrap();
        assert_eq!(
            second.spiffe_id("a.example"),
            "spiffe://a.example/service/gateway/g2"
        );
        assert_eq!(second.log_origin("a.example"), "a.example/log/gateway/g2");
        let long = "g".repeat(33);
        for bad in ["", "G2", "g/2", "g 2", "../x", &long] {
            assert_eq!(bad.parse::<GatewayName>(), Err(GatewayNameError), "{bad}");
        }
    }
}
