//! What a deployment says of itself while it runs: metrics for Prometheus, health and readiness.
//!
//! Each part counts in its own process and shows the numbers on a socket that only its owner may use;
//! `up` puts them together on one address. Nothing that is shown names a person, an instance, a session,
//! a tool or an argument.

mod catalogue;
mod families;
mod front;
mod part;

pub(crate) use catalogue::markdown;
pub(crate) use front::Front;
pub(crate) use part::show;
