use std::fmt;
use std::str::FromStr;

use chancery_identity::DnsName;

/// The one origin at which people reach the console: `https://HOST[:PORT]`, or `http://localhost[:PORT]`.
/// Its host is a name, never an address: it is the relying party that passkeys are made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleOrigin {
    text: String,
    host: String,
    is_secure: bool,
}

/// Why a text is no origin of a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected https://HOST, https://HOST:PORT or http://localhost:PORT, in lower case and with nothing \
     behind it; passkeys need a name, not an address"
)]
pub struct ConsoleOriginError;

impl ConsoleOrigin {
    /// The relying party id of its passkeys.
    pub fn rp_id(&self) -> &str {
        &self.host
    }

    /// As browsers send it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether browsers reach it over TLS.
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }
}

impl fmt::Display for ConsoleOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ConsoleOrigin {
    type Err = ConsoleOriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (is_secure, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(ConsoleOriginError),
        };
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        };
        // A browser leaves the scheme's own port out.
        let own = if is_secure { "443" } else { "80" };
        let is_port = |port: &str| {
            let number = port.parse::<u16>();
            port != own && number.is_ok_and(|number| number != 0 && number.to_string() == port)
        };
        let is_right =
            is_host(host) && port.is_none_or(is_port) && (is_secure || host == "localhost");
        is_right
            .then(|| Self {
                text: text.to_owned(),
                host: host.to_owned(),
                is_secure,
            })
            .ok_or(ConsoleOriginError)
    }
}

/// Whether it is a DNS name in lower case that no address is written as.
fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    host.parse::<DnsName>().is_ok() && last.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_name_over_tls_or_localhost() {
        for (text, rp_id, secure) in [
            ("https://console.example", "console.example", true),
            ("https://console.example:8445", "console.example", true),
            ("https://localhost:8445", "localhost", true),
            ("http://localhost:8445", "localhost", false),
            ("http://localhost", "localhost", false),
        ] {
            let origin: ConsoleOrigin = text.parse().unwrap();
            assert_eq!((origin.rp_id(), origin.is_secure()), (rp_id, secure));
            assert_eq!(origin.to_string(), text);
        }
        for bad in [
            "",
            "localhost",
            "ftp://localhost",
            "http://console.example",
            "http://127.0.0.1:8445",
            "https://127.0.0.1:8445",
            "https://127.1",
            "https://[::1]:8445",
            "https://",
            "https://:8445",
            "https://Console.example",
            "https://console.example/",
            "https://console.example/console",
            "https://console.example:443",
            "https://console.example:0",
            "https://console.example:08445",
            "https://console.example:",
            "https://console.example:8445:1",
            "https://a..example",
            "https://-a.example",
            "https://a_b.example",
            "https://me@console.example",
            "http://localhost:80",
            "http://localhost.",
        ] {
            assert!(bad.parse::<ConsoleOrigin>().is_err(), "{bad}");
        }
    }
}
