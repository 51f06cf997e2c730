use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections of one peer, known by its SPIFFE ID, at once.
pub(super) const MOST_PER_PEER: usize = 8;

/// Connections from one address at once, whoever they turn out to be of: a quarter of all.
pub(super) const MOST_PER_ADDRESS: usize = 64;

/// How many connections each peer has: no peer takes all of them.
#[derive(Debug, Clone)]
pub(super) struct Connections<P: Ord> {
    most: usize,
    counts: Arc<Mutex<BTreeMap<P, usize>>>,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Counted<P: Ord> {
    all: Connections<P>,
    peer: P,
}

impl<P: Ord + Clone> Connections<P> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            counts: Arc::default(),
        }
    }

    /// Counts one more of that peer; none where it has as many as it may.
    pub(super) fn count(&self, peer: &P) -> Option<Counted<P>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Counted {
            all: self.clone(),
            peer: peer.clone(),
        })
    }
}

impl<P: Ord> Drop for Counted<P> {
    fn drop(&mut self) {
        let counts = self.all.counts.lock();
        let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_cannot_take_all() {
        let (one, two) = ("spiffe://td/a", "spiffe://td/b");
        let all = Connections::new(MOST_PER_PEER);
        let mut held: Vec<_> = (0..MOST_PER_PEER)
            .map(|_| all.count(&one).unwrap())
            .collect();
        assert!(all.count(&one).is_none());
        assert!(all.count(&two).is_some());
        held.pop();
        assert!(all.count(&one).is_some());
        drop(held);
        assert!(all.counts.lock().unwrap().is_empty());
    }
}
