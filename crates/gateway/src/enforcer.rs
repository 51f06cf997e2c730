//! The seam between transport and authority.

mod outcome;
mod verdict;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use rustls::pki_types::CertificateDer;

use crate::call::{Call, Visit};
use crate::front::Endpoint;
use crate::listing::Listing;
use crate::peer::Peer;

pub use outcome::{Outcome, Status};
pub use verdict::{Pending, Permit, Refusal, Seat, Verdict};

/// What an enforcer's method returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Says who a peer is and what may pass. Transport asks before anything reaches a child and
/// reports afterwards; it holds no authority of its own.
pub trait Enforcer: Send + Sync + 'static {
    /// Names the owner of a certificate chain that the TLS handshake accepted: the SPIFFE ID. Asked
    /// once per connection; a refusal closes it.
    fn identify(&self, chain: &[CertificateDer<'static>]) -> Result<Arc<str>, Refusal>;

    /// Decides one call. When this returns [`Verdict::Forward`], the decision is durable.
    ///
    /// Not cancelled when the client goes away: it runs to its end, and a permit that was not used
    /// is reported with [`Status::NotForwarded`].
    fn decide<'a>(&'a self, peer: &'a Peer, call: &'a Call) -> Answer<'a, Verdict>;

    /// Takes the end of a permitted call, exactly once per permit, before the client sees the
    /// answer. A refusal withholds the answer.
    fn outcome<'a>(&'a self, permit: Permit, outcome: Outcome) -> Answer<'a, Result<(), Refusal>>;

    /// Admits a message that is not decided one by one: the protocol's own requests, lists,
    /// notifications, answers to the server. Needs an instance that joined a session.
    fn admit<'a>(&'a self, peer: &'a Peer, visit: &'a Visit) -> Answer<'a, Result<Seat, Refusal>>;

    /// Says for each entry of a list whether this peer may see it, in the order of the entries. An
    /// entry without an answer is hidden.
    fn filter<'a>(
        &'a self,
        peer: &'a Peer,
        visit: &'a Visit,
        listing: &'a Listing,
    ) -> Answer<'a, Result<Vec<bool>, Refusal>>;

    /// Serves an endpoint that is not MCP.
    fn control<'a>(&'a self, peer: &'a Peer, request: ControlRequest) -> Answer<'a, ControlReply>;
}

/// A request to an endpoint that is not MCP.
#[derive(Debug)]
pub struct ControlRequest {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The parts of the path that the route names.
    pub parameters: BTreeMap<&'static str, String>,
    /// The body, within the limit for requests.
    pub body: Bytes,
    /// Whether the body is said to be `application/x-www-form-urlencoded`.
    pub is_form: bool,
    /// By which name and port the gateway was addressed.
    pub host: String,
}

/// The answer to a [`ControlRequest`]: JSON.
#[derive(Debug)]
pub struct ControlReply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The JSON body; empty for none.
    pub body: Bytes,
}
