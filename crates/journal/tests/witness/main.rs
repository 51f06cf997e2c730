//! Witnesses over HTTP: what the server answers (N1 to N8), what the client does with answers
//! (C1 to C6), and a witness that others wrote.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod client;
mod foreign;
mod scripted;
mod server;
mod start;
mod world;
