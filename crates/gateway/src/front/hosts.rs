use http::header::{HOST, ORIGIN};
use http::request::Parts;

/// By which names the gateway may be addressed, and which web origins may speak to it. Everything
/// else is refused, so that no web page can reach the gateway through a name of its own (DNS
/// rebinding).
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    names: Vec<String>,
    origins: Vec<String>,
}

impl Hosts {
    /// Admits the loopback names, `names` (without port), and the exact web origins `origins`.
    pub fn new(
        names: impl IntoIterator<Item = impl Into<String>>,
        origins: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let lower = |text: String| text.to_ascii_lowercase();
        Self {
            names: names.into_iter().map(Into::into).map(lower).collect(),
            origins: origins.into_iter().map(Into::into).map(lower).collect(),
        }
    }

    /// Whether a request was addressed to us and comes from no foreign web page.
    pub(super) fn admit(&self, request: &Parts) -> bool {
        let host = addressed(request);
        let origins = request.headers.get_all(ORIGIN);
        host.is_some_and(|host| self.knows(host))
            && origins.iter().all(|origin| {
                origin
                    .to_str()
                    .is_ok_and(|origin| self.origins.contains(&origin.to_ascii_lowercase()))
            })
    }

    fn knows(&self, authority: &str) -> bool {
        let name = match authority.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                name
            }
            _ => authority,
        };
        let name = name.to_ascii_lowercase();
        ["localhost", "127.0.0.1", "[::1]"].contains(&name.as_str()) || self.names.contains(&name)
    }
}

/// The one name and port that a request is addressed to.
pub(super) fn addressed(request: &Parts) -> Option<&str> {
    let mut hosts = request.headers.get_all(HOST).iter();
    match (request.uri.authority(), hosts.next(), hosts.next()) {
        (Some(authority), None, None) => Some(authority.as_str()),
        (None, Some(host), None) => host.to_str().ok(),
        (Some(authority), Some(host), None) if host.as_bytes() == authority.as_str().as_bytes() => {
            Some(authority.as_str())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn admits(hosts: &Hosts, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::post("/mcp/a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        hosts.admit(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn admits_only_our_names_and_listed_origins() {
        let hosts = Hosts::new(["Gateway.example"], ["https://ui.example"]);
        for host in [
            "localhost",
            "127.0.0.1:8443",
            "[::1]:1",
            "gateway.EXAMPLE:8443",
        ] {
            assert!(admits(&hosts, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "localhost:x",
            "",
            "a@localhost",
            "::1",
        ] {
            assert!(!admits(&hosts, &[("host", host)]), "{host}");
        }
        assert!(!admits(&hosts, &[]));
        assert!(!admits(
            &hosts,
            &[("host", "localhost"), ("host", "localhost")]
        ));
        let ours = ("host", "localhost");
        assert!(admits(&hosts, &[ours, ("origin", "https://ui.example")]));
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost",
            "https://ui.example:8",
        ] {
            assert!(!admits(&hosts, &[ours, ("origin", origin)]), "{origin}");
        }
    }
}
