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

    /// The origin of its first log in a trust domain; a later one succeeds it.
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

/// The origin of the first log of a trust domain's server.
pub fn server_log_origin(trust_domain: &str) -> String {
    format!("{trust_domain}/log/server")
}

/// The origin of the log that succeeds another one: `.2` after the first, then `.3`.
pub fn successor_of(origin: &str) -> String {
    let (first, place) = place_in_line(origin);
    format!("{first}.{}", place.saturating_add(1))
}

/// The first log of the line that an origin stands in, and its place there, counted from 1. No name
/// of a server or gateway has a full stop.
fn place_in_line(origin: &str) -> (&str, u64) {
    let place = origin.rsplit_once('.').and_then(|(first, place)| {
        let number: u64 = place.parse().ok()?;
        (number > 1 && number.to_string() == place && first.contains('/'))
            .then_some((first, number))
    });
    place.unwrap_or((origin, 1))
}

impl TrustDocument {
    /// The log that is written now in the line of one that this document names: of the same writer,
    /// the one that succeeds all others.
    pub fn current_log(&self, origin: &str) -> Option<&LogOrigin> {
        let one = self.log_origin(origin)?;
        let (first, _) = place_in_line(origin);
        let line = self.log_origins.iter();
        line.filter(|known| known.writer == one.writer)
            .filter(|known| place_in_line(&known.origin).0 == first)
            .max_by_key(|known| place_in_line(&known.origin).1)
    }

    /// Whether this document names `earlier` as the log that `later` succeeds: the one right before it,
    /// so that a line does not fork.
    pub fn is_succeeded_by(&self, earlier: &str, later: &str) -> bool {
        let ((first, place), (line, after)) = (place_in_line(earlier), place_in_line(later));
        let (Some(one), Some(other)) = (self.log_origin(earlier), self.log_origin(later)) else {
            return false;
        };
        first == line && place.checked_add(1) == Some(after) && one.writer == other.writer
    }

    /// The log of that origin, where it is one of the server's.
    pub fn server_of_origin(&self, origin: &str) -> Option<&LogOrigin> {
        let (first, _) = place_in_line(origin);
        let known = self.log_origin(origin);
        known.filter(|_| first == server_log_origin(&self.trust_domain))
    }

    /// The gateway that writes the log of that origin, where this document admits one: writer and
    /// origin are of one name.
    pub fn gateway_of_origin(&self, origin: &str) -> Option<&LogOrigin> {
        self.gateways().find(|known| known.origin == origin)
    }

    /// The gateway with that SPIFFE ID, where this document admits one; its current log.
    pub fn gateway(&self, spiffe_id: &str) -> Option<&LogOrigin> {
        let own = self.gateways().filter(|known| known.writer == spiffe_id);
        own.max_by_key(|known| place_in_line(&known.origin).1)
    }

    /// The logs of gateways, those that were succeeded among them.
    pub fn gateways(&self) -> impl Iterator<Item = &LogOrigin> {
        self.log_origins.iter().filter(|known| {
            let prefix = GatewayName::default().spiffe_id(&self.trust_domain);
            let name = match known.writer.strip_prefix(&prefix) {
                Some("") => Some(GatewayName::default()),
                Some(rest) => rest.strip_prefix('/').and_then(|name| name.parse().ok()),
                None => None,
            };
            let (first, _) = place_in_line(&known.origin);
            name.is_some_and(|name| first == name.log_origin(&self.trust_domain))
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
        for origin in [
            "a.example/log/gateway",
            "a.example/log/gateway/g2",
            "a.2/log/server",
        ] {
            let second = successor_of(origin);
            assert_eq!(second, format!("{origin}.2"));
            assert_eq!(successor_of(&second), format!("{origin}.3"));
            assert_eq!(place_in_line(&second), (origin, 2));
            assert_eq!(place_in_line(origin), (origin, 1));
            for other in [".1", ".0", ".02", ".", ".x", "-2", ".2.2.", "/2"] {
                let other = format!("{origin}{other}");
                assert_eq!(place_in_line(&other).1, 1, "{other}");
            }
        }
        let long = "g".repeat(33);
        for bad in ["", "G2", "g/2", "g 2", "../x", &long] {
            assert_eq!(bad.parse::<GatewayName>(), Err(GatewayNameError), "{bad}");
        }
    }
}
