use crate::prove::subtree_root;
use crate::{LeafHash, NodeSource, Subtree, TreeHash};

/// A whole tree in memory: every full node, so that roots of all earlier sizes and all proofs can
/// be had from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTree {
    /// `levels[l][i]` is the root of the `i`-th full subtree of `2^l` leaves.
    levels: Vec<Vec<TreeHash>>,
}

/// A node or a size beyond the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("beyond the end of the tree")]
pub struct OutOfTree;

impl MemoryTree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: LeafHash) {
        let mut hash = TreeHash::from(leaf);
        for level in 0.. {
            let Some(nodes) = self.levels.get_mut(level) else {
                self.levels.push(vec![hash]);
                return;
            };
            let left = nodes.last().copied();
            nodes.push(hash);
            match left {
                Some(left) if nodes.len().is_multiple_of(2) => hash = TreeHash::node(&left, &hash),
                _ => return,
            }
        }
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The root.
    pub fn root(&self) -> TreeHash {
        // Every node below the size exists.
        self.root_at(self.size())
            .unwrap_or_else(|OutOfTree| TreeHash::empty())
    }

    /// The root that the tree had with `size` leaves.
    pub fn root_at(&self, size: u64) -> Result<TreeHash, OutOfTree> {
        subtree_root(self, Subtree::of_tree(size))
    }
}

impl NodeSource for MemoryTree {
    type Error = OutOfTree;

    fn node(&self, level: u32, index: u64) -> Result<TreeHash, OutOfTree> {
        self.levels
            .get(level as usize)
            .and_then(|nodes| nodes.get(usize::try_from(index).ok()?))
            .copied()
            .ok_or(OutOfTree)
    }
}

impl FromIterator<LeafHash> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = LeafHash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }
}
