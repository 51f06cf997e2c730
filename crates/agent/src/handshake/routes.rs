use http::Method;

/// What answers at a path of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeRoute {
    /// Hears an offer and answers it.
    Offer,
    /// Ends a handshake: takes the link.
    Conclusion,
    /// Either, inside of an A2A message (JSON-RPC, `message/send`).
    A2a,
    /// The agent's card.
    Card,
}

/// Every endpoint of the service. All of them need a client certificate of the trust domain; all but
/// the card need a signed request.
pub const HANDSHAKE_ROUTES: &[(&Method, &str, HandshakeRoute)] = &[
    (&Method::POST, "/v1/handshake/offer", HandshakeRoute::Offer),
    (
        &Method::POST,
        "/v1/handshake/conclusion",
        HandshakeRoute::Conclusion,
    ),
    (&Method::POST, "/a2a", HandshakeRoute::A2a),
    (
        &Method::GET,
        "/.well-known/agent-card.json",
        HandshakeRoute::Card,
    ),
];

impl HandshakeRoute {
    /// The path.
    pub fn path(self) -> &'static str {
        let mut routes = HANDSHAKE_ROUTES.iter();
        routes
            .find(|(_, _, route)| *route == self)
            .map_or("/", |(_, path, _)| path)
    }

    pub(super) fn find(method: &Method, path: &str) -> Option<Self> {
        let mut routes = HANDSHAKE_ROUTES.iter();
        routes
            .find(|(known, at, _)| *known == method && *at == path)
            .map(|(_, _, route)| *route)
    }
}
