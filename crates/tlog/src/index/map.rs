use super::path::node;
use super::{IndexKey, IndexPath, IndexedChain};
use crate::TreeHash;

/// The index of a log: a sparse Merkle map. Its root follows from what it holds and from nothing
/// else, whatever came when. A subtree without leaves is SHA-256 of nothing, one with a single leaf
/// is that leaf. Some 250 bytes for each instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexMap {
    top: Slot,
    instances: u64,
}

type Slot = Option<Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Leaf {
    key: IndexKey,
    chain: IndexedChain,
    hash: TreeHash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    hash: TreeHash,
    left: Slot,
    right: Slot,
}

impl IndexMap {
    /// The index without instances.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many instances it holds.
    pub const fn instances(&self) -> u64 {
        self.instances
    }

    /// The root.
    pub fn root(&self) -> TreeHash {
        hash_of(self.top.as_ref())
    }

    /// What it holds of an instance.
    pub fn get(&self, key: &IndexKey) -> Option<&IndexedChain> {
        let mut at = self.top.as_ref();
        for depth in 0.. {
            match at? {
                Node::Leaf(leaf) => return (leaf.key == *key).then_some(&leaf.chain),
                Node::Inner(inner) => at = inner.child(key.is_right(depth)),
            }
        }
        None
    }

    /// Puts an instance in, in the place of what is there of it.
    pub fn set(&mut self, key: IndexKey, chain: IndexedChain) {
        let leaf = Leaf {
            hash: chain.leaf(&key),
            key,
            chain,
        };
        if set(&mut self.top, Box::new(leaf), 0) {
            self.instances = self.instances.saturating_add(1);
        }
    }

    /// Takes an instance out.
    pub fn remove(&mut self, key: &IndexKey) -> Option<IndexedChain> {
        let removed = remove(&mut self.top, key, 0)?;
        self.instances = self.instances.saturating_sub(1);
        Some(removed)
    }

    /// The proof of what it holds of an instance, or that it holds nothing.
    pub fn prove(&self, key: &IndexKey) -> IndexPath {
        let (mut at, mut siblings) = (self.top.as_ref(), Vec::new());
        let mut depth = 0;
        while let Some(Node::Inner(inner)) = at {
            let right = key.is_right(depth);
            siblings.push(hash_of(inner.child(!right)));
            at = inner.child(right);
            depth += 1;
        }
        siblings.reverse();
        let end = match at {
            Some(Node::Leaf(leaf)) => Some((leaf.key, leaf.chain)),
            _ => None,
        };
        IndexPath { end, siblings }
    }
}

impl Inner {
    const fn child(&self, right: bool) -> Option<&Node> {
        match right {
            true => self.right.as_ref(),
            false => self.left.as_ref(),
        }
    }

    const fn slot(&mut self, right: bool) -> &mut Slot {
        match right {
            true => &mut self.right,
            false => &mut self.left,
        }
    }

    fn rehash(&mut self) {
        self.hash = node(&hash_of(self.left.as_ref()), &hash_of(self.right.as_ref()));
    }

    /// What stands in its place, where fewer than two leaves are left below it.
    fn collapsed(&mut self) -> Option<Slot> {
        match (&self.left, &self.right) {
            (None, None) => Some(None),
            (Some(Node::Leaf(_)), None) => Some(self.left.take()),
            (None, Some(Node::Leaf(_))) => Some(self.right.take()),
            _ => None,
        }
    }
}

fn hash_of(node: Option<&Node>) -> TreeHash {
    match node {
        None => TreeHash::empty(),
        Some(Node::Leaf(leaf)) => leaf.hash,
        Some(Node::Inner(inner)) => inner.hash,
    }
}

/// Puts a leaf below `slot`; whether it is a new one.
fn set(slot: &mut Slot, leaf: Box<Leaf>, depth: usize) -> bool {
    match slot {
        Some(Node::Inner(inner)) => {
            let new = set(inner.slot(leaf.key.is_right(depth)), leaf, depth + 1);
            inner.rehash();
            new
        }
        Some(Node::Leaf(other)) if other.key != leaf.key => {
            let right = other.key.is_right(depth);
            let mut inner = Inner {
                hash: TreeHash::empty(),
                left: None,
                right: None,
            };
            *inner.slot(right) = slot.take();
            let new = set(inner.slot(leaf.key.is_right(depth)), leaf, depth + 1);
            inner.rehash();
            *slot = Some(Node::Inner(Box::new(inner)));
            new
        }
        _ => slot.replace(Node::Leaf(leaf)).is_none(),
    }
}

fn remove(slot: &mut Slot, key: &IndexKey, depth: usize) -> Option<IndexedChain> {
    match slot {
        Some(Node::Inner(inner)) => {
            let removed = remove(inner.slot(key.is_right(depth)), key, depth + 1)?;
            match inner.collapsed() {
                Some(rest) => *slot = rest,
                None => inner.rehash(),
            }
            Some(removed)
        }
        Some(Node::Leaf(leaf)) if leaf.key == *key => {
            let chain = leaf.chain;
            *slot = None;
            Some(chain)
        }
        _ => None,
    }
}
