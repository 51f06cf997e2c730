//! The write-ahead log: preallocated segments of checksummed frames, one frame for each group of
//! entries that became durable together.

mod files;
mod frame;
mod recover;
mod segment;

use std::path::PathBuf;

pub(crate) use files::WalFiles;
pub(crate) use frame::{FRAME_OVERHEAD, encode_frame};
pub use frame::{Frame, FrameError};
pub(crate) use recover::scan;
pub(crate) use segment::{PAGE, Segment, WAL_FOLDER};

/// How the names begin of files that are used again and again; their headers alone say whether
/// they are segments in use, and where these begin.
const POOL_PREFIX: &str = "segment-";

/// A segment in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentFile {
    /// The index of its first entry.
    pub(crate) first: u64,
    /// Where it stands.
    pub(crate) path: PathBuf,
}
