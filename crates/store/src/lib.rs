//! What the server knows, in SQLite (the embedded default) or PostgreSQL.
//!
//! What is about a person stands sealed under a key of theirs ([`chancery_journal::Keyring`]), so that
//! it can be erased: a row that was is there, and reads as [`Kept::Erased`].
//!
//! The log is the record of what happened; these tables are what the server answers from. A change
//! is enrolled first and stored second, so that nothing takes effect that the log does not hold.

mod address;
mod agents;
mod approvals;
mod clear;
mod consents;
mod erasures;
mod federations;
mod fences;
mod instances;
mod lineages;
mod migrations;
mod missions;
mod nodes;
mod open;
mod policies;
mod records;
mod revocations;
mod roots;
mod sealed;
mod together;
mod workload_keys;

pub use address::{AddressError, PostgresAddress};
pub use agents::AgentRow;
pub use approvals::{AnswerRow, ApprovalRow};
pub use consents::ConsentRow;
pub use erasures::{ErasureRow, KeptOf};
pub use federations::FederationRow;
pub use fences::Fence;
pub use instances::{InstanceRow, PlacedInstance};
pub use lineages::{Acting, LineageRow, RosterQuery, RosterRow};
pub use migrations::SCHEMA_VERSION;
pub use nodes::{NodeAuthorityRow, NodeRow, NodeTokenRow, NodeTpmRow};
pub use open::{Store, StoreError};
pub use policies::PolicyRow;
pub use revocations::{NewRevocation, RevocationRow, SealedRevocation};
pub use roots::RootRow;
pub use sealed::Kept;
