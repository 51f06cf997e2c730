//! The completeness index of a gateway's log: of every instance, how many entries the log holds and
//! the head of the chain over them, made and checked entry by entry, and proven to a stranger.

mod blame;
mod checker;
mod instance_index;
mod proof;

pub use blame::Blame;
pub use checker::{IndexChecker, IndexFault, SeenIndexError};
pub use instance_index::InstanceIndex;
pub use proof::{EntriesGap, InstanceProofError, ProvenInstance, verify_instance};
