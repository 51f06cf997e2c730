//! How a parent passes authority on to the child that it started.
//!
//! Over a Unix socket, one JSON document a line: the child shows the credential of its agent key,
//! the parent offers, the child accepts with a proof of that key, and only then does the parent sign
//! a link for it. The parent believes nothing that the child says of itself: key and name come from
//! a workload identity token that the parent's own trust verifies.

mod child;
mod conversation;
mod error;
mod listener;
mod parent;
mod wire;

pub use child::{receive, receive_from};
pub use error::HandoverError;
pub use listener::HandoverListener;
pub use parent::{Delegator, Given, Grant, check_grant, give};

pub(crate) use wire::{ACCEPT_TYP, Acceptance};
