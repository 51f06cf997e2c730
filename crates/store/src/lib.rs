//! What the server knows, in SQLite.
//!
//! What is about a person stands sealed under a key of theirs ([`chancery_journal::Keyring`]), so that
//! it can be erased: a row that was is there, and reads as [`Kept::Erased`].
//!
//! The log is the record of what happened; these tables are what the server answers from. A change
//! is enrolled first and stored second, so that nothing takes effect that the log does not hold.

mod agents;
mod approvals;
mod consents;
mod erasures;
mod federations;
mod instances;
mod migrate;
mod missions;
mod open;
mod policies;
mod records;
mod revocations;
mod roots;
mod sealed;

pub use agents::AgentRow;
pub use approvals::{AnswerRow, ApprovalRow};
pub use consents::ConsentRow;
pub use erasures::{ErasureRow, KeptOf};
pub use federations::FederationRow;
pub use instances::InstanceRow;
pub use open::{SCHEMA_VERSION, Store, StoreError};
pub use policies::PolicyRow;
pub use revocations::RevocationRow;
pub use roots::RootRow;
pub use sealed::Kept;
