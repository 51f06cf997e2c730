//! Revocation: what was withdrawn before its time, and which chains die with it.

mod revocable;
mod set;

pub use revocable::{Revocable, RevocableError, Revocation};
pub use set::{RevocationSet, RevocationSetError};

pub(crate) use set::Named;
