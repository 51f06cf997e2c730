use std::time::Duration;

/// What the gateway spends on one peer, one message, one child. Every wait has an end, every
/// buffer a size.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most bytes of a request body.
    pub request_bytes: usize,
    /// Most bytes of one message from a child.
    pub response_bytes: usize,
    /// Longest TLS handshake.
    pub handshake: Duration,
    /// Longest time for the head of a request.
    pub head: Duration,
    /// Longest time for the body of a request.
    pub body: Duration,
    /// Longest silence of a child about one call.
    pub call: Duration,
    /// Time between signs of life on a response stream; a call that takes longer becomes a stream.
    pub keep_alive: Duration,
    /// Time a child has to exit after its input closed, and again after SIGTERM.
    pub child_grace: Duration,
    /// Longest handshake with a child that was restarted.
    pub restart: Duration,
    /// A child or transport session that nobody used for so long is ended.
    pub idle: Duration,
    /// Most connections at once.
    pub connections: usize,
    /// Most connections of one peer at once.
    pub connections_per_peer: usize,
    /// Most children at once.
    pub children: usize,
    /// Most transport sessions of one peer at once.
    pub sessions_per_peer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 4 << 20,
            response_bytes: 16 << 20,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            call: Duration::from_secs(300),
            keep_alive: Duration::from_secs(15),
            child_grace: Duration::from_secs(2),
            restart: Duration::from_secs(20),
            idle: Duration::from_secs(900),
            connections: 1024,
            connections_per_peer: 64,
            children: 256,
            sessions_per_peer: 64,
        }
    }
}
