use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many connections each peer has: none takes the places of all others.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<Arc<str>, usize>>>);

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    all: Places,
    peer: Arc<str>,
}

impl Places {
    /// One more for that peer; none where it has as many as it may.
    pub(super) fn take(&self, peer: &Arc<str>, most: usize) -> Option<Place> {
        let mut counts = self.lock();
        let count = counts.entry(Arc::clone(peer)).or_default();
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place {
            all: self.clone(),
            peer: Arc::clone(peer),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.all.lock();
        if let Some(count) = counts.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}
