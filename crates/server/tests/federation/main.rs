//! Trust domains that federate: real servers on loopback, and endpoints that misbehave.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[cfg(test)]
mod domain;
#[cfg(test)]
mod fetching;
#[cfg(test)]
mod relations;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod trap;
#[cfg(test)]
mod web;
