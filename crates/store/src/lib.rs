//! What the server knows, in SQLite.
//!
//! The log is the record of what happened; these tables are what the server answers from. A change
//! is enrolled first and stored second, so that nothing takes effect that the log does not hold.

mod agents;
mod approvals;
mod consents;
mod instances;
mod open;
mod policies;
mod records;
mod revocations;
mod roots;

pub use agents::AgentRow;
pub use approvals::ApprovalRow;
pub use consents::ConsentRow;
pub use instances::InstanceRow;
pub use open::{SCHEMA_VERSION, Store, StoreError};
pub use policies::PolicyRow;
pub use revocations::RevocationRow;
pub use roots::RootRow;
