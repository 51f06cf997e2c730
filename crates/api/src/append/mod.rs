//! Appending to a log that is written for other programs (`chancery log write`).
//!
//! A client numbers its entries and keeps each until it is acknowledged; after a break it connects
//! again and sends again what was not. The log has each sequence once, so that nothing is lost and
//! nothing is there twice.

mod client;
mod dial;
mod driver;
mod error;

pub use client::{AppendClient, AppendOptions, Appended, SubmittedEntry};
pub use dial::AppendTarget;
pub use error::AppendError;

pub use crate::pb::append::Level;
