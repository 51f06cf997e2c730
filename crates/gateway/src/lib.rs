//! The enforcement point in front of tools.
//!
//! A governed instance reaches an MCP server only through here: mutual TLS on one side
//! ([`Front`]), one stdio child per session, instance and server on the other ([`Upstreams`]). What
//! is forwarded is forwarded byte for byte; what may be forwarded is for an [`Enforcer`] to say.
//! [`Gateway`] is the whole process: trust, log, snapshots, sessions and the enforcer over them.
//!
//! INVARIANT: a call reaches a child only with a [`Permit`], and every permit ends in exactly one
//! [`Outcome`], whether the child answered, crashed, or the client went away.
//!
//! INVARIANT: a decision is durable before its call is forwarded, an outcome before its answer
//! leaves, and an object before the entry that names it.
//!
//! # What is decided, what is admitted, what is denied
//!
//! | methods | rule |
//! | --- | --- |
//! | `tools/call`, `resources/read`, `prompts/get` | decided one by one, with chain and proof |
//! | `initialize`, `server/discover`, `ping`, `logging/setLevel`, `notifications/*` | admitted for an instance in an open session |
//! | `tools/list`, `resources/list`, `prompts/list` | admitted, and filtered to what the chain covers and the catalog pins |
//! | `resources/templates/list` | admitted; nothing is offered, since a template names nothing that a chain covers |
//! | answers to requests of a server | admitted when they are an error or empty; others carry data that nobody decided about |
//! | everything else, `completion/complete`, subscriptions and tasks among it | denied with `method_not_governed` |
//!
//! Why a call, a presentation or a method is refused is one code: the gateway's own are
//! [`REASONS`], those of chains and proofs stand in `chancery_delegation::Reason`, those of the
//! session machine in `chancery_session::Reason`.

mod call;
mod enforcement;
mod enforcer;
mod envelope;
mod era;
mod front;
mod gateway;
mod json;
mod kept;
mod limits;
mod listing;
mod method;
mod operator;
mod peer;
mod reply;
mod request_id;
mod server_name;
mod transport_id;
mod upstream;
mod witnesses;

pub use call::{Call, Visit};
pub use enforcement::{
    ENROLLED_CHECKPOINT, ERASED_OBJECTS, ExchangeForm, LatestPolicyError, REASONS, RestoreError,
    TrustStoreError,
};
pub use enforcer::{Answer, ControlReply, ControlRequest, Enforcer, Verdict};
pub use enforcer::{Outcome, Pending, Permit, Refusal, Seat, Status};
pub use envelope::{EnvelopeError, Kind, Message};
pub use era::Era;
pub use front::{Endpoint, Front, Hosts, ROUTES, Route};
pub use gateway::{Gateway, GatewayConfig, GatewayError, KEYS, OBJECTS};
pub use kept::{KeptError, KeptObject, KeptObjects};
pub use limits::Limits;
pub use listing::{Entry, Listing, ListingError, ListingKind};
pub use method::{Method, MethodClass};
pub use peer::Peer;
pub use reply::code;
pub use request_id::RequestId;
pub use server_name::{ServerName, ServerNameError};
pub use transport_id::TransportId;
pub use upstream::{SurveyError, Upstream, UpstreamError, Upstreams};
pub use witnesses::witnesses;
