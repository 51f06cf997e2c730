//! The one process that appends: a committer thread that makes entries durable in groups, a publisher
//! thread that carries them into tiles and publishes checkpoints, and one that has files ready.

mod acknowledge;
mod committer;
mod config;
mod ending;
mod journal;
mod open;
mod pending;
mod preparer;
mod publisher;
mod store;

pub use acknowledge::{AcknowledgeError, Acknowledged, Acknowledgement};
pub use committer::AppendError;
pub use config::Config;
pub use journal::{Journal, ReceiptError, Submitted};
pub use publisher::PublishError;
pub use store::Published;
