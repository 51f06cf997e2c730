//! The messages and the rules of C2SP tlog-witness, pure: who listens, keeps and signs is the
//! caller.

mod judge;
mod message;

pub use judge::{Admitted, WitnessRefusal, judge};
pub use message::{
    AddCheckpoint, AddCheckpointError, CosignatureLines, CosignatureLinesError,
    MAX_ADD_CHECKPOINT_BYTES, RecordedSize, RecordedSizeError, monitor_folder,
};
