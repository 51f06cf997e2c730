use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::segment::{Segment, WAL_FOLDER, clear_header, segment_path};
use super::{POOL_PREFIX, SegmentFile};
use crate::disk::sync_folder;
use crate::{JournalError, Storage};

/// The files of the write-ahead log: segments in use, and spare ones that have their names, their
/// length and their place on the disk already. Shared by who fills segments and by who frees them.
#[derive(Debug)]
pub(crate) struct WalFiles {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    segment_bytes: u64,
    /// So many freed segments become spare ones instead of being taken away.
    most_spares: usize,
    /// The highest number of a file from an earlier start.
    named_before: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// By the index of their first entries; the last one is being filled.
    in_use: VecDeque<SegmentFile>,
    spares: Vec<PathBuf>,
    named: u64,
}

impl WalFiles {
    /// Takes up the folder with the segments that are in use.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        segment_bytes: u64,
        most_spares: usize,
        in_use: Vec<SegmentFile>,
    ) -> Result<Self, JournalError> {
        let folder = dir.join(WAL_FOLDER);
        let names = storage.list(&folder).map_err(JournalError::io(&folder))?;
        let numbers = names.iter().filter_map(|name| Self::number(name));
        let named_before = numbers.max().unwrap_or(0);
        Ok(Self {
            storage,
            folder,
            segment_bytes,
            most_spares,
            named_before,
            inner: Mutex::new(Inner {
                in_use: in_use.into(),
                spares: Vec::new(),
                named: named_before,
            }),
        })
    }

    /// Takes away what is left of an earlier start: files that were spare or have no frames. They
    /// are not used again, since a name of theirs may also be one of a segment; and one of them
    /// may be all that says where the log goes on, until the next segment is started.
    pub(crate) fn clean(&self) -> Result<(), JournalError> {
        let names = self.storage.list(&self.folder);
        let names = names.map_err(JournalError::io(&self.folder))?;
        for path in names.iter().map(|name| self.folder.join(name)) {
            let inner = self.lock();
            let kept = inner.spares.contains(&path)
                || inner.in_use.iter().any(|segment| segment.path == path);
            drop(inner);
            if !kept {
                self.storage
                    .remove(&path)
                    .map_err(JournalError::io(&path))?;
            }
        }
        Ok(())
    }

    /// Starts the segment that begins with entry `first`, in the place of one without frames. It
    /// is empty and durable, under a name that says so.
    pub(crate) fn start(&self, first: u64) -> Result<Segment, JournalError> {
        let spare = self.take_spare()?;
        let path = segment_path(&self.folder, first);
        let storage = &*self.storage;
        let mut segment = Segment::take(storage, &spare, first, self.segment_bytes)?;
        segment.write_header()?;
        storage
            .rename(&spare, &path)
            .map_err(JournalError::io(&path))?;
        sync_folder(storage, &self.folder)?;
        self.has_begun(SegmentFile { first, path });
        Ok(segment)
    }

    /// Goes on in a spare segment, which is made where there is none. It costs no sync of its own:
    /// its header goes before its first frame, and with that it is one in use, which
    /// [`WalFiles::has_begun`] is told.
    pub(crate) fn go_on(&self, first: u64) -> Result<Segment, JournalError> {
        let spare = self.take_spare()?;
        Segment::take(&*self.storage, &spare, first, self.segment_bytes)
    }

    /// The first frame of a segment is durable; from now on the ones before it may be freed.
    pub(crate) fn has_begun(&self, segment: SegmentFile) {
        self.lock().in_use.push_back(segment);
    }

    /// Has at least so many spare segments ready.
    pub(crate) fn prepare(&self, count: usize) -> Result<(), JournalError> {
        while self.lock().spares.len() < count {
            let made = self.make()?;
            self.lock().spares.push(made);
        }
        Ok(())
    }

    /// Frees the segments whose entries are all below `size`; the one that is being filled stays.
    pub(crate) fn free(&self, size: u64) -> Result<(), JournalError> {
        let mut inner = self.lock();
        let later = inner.in_use.iter().skip(1);
        let covered = later.take_while(|second| second.first <= size).count();
        let freed: Vec<_> = inner.in_use.drain(..covered).collect();
        let mut room = self.most_spares.saturating_sub(inner.spares.len());
        drop(inner);
        for SegmentFile { path, .. } in freed {
            if room > 0 && self.is_reusable(&path)? {
                clear_header(&*self.storage, &path)?;
                self.lock().spares.push(path);
                room -= 1;
            } else {
                self.storage
                    .remove(&path)
                    .map_err(JournalError::io(&path))?;
            }
        }
        Ok(())
    }

    fn take_spare(&self) -> Result<PathBuf, JournalError> {
        let spare = self.lock().spares.pop();
        spare.map_or_else(|| self.make(), Ok)
    }

    /// Makes a file of zeros whose name is durable too. One that finds no room takes none: else each start
    /// on a full disk would eat what was made free meanwhile.
    fn make(&self) -> Result<PathBuf, JournalError> {
        let path = self.pool_path();
        if let Err(error) = self.storage.allocate(&path, self.segment_bytes) {
            // Whether it goes or not, the first failure is what is told.
            let _ = self.storage.remove(&path);
            return Err(JournalError::io(&path)(error));
        }
        sync_folder(&*self.storage, &self.folder)?;
        Ok(path)
    }

    /// The number in the name of a file of the pool.
    fn number(name: &str) -> Option<u64> {
        name.strip_prefix(POOL_PREFIX)?.parse().ok()
    }

    /// Whether a segment can be used again: a file of this start, under the one name that it ever
    /// had, and as long as segments are now.
    fn is_reusable(&self, path: &Path) -> Result<bool, JournalError> {
        if !self.storage.keeps_room() {
            return Ok(false);
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(Self::number);
        if number.is_none_or(|number| number <= self.named_before) {
            return Ok(false);
        }
        let length = self.storage.length(path).map_err(JournalError::io(path))?;
        Ok(length == Some(self.segment_bytes))
    }

    fn pool_path(&self) -> PathBuf {
        let mut inner = self.lock();
        inner.named += 1;
        self.folder.join(format!("{POOL_PREFIX}{}", inner.named))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
