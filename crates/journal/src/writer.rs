//! The one process that appends: a committer thread that makes entries durable in groups, and a
//! publisher thread that carries them into tiles and publishes checkpoints.

mod acknowledge;
mod committer;
mod config;
mod ending;
mod journal;
mod open;
mod pending;
mod publisher;
mod store;

pub use acknowledge::{AcknowledgeError, Acknowledged, Acknowledgement};
pub use committer::AppendError;
pub use config::Config;
pub use journal::{Journal, ReceiptError};
pub use publisher::PublishError;
pub use store::Published;
