use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_tlog::Origin;
use chancery_types::limits::MAX_LOG_ENTRY_BYTES;

use crate::storage::place_of;
use crate::wal::{FRAME_OVERHEAD, PAGE};
use crate::{JournalError, LocalDisk, Storage, Witnesses};

/// Largest group of entries that is made durable by one sync.
const MAX_FRAME_BYTES: usize = 8 << 20;

/// Where and how a log is written.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory of the log; made with mode 0700 where there is none.
    pub dir: PathBuf,
    /// The log.
    pub origin: Origin,
    /// How often entries are carried into tiles and a checkpoint is published.
    pub publish_interval: Duration,
    /// The size of a segment of the write-ahead log. Two of them are allocated at all times, and
    /// after a time of many entries as many as `max_pending_bytes` make up.
    pub segment_bytes: u64,
    /// So many bytes of entries that are not in tiles yet are held in memory; beyond it, appends
    /// wait.
    pub max_pending_bytes: usize,
    /// The disk that the directory is on.
    pub storage: Arc<dyn Storage>,
    /// Who cosigns the checkpoints; none where nobody is asked.
    pub witnesses: Option<Witnesses>,
}

impl Config {
    /// One checkpoint a second, segments of 16 MiB, 256 MiB of entries in memory, no witnesses.
    pub fn new(dir: impl Into<PathBuf>, origin: Origin) -> Self {
        Self {
            dir: dir.into(),
            origin,
            publish_interval: Duration::from_secs(1),
            segment_bytes: 16 << 20,
            max_pending_bytes: 256 << 20,
            storage: Arc::new(LocalDisk),
            witnesses: None,
        }
    }

    /// [`Config::new`] for the log in a directory, or where the directory says that it is kept: there
    /// with segments of 4 MiB, since nothing is allocated and each sync is an object.
    pub fn at(dir: &Path, origin: Origin) -> Result<Self, JournalError> {
        let (storage, place) = place_of(dir)?;
        let mut config = Self::new(place, origin);
        if config.dir != dir {
            config.segment_bytes = 4 << 20;
        }
        config.storage = storage;
        Ok(config)
    }

    pub(super) fn check(&self) -> Result<(), JournalError> {
        let largest = (PAGE + FRAME_OVERHEAD + 2 + MAX_LOG_ENTRY_BYTES).next_multiple_of(PAGE);
        if self.segment_bytes < largest as u64 || !self.segment_bytes.is_multiple_of(PAGE as u64) {
            return Err(JournalError::Config(
                "segment_bytes must be a multiple of 4096 and hold the largest entry (at least 73728)",
            ));
        }
        if self.publish_interval.is_zero() {
            return Err(JournalError::Config("publish_interval must not be zero"));
        }
        Ok(())
    }

    /// How many segments that are not needed are kept for later.
    pub(super) fn most_spares(&self) -> usize {
        let pending = u64::try_from(self.max_pending_bytes).unwrap_or(u64::MAX);
        usize::try_from(pending / self.segment_bytes).map_or(usize::MAX, |count| count.max(1))
    }

    /// How many bytes of entries, lengths included, fit into one frame.
    pub(super) fn frame_payload(&self) -> usize {
        let segment = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX);
        segment.min(MAX_FRAME_BYTES) - PAGE - FRAME_OVERHEAD
    }
}
