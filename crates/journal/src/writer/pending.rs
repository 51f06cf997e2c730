use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The durable entries that are not in tiles yet, shared by committer, publisher and readers; and
/// whether the writer has ended.
#[derive(Debug)]
pub(super) struct Pending {
    inner: Mutex<Inner>,
    drained: Condvar,
    max_bytes: usize,
}

/// Durable entries at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The number of entries in tiles.
    pub(super) base: u64,
    /// The index of the first entry here.
    pub(super) start: u64,
    /// The entries.
    pub(super) entries: Vec<Arc<[u8]>>,
}

/// The writer has ended: a write or sync failed, and what the disk holds is for the recovery of
/// the next start to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended;

#[derive(Debug)]
struct Inner {
    /// The index of the first entry here: everything before it is in tiles.
    base: u64,
    entries: VecDeque<Arc<[u8]>>,
    bytes: usize,
    ended: bool,
}

impl Pending {
    pub(super) fn new(base: u64, max_bytes: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                base,
                entries: VecDeque::new(),
                bytes: 0,
                ended: false,
            }),
            drained: Condvar::new(),
            max_bytes,
        }
    }

    /// The number of durable entries.
    pub(super) fn size(&self) -> u64 {
        let inner = self.lock();
        inner.base + inner.entries.len() as u64
    }

    /// Whether the limit is reached.
    pub(super) fn is_full(&self) -> bool {
        self.lock().bytes >= self.max_bytes
    }

    /// Waits until the limit is not reached any more, or the writer has ended.
    pub(super) fn wait_for_room(&self) {
        let full = |inner: &mut Inner| inner.bytes >= self.max_bytes && !inner.ended;
        drop(self.drained.wait_while(self.lock(), full));
    }

    /// Adds entries that have just become durable.
    pub(super) fn extend(&self, entries: impl Iterator<Item = Arc<[u8]>>) -> Result<(), Ended> {
        let mut inner = self.lock();
        if inner.ended {
            return Err(Ended);
        }
        for entry in entries {
            inner.bytes += entry.len();
            inner.entries.push_back(entry);
        }
        Ok(())
    }

    /// The entries from `from` up to `to` that are here.
    pub(super) fn snapshot(&self, from: u64, to: u64) -> Snapshot {
        let inner = self.lock();
        let start = from.max(inner.base);
        let place = |index: u64| usize::try_from(index - inner.base).unwrap_or(usize::MAX);
        let (first, end) = (place(start), place(to.max(start)).min(inner.entries.len()));
        let entries = inner.entries.range(first.min(end)..end);
        Snapshot {
            base: inner.base,
            start,
            entries: entries.cloned().collect(),
        }
    }

    /// Forgets the entries below `index`: they are in tiles now.
    pub(super) fn drain_to(&self, index: u64) {
        let mut inner = self.lock();
        let count = usize::try_from(index.saturating_sub(inner.base)).unwrap_or(usize::MAX);
        let count = count.min(inner.entries.len());
        let drained: Vec<_> = inner.entries.drain(..count).collect();
        inner.bytes -= drained.iter().map(|entry| entry.len()).sum::<usize>();
        inner.base += count as u64;
        drop(inner);
        self.drained.notify_all();
    }

    /// Says that the writer has ended: nothing is confirmed from now on.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.drained.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
