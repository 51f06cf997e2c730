//! The one process that appends: a committer thread that makes entries durable in groups, and a
//! publisher thread that carries them into tiles and publishes checkpoints.

mod committer;
mod config;
mod journal;
mod open;
mod pending;
mod publisher;
mod store;

pub use committer::AppendError;
pub use config::Config;
pub use journal::Journal;
pub use publisher::PublishError;
pub use store::Published;

/// Ends the process after a failed write or sync: nothing that follows could be relied on. The
/// next start recovers from what the disk holds.
fn abort(what: &str, error: &dyn std::error::Error) -> ! {
    let mut reasons = error.to_string();
    let mut source = error.source();
    while let Some(reason) = source {
        reasons = format!("{reasons}: {reason}");
        source = reason.source();
    }
    tracing::error!(reasons, "{what}; ending the process, restart it to recover");
    std::process::abort()
}
