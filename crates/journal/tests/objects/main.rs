//! A log in object storage: the contract that a log keeps on a local disk, kept in memory and in a
//! real S3 server as well; what a second writer, a paused one and a lost answer come to; and both
//! processes killed.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and one that is skipped says so"
)]

mod appended;
mod contract;
mod fence;
mod kills;
mod place;
mod server;
mod stalling;
