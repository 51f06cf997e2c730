use chancery_types::Digest;

use super::{IndexKey, IndexedChain};
use crate::TreeHash;

const NODE: u8 = 3;

/// Most hashes of a path: one for each bit of a key.
pub const MAX_INDEX_DEPTH: usize = 256;

/// The way from the root of an index to where a key leads: what stands there, and the hashes beside
/// the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPath {
    /// What stands at the end: nothing, or a leaf, which need not be that of the key.
    pub end: Option<(IndexKey, IndexedChain)>,
    /// The hashes beside the way, from the deepest to the root's child.
    pub siblings: Vec<TreeHash>,
}

/// Why a path proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexPathError {
    /// More hashes than a key has bits.
    #[error("more hashes than there are bits of a key")]
    TooDeep,
    /// The leaf at the end is one that the way does not lead to.
    #[error("the leaf at the end of the path is not on the way of the instance")]
    Elsewhere,
    /// The path does not lead to the root.
    #[error("the path does not lead to the root of the index")]
    RootMismatch,
}

impl IndexPath {
    /// Verifies that the index under `root` has this of `key`, or that it has nothing. For one root
    /// and one key no two answers can be verified, whoever made the root.
    pub fn verify(
        &self,
        key: &IndexKey,
        root: &TreeHash,
    ) -> Result<Option<IndexedChain>, IndexPathError> {
        let depth = self.siblings.len();
        if depth > MAX_INDEX_DEPTH {
            return Err(IndexPathError::TooDeep);
        }
        if let Some((other, _)) = &self.end
            && other.common(key) < depth
        {
            return Err(IndexPathError::Elsewhere);
        }
        let mut hash = match &self.end {
            Some((other, chain)) => chain.leaf(other),
            None => TreeHash::empty(),
        };
        for (depth, sibling) in (0..depth).rev().zip(&self.siblings) {
            hash = match key.is_right(depth) {
                true => node(sibling, &hash),
                false => node(&hash, sibling),
            };
        }
        if hash != *root {
            return Err(IndexPathError::RootMismatch);
        }
        Ok(self
            .end
            .filter(|(other, _)| other == key)
            .map(|(_, chain)| chain))
    }
}

/// The hash of an inner node: SHA-256 over 0x03, left and right.
pub(super) fn node(left: &TreeHash, right: &TreeHash) -> TreeHash {
    let digest = Digest::of_parts([&[NODE][..], left.as_bytes(), right.as_bytes()]);
    TreeHash::from_bytes(*digest.as_bytes())
}
