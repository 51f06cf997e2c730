use std::collections::BTreeMap;

use chancery_api::oauth::{JWKS_PATH, METADATA_PATH, TOKEN_PATH};
use http::Method;

/// An endpoint of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// Takes one MCP message for a server.
    McpPost,
    /// Ends an MCP transport session of the legacy era.
    McpDelete,
    /// Hands out a nonce for one proof.
    Challenge,
    /// Says where a chain stands.
    Introspect,
    /// Exchanges a chain for an access token.
    TokenExchange,
    /// Shows the keys of access tokens.
    TokenKeys,
    /// Shows the metadata of the authorization server.
    TokenMetadata,
    /// Opens a session.
    SessionOpen,
    /// Shows a session to one of its instances.
    SessionRead,
    /// Joins a session.
    SessionJoin,
    /// Leaves a session.
    SessionLeave,
    /// Ends a session.
    SessionEnd,
}

/// A method and a path, and what answers there.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The HTTP method.
    pub method: &'static Method,
    /// The path; a segment in braces takes any one segment.
    pub path: &'static str,
    /// What answers.
    pub endpoint: Endpoint,
}

const fn route(method: &'static Method, path: &'static str, endpoint: Endpoint) -> Route {
    Route {
        method,
        path,
        endpoint,
    }
}

/// Every endpoint there is. All of them need a client certificate; none answers before the enforcer
/// has named the peer.
pub const ROUTES: &[Route] = &[
    route(&Method::POST, "/mcp/{server}", Endpoint::McpPost),
    route(&Method::DELETE, "/mcp/{server}", Endpoint::McpDelete),
    route(&Method::POST, "/v1/challenges", Endpoint::Challenge),
    route(&Method::POST, "/v1/introspect", Endpoint::Introspect),
    route(&Method::POST, TOKEN_PATH, Endpoint::TokenExchange),
    route(&Method::GET, JWKS_PATH, Endpoint::TokenKeys),
    route(&Method::GET, METADATA_PATH, Endpoint::TokenMetadata),
    route(&Method::POST, "/v1/sessions", Endpoint::SessionOpen),
    route(
        &Method::GET,
        "/v1/sessions/{session}",
        Endpoint::SessionRead,
    ),
    route(
        &Method::POST,
        "/v1/sessions/{session}/join",
        Endpoint::SessionJoin,
    ),
    route(
        &Method::POST,
        "/v1/sessions/{session}/leave",
        Endpoint::SessionLeave,
    ),
    route(
        &Method::POST,
        "/v1/sessions/{session}/end",
        Endpoint::SessionEnd,
    ),
];

pub(super) type Parameters = BTreeMap<&'static str, String>;

/// What a method and a path lead to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Endpoint(Endpoint, Parameters),
    /// The path is known with these methods only.
    Methods(String),
    Nothing,
}

pub(super) fn find(method: &Method, path: &str) -> Found {
    let mut methods = Vec::new();
    for route in ROUTES {
        let Some(parameters) = matches(route.path, path) else {
            continue;
        };
        if route.method == method {
            return Found::Endpoint(route.endpoint, parameters);
        }
        methods.push(route.method.as_str());
    }
    if methods.is_empty() {
        Found::Nothing
    } else {
        Found::Methods(methods.join(", "))
    }
}

fn matches(pattern: &'static str, path: &str) -> Option<Parameters> {
    let mut parameters = Parameters::new();
    let mut given = path.split('/');
    for expected in pattern.split('/') {
        let segment = given.next()?;
        let name = expected
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if !segment.is_empty() => {
                parameters.insert(name, segment.to_owned());
            }
            None if expected == segment => {}
            _ => return None,
        }
    }
    given.next().is_none().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_endpoints_and_nothing_beside_them() {
        let Found::Endpoint(Endpoint::McpPost, parameters) = find(&Method::POST, "/mcp/fs") else {
            panic!("no endpoint");
        };
        assert_eq!(parameters["server"], "fs");
        let allowed = Found::Methods("POST, DELETE".to_owned());
        assert_eq!(find(&Method::GET, "/mcp/fs"), allowed);
        for path in [
            "/",
            "/mcp",
            "/mcp/",
            "/mcp/a/b",
            "//mcp/a",
            "/mcp/a/",
            "/v1/sessions//join",
        ] {
            assert_eq!(find(&Method::POST, path), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn no_route_twice() {
        for (place, route) in ROUTES.iter().enumerate() {
            for other in ROUTES.iter().skip(place + 1) {
                assert_ne!(route.endpoint, other.endpoint);
                assert!(route.method != other.method || route.path != other.path);
            }
        }
    }
}
