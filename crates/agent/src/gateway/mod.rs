//! The home gateway, as one of its instances speaks to it.

mod client;
mod connections;
mod error;
mod events;
mod reply;

pub use client::{GatewayClient, McpHeaders};
pub use error::GatewayError;
pub use reply::{Messages, Reply};
