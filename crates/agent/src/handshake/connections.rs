use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_identity::SpiffeId;

/// Connections of one peer at once.
const MOST_PER_PEER: usize = 8;

/// How many connections each peer has: no peer takes all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<BTreeMap<SpiffeId, usize>>>);

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    all: Connections,
    peer: SpiffeId,
}

impl Connections {
    /// Counts one more of that peer; none where it has as many as it may.
    pub(super) fn count(&self, peer: &SpiffeId) -> Option<Counted> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer.clone()).or_default();
        if *count >= MOST_PER_PEER {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Counted {
            all: self.clone(),
            peer: peer.clone(),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let (one, two) = (
            "spiffe://td/a".parse().unwrap(),
            "spiffe://td/b".parse().unwrap(),
        );
        let all = Connections::default();
        let mut held: Vec<_> = (0..MOST_PER_PEER)
            .map(|_| all.count(&one).unwrap())
            .collect();
        assert!(all.count(&one).is_none());
        assert!(all.count(&two).is_some());
        held.pop();
        assert!(all.count(&one).is_some());
        drop(held);
        assert!(all.0.lock().unwrap().is_empty());
    }
}
