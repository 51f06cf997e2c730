use std::ops::Range;
use std::sync::Arc;

use chancery_tlog::TILE_WIDTH;

use crate::{JournalError, Reader};

/// The entries of a range with their indices, read bundle by bundle. Ends at the first error.
#[derive(Debug)]
pub struct Entries {
    reader: Reader,
    range: Range<u64>,
    /// So many entries are in bundles.
    size: u64,
    bundle: std::vec::IntoIter<Vec<u8>>,
    /// Entries that are not in bundles yet, from `pending_from` on.
    pending: Vec<Arc<[u8]>>,
    pending_from: u64,
    failed: bool,
}

impl Entries {
    pub(crate) fn new(reader: Reader, range: Range<u64>, size: u64) -> Self {
        Self::with_pending(reader, range, size, size, Vec::new())
    }

    pub(crate) fn with_pending(
        reader: Reader,
        range: Range<u64>,
        size: u64,
        pending_from: u64,
        pending: Vec<Arc<[u8]>>,
    ) -> Self {
        let known = match pending.len() as u64 {
            0 => size,
            count => pending_from + count,
        };
        Self {
            reader,
            range: range.start..range.end.min(known),
            size,
            bundle: Vec::new().into_iter(),
            pending,
            pending_from,
            failed: false,
        }
    }

    fn read(&mut self, index: u64) -> Result<Vec<u8>, JournalError> {
        let beyond = JournalError::OutOfRange {
            asked: index,
            size: self.size,
        };
        if index >= self.size {
            let at = index.checked_sub(self.pending_from);
            let entry = at.and_then(|at| self.pending.get(usize::try_from(at).ok()?));
            return entry.map(|entry| entry.to_vec()).ok_or(beyond);
        }
        if let Some(entry) = self.bundle.next() {
            return Ok(entry);
        }
        let width = u64::from(TILE_WIDTH);
        self.bundle = self.reader.bundle(index / width, self.size)?.into_iter();
        self.bundle.nth((index % width) as usize).ok_or(beyond)
    }
}

impl Iterator for Entries {
    type Item = Result<(u64, Vec<u8>), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let index = self.range.next()?;
        let entry = self.read(index);
        self.failed = entry.is_err();
        Some(entry.map(|entry| (index, entry)))
    }
}
