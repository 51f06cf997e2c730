use chancery_audit::{Event, IndexRoot, Label, LeafRef};
use chancery_tlog::{IndexKey, IndexMap, IndexPath, IndexedChain, LeafHash};

/// The completeness index of a log, folded entry by entry. It depends on the entries alone: whoever
/// folds the same entries has the same root. Some 250 bytes for each instance that ever joined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceIndex {
    map: IndexMap,
    size: u64,
}

impl InstanceIndex {
    /// Takes the next entry of the log. Entries that belong to no instance's chain count as covered.
    pub fn take(&mut self, leaf: &LeafRef, event: &Event) {
        if let Some((_, instance, _)) = event.instance_link() {
            self.add(instance, leaf);
        }
        self.size = leaf.index.saturating_add(1);
    }

    /// How many entries it covers.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What is enrolled of it.
    pub fn to_entry(&self) -> IndexRoot {
        IndexRoot {
            size: self.size,
            root: self.map.root().digest(),
            instances: self.map.instances(),
        }
    }

    /// What it holds of an instance.
    pub fn get(&self, instance: &str) -> Option<&IndexedChain> {
        self.map.get(&IndexKey::of(instance))
    }

    /// The path from the root to an instance, or to where it would be.
    pub fn prove(&self, instance: &str) -> IndexPath {
        self.map.prove(&IndexKey::of(instance))
    }

    pub(super) const fn map(&mut self) -> &mut IndexMap {
        &mut self.map
    }

    pub(super) const fn cover(&mut self, size: u64) {
        self.size = size;
    }

    /// Adds an entry of an instance; gives back what was held before.
    pub(super) fn add(&mut self, instance: &Label, leaf: &LeafRef) -> Option<IndexedChain> {
        let key = IndexKey::of(instance.as_str());
        let before = self.map.get(&key).copied();
        let hash = LeafHash::from_bytes(*leaf.hash.as_bytes());
        let chain = IndexedChain::followed_by(before.as_ref(), leaf.index, &hash);
        self.map.set(key, chain);
        before
    }
}
