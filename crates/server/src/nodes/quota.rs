use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chancery_types::id::NodeId;

/// Connections that one node has at a time: it needs one, another one to renew, and those that end.
const CONNECTIONS: usize = 16;

/// Issuances that one node may ask for in a minute: a thousand instances that renew every half minute,
/// and half as much for tokens.
const ISSUANCES: u32 = 3_000;
const WINDOW: Duration = Duration::from_secs(60);

/// What each node takes of the server. There is a row only for whoever was admitted.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    connections: Arc<Mutex<HashMap<NodeId, usize>>>,
    issuances: Mutex<HashMap<NodeId, (Instant, u32)>>,
}

/// A connection of a node that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Connected {
    all: Arc<Mutex<HashMap<NodeId, usize>>>,
    node: NodeId,
}

impl Quota {
    /// One more connection; none where the node has as many as it may.
    pub(super) fn connect(&self, node: NodeId) -> Option<Connected> {
        let mut counts = lock(&self.connections);
        let count = counts.entry(node).or_default();
        if *count >= CONNECTIONS {
            return None;
        }
        *count += 1;
        Some(Connected {
            all: Arc::clone(&self.connections),
            node,
        })
    }

    /// Counts one more issuance; `false` where it is one too many.
    pub(super) fn issue(&self, node: NodeId, now: Instant) -> bool {
        let mut counts = lock(&self.issuances);
        let (since, count) = counts.entry(node).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= ISSUANCES
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut counts = lock(&self.all);
        if let Some(count) = counts.get_mut(&self.node) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.node);
            }
        }
    }
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_its_part_and_no_other_nodes() {
        let quota = Quota::default();
        let (one, other) = (NodeId::from_random([1; 16]), NodeId::from_random([2; 16]));
        let begun = Instant::now();
        let mut held: Vec<_> = (0..CONNECTIONS).map(|_| quota.connect(one)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(quota.connect(one).is_none());
        assert!(quota.connect(other).is_some());
        held.pop();
        assert!(quota.connect(one).is_some());
        let issued = (0..ISSUANCES + 9).filter(|_| quota.issue(one, begun));
        assert_eq!(issued.count(), ISSUANCES as usize);
        assert!(quota.issue(other, begun));
        assert!(quota.issue(one, begun + WINDOW));
    }
}
