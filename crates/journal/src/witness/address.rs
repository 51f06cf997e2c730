use std::fmt;
use std::str::FromStr;

use ::http::Uri;

/// Where a witness takes checkpoints: `http://HOST[:PORT][/PREFIX]`, without a slash at the end.
/// Parsed strictly: no user, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WitnessAddress {
    host: String,
    port: u16,
    prefix: String,
}

/// Why a text is not a witness's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: not the address of a witness: {problem}")]
pub struct AddressError {
    text: String,
    problem: &'static str,
}

impl WitnessAddress {
    /// `HOST:PORT`, an IPv6 address in brackets.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The path of an endpoint below the prefix.
    pub(super) fn path(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}", self.prefix)
    }
}

impl FromStr for WitnessAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = |problem| AddressError {
            text: text.to_owned(),
            problem,
        };
        if text.contains('#') {
            return Err(refused("a fragment names nothing that is asked for"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| refused("expected http://HOST[:PORT][/PREFIX]"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(refused(
                    "https is not spoken; what is exchanged is signed, so name an http:// address or a local proxy that speaks https",
                ));
            }
            _ => return Err(refused("expected http://HOST[:PORT][/PREFIX]")),
        }
        let authority = uri
            .authority()
            .ok_or_else(|| refused("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(refused("a user is not sent"));
        }
        if authority.host().is_empty() {
            return Err(refused("the host is missing"));
        }
        if authority.port().is_none() && authority.as_str() != authority.host() {
            return Err(refused("the port is not one"));
        }
        if uri.query().is_some() {
            return Err(refused("a query is not sent"));
        }
        Ok(Self {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(80),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for WitnessAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_stand_below_the_prefix() {
        for (text, authority, path) in [
            ("http://w.example", "w.example:80", "/add-checkpoint"),
            ("http://w.example/", "w.example:80", "/add-checkpoint"),
            ("http://127.0.0.1:9/", "127.0.0.1:9", "/add-checkpoint"),
            ("http://[::1]:9/a/b", "[::1]:9", "/a/b/add-checkpoint"),
            ("http://w.example:9/a/", "w.example:9", "/a/add-checkpoint"),
        ] {
            let address: WitnessAddress = text.parse().unwrap();
            assert_eq!(address.authority(), authority);
            assert_eq!(address.path("add-checkpoint"), path);
            let again: WitnessAddress = address.to_string().parse().unwrap();
            assert_eq!(again, address);
        }
    }

    #[test]
    fn refuses_other_addresses() {
        for bad in [
            "",
            "w.example",
            "w.example:80",
            "/add-checkpoint",
            "https://w.example",
            "ftp://w.example",
            "http://",
            "http:///prefix",
            "http://me@w.example",
            "http://me:secret@w.example",
            "http://w.example/?a=b",
            "http://w.example/#here",
            "http://w.example:99999",
            "http://w example",
        ] {
            assert!(bad.parse::<WitnessAddress>().is_err(), "{bad:?}");
        }
        let error = "https://w.example".parse::<WitnessAddress>().unwrap_err();
        assert!(error.to_string().contains("local proxy"), "{error}");
    }
}
