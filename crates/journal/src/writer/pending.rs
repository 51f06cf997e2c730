use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The durable entries that are not in tiles yet, shared by committer, publisher and readers.
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

#[derive(Debug)]
struct Inner {
    /// The index of the first entry here: everything before it is in tiles.
    base: u64,
    entries: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

impl Pending {
    pub(super) fn new(base: u64, max_bytes: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                base,
                entries: VecDeque::new(),
                bytes: 0,
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

    /// Waits until the limit is not reached any more.
    pub(super) fn wait_for_room(&self) {
        let full = |inner: &mut Inner| inner.bytes >= self.max_bytes;
        drop(self.drained.wait_while(self.lock(), full));
    }

    /// Adds entries that have just become durable.
    pub(super) fn extend(&self, entries: impl Iterator<Item = Arc<[u8]>>) {
        let mut inner = self.lock();
        for entry in entries {
            inner.bytes += entry.len();
            inner.entries.push_back(entry);
        }
    }

    /// The entries from `from` up to `to` that are here.
    pub(super) fn snapshot(&self, from: u64, to: u64) -> Snapshot {
        let inner = self.lock();
        let start = from.max(inner.base);
        let place = |index: u64| usize::try_from(index - inner.base).unwrap_or(usize::MAX);
        let entries = inner.entries.iter().take(place(to.max(start)));
        Snapshot {
            base: inner.base,
            start,
            entries: entries.skip(place(start)).cloned().collect(),
        }
    }

    /// Forgets the first `count` entries: they are in tiles now.
    pub(super) fn drain(&self, count: usize) {
        let mut inner = self.lock();
        let count = count.min(inner.entries.len());
        let freed: usize = inner.entries.drain(..count).map(|entry| entry.len()).sum();
        inner.bytes -= freed;
        inner.base += count as u64;
        drop(inner);
        self.drained.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
