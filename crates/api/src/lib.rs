//! The control API: the messages that Chancery's processes exchange, and the clients that speak it.
//!
//! Signer, server and the node's operator side speak HTTP/1.1 and JSON over Unix sockets that only
//! their owner may use. Nothing of an implementation is here.

pub mod append;
pub mod authority;
pub mod client;
pub mod error;
pub mod gateway;
pub mod lift;
pub mod listener;
pub mod measure;
pub mod oauth;
pub mod pb;
pub mod server;
pub mod signer;
pub use chancery_evidence::snapshot;
pub mod tls;
pub mod tls_client;

pub(crate) use client::Transport;
pub use client::{ClientError, UnixClient};
pub use error::Problem;
pub use listener::OwnerListener;
pub use measure::measured;
pub use tls_client::{BoundClient, TlsClient, node_channel};
