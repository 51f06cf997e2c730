//! What a session remembers: a fold over its enrolled entries.

mod approvals;
mod counts;
mod executions;
mod fold;
mod instance;
mod open;
mod permission;
mod spending;

pub use approvals::{Grant, Pending};
pub use open::{Ended, Open, Opened};
pub use permission::{Basis, Permission, Reach};
pub use spending::Totals;

pub(crate) use executions::Durable;
pub(crate) use instance::Instance;
pub(crate) use spending::Spent;
