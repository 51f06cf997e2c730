use chancery_audit::{ChainError, Entry, Event, InstanceChains, InstanceLink, LeafRef, leaf_hash};

use crate::samples::{digest, entry, join, leave, outcome};

const A: &str = "spiffe://example.org/agent/a/instance/1";
const B: &str = "spiffe://example.org/agent/a/instance/2";

/// A log that links what is put into it.
#[derive(Default)]
struct Log {
    entries: Vec<(LeafRef, Entry)>,
}

impl Log {
    fn next(&self, session: u8, instance: &str) -> InstanceLink {
        let own: Vec<&LeafRef> = self
            .entries
            .iter()
            .filter(|(_, entry)| {
                entry.event.instance_link().is_some_and(|(id, name, _)| {
                    id == crate::samples::id(session) && *name == *instance
                })
            })
            .map(|(leaf, _)| leaf)
            .collect();
        InstanceLink {
            seq: own.len() as u64,
            prev: own.last().map(|leaf| (*leaf).clone()),
        }
    }

    fn put(&mut self, event: impl Into<Event>) {
        let entry = entry(event);
        let hash = leaf_hash(&entry.to_bytes().unwrap());
        let index = self.entries.len() as u64;
        self.entries.push((LeafRef { index, hash }, entry));
    }

    fn check(&self) -> Result<InstanceChains, ChainError> {
        let mut chains = InstanceChains::default();
        for (leaf, entry) in &self.entries {
            chains.take(leaf, &entry.event)?;
        }
        Ok(chains)
    }
}

fn good() -> Log {
    let mut log = Log::default();
    log.put(join(1, A, log.next(1, A)));
    log.put(join(1, B, log.next(1, B)));
    log.put(outcome(1, A, log.next(1, A)));
    log.put(outcome(1, B, log.next(1, B)));
    log.put(outcome(1, A, log.next(1, A)));
    log.put(leave(1, A, log.next(1, A), 4));
    log
}

#[test]
fn a_whole_chain_passes_and_says_who_is_left() {
    let chains = good().check().unwrap();
    let open: Vec<String> = chains.open().map(|(_, name)| name.to_string()).collect();
    assert_eq!(open, [B]);
}

#[test]
fn removing_any_entry_but_the_last_of_a_chain_shows() {
    for gone in [0, 1, 2, 4] {
        let mut log = good();
        log.entries.remove(gone);
        assert!(log.check().is_err(), "{gone}");
    }
}

#[test]
fn swapping_doubling_and_changing_show() {
    let mut swapped = good();
    swapped.entries.swap(2, 4);
    assert!(matches!(swapped.check(), Err(ChainError::Gap { .. })));
    let mut doubled = good();
    let again = doubled.entries[2].clone();
    doubled.entries.insert(3, again);
    assert!(matches!(doubled.check(), Err(ChainError::Gap { .. })));
    let mut changed = good();
    changed.entries[2].0.hash = digest("other");
    assert!(matches!(changed.check(), Err(ChainError::Broken { .. })));
    let mut moved = good();
    moved.entries[2].0.index = 9;
    assert!(matches!(moved.check(), Err(ChainError::Broken { .. })));
}

#[test]
fn a_chain_starts_with_its_join_and_ends_with_its_leave() {
    let mut log = Log::default();
    log.put(outcome(1, A, log.next(1, A)));
    assert!(matches!(log.check(), Err(ChainError::Start { .. })));

    let mut log = good();
    log.put(join(1, B, log.next(1, B)));
    assert!(matches!(log.check(), Err(ChainError::Start { .. })));

    let mut log = good();
    log.put(outcome(1, A, log.next(1, A)));
    assert!(matches!(log.check(), Err(ChainError::AfterLeave { .. })));

    let mut log = good();
    log.put(join(1, A, InstanceLink { seq: 0, prev: None }));
    assert!(matches!(log.check(), Err(ChainError::AfterLeave { .. })));

    for entries in [0, 2, 4, 9_007_199_254_740_991] {
        let mut log = good();
        log.put(leave(1, B, log.next(1, B), entries));
        assert!(
            matches!(log.check(), Err(ChainError::Count { expected: 3, .. })),
            "{entries}"
        );
    }
}

#[test]
fn instances_and_sessions_have_chains_of_their_own() {
    let mut log = good();
    log.put(join(2, A, log.next(2, A)));
    log.put(leave(2, A, log.next(2, A), 2));
    assert!(log.check().is_ok());
    let mut crossed = good();
    let link = crossed.next(1, B);
    crossed.put(outcome(2, B, link));
    assert!(matches!(crossed.check(), Err(ChainError::Start { .. })));
}
