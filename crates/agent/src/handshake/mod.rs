//! Handshakes between agents over the network: a mutual proof of both agent keys on one TLS
//! channel, and then a link.
//!
//! The one who takes serves HTTP over mutual TLS by X.509-SVIDs ([`HandshakeServer`], or
//! [`HandshakeService`] inside of a server of its own); the one who delegates connects
//! ([`HandshakeClient`]). Every request is signed with the agent key (RFC 9421, WIMSE profile) and
//! presents the chain that is to be narrowed: in full first, then by reference. The messages are the
//! same whether they go as JSON or inside of an A2A message.
//!
//! INVARIANT: nothing is signed for a peer before [`chancery_delegation::handshake`] has verified it,
//! and nothing is held before the whole chain, the consent and the link are verified.

mod a2a;
mod card;
mod channel;
mod client;
mod connections;
mod error;
mod exchange;
mod routes;
mod server;
mod service;
mod trust;
mod wire;

pub use a2a::{A2A_EXTENSION, A2aError, from_a2a_answer, to_a2a_request};
pub use card::AgentCard;
pub use channel::{Channel, ChannelError};
pub use client::{Delegated, HandshakeClient, HandshakeGrant, Peer, Wire};
pub use error::HandshakeError;
pub use routes::{HANDSHAKE_ROUTES, HandshakeRoute};
pub use server::HandshakeServer;
pub use service::{AdmitOffer, ChannelMemory, HandshakeService};
pub use trust::PeerTrust;
