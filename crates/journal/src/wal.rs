//! The write-ahead log: preallocated segments of checksummed frames, one frame for each group of
//! entries that became durable together.

mod frame;
mod recover;
mod segment;

pub(crate) use frame::{FRAME_OVERHEAD, encode_frame};
pub use frame::{Frame, FrameError};
pub(crate) use recover::recover;
pub(crate) use segment::{PAGE, Segment, WAL_FOLDER, prepare_spare, segment_path};
