//! The enforcement point in front of tools.
//!
//! A governed instance reaches an MCP server only through here: mutual TLS on one side
//! ([`Front`]), one stdio child per session, instance and server on the other ([`Upstreams`]). What
//! is forwarded is forwarded byte for byte; what may be forwarded is for an [`Enforcer`] to say.
//!
//! INVARIANT: a call reaches a child only with a [`Permit`], and every permit ends in exactly one
//! [`Outcome`], whether the child answered, crashed, or the client went away.

mod call;
mod enforcement;
mod enforcer;
mod envelope;
mod era;
mod front;
mod gateway;
mod json;
mod limits;
mod listing;
mod method;
mod peer;
mod reply;
mod request_id;
mod server_name;
mod transport_id;
mod upstream;

pub use call::{Call, Visit};
pub use enforcement::{REASONS, RestoreError, TrustStoreError};
pub use enforcer::{Answer, ControlReply, ControlRequest, Enforcer, Verdict};
pub use enforcer::{Outcome, Pending, Permit, Refusal, Seat, Status};
pub use envelope::{EnvelopeError, Kind, Message};
pub use era::Era;
pub use front::{Endpoint, Front, Hosts, ROUTES, Route};
pub use gateway::{Gateway, GatewayConfig, GatewayError};
pub use limits::Limits;
pub use listing::{Entry, Listing, ListingError, ListingKind};
pub use method::{Method, MethodClass};
pub use peer::Peer;
pub use reply::code;
pub use request_id::RequestId;
pub use server_name::{ServerName, ServerNameError};
pub use transport_id::TransportId;
pub use upstream::{SurveyError, Upstream, UpstreamError, Upstreams};
