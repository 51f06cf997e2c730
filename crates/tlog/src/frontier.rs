use crate::{LeafHash, TreeHash};

/// What is needed to append to a tree and to name its root: the roots of the full subtrees that
/// make it up, the largest first. Grows with the logarithm of the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// INVARIANT: one hash for every bit that is set in `size`, the highest first.
    roots: Vec<TreeHash>,
}

/// Why bytes or hashes are not a frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a frontier: the number of hashes does not fit the size")]
pub struct FrontierError;

impl Frontier {
    /// The frontier of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier of `size` leaves with the given subtree roots, the largest first.
    pub fn from_parts(size: u64, roots: Vec<TreeHash>) -> Result<Self, FrontierError> {
        if roots.len() != size.count_ones() as usize {
            return Err(FrontierError);
        }
        Ok(Self { size, roots })
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: LeafHash) {
        let mut hash = TreeHash::from(leaf);
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = TreeHash::node(&left, &hash);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root.
    pub fn root(&self) -> TreeHash {
        self.roots
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| TreeHash::node(&left, &right))
            .unwrap_or_else(TreeHash::empty)
    }

    /// The size in eight big-endian bytes, then the hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        for root in &self.roots {
            bytes.extend(root.as_bytes());
        }
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote, and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(FrontierError)?;
        let (hashes, rest) = rest.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(FrontierError);
        }
        let roots = hashes.iter().copied().map(TreeHash::from_bytes).collect();
        Self::from_parts(u64::from_be_bytes(*size), roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_other_lengths() {
        let mut frontier = Frontier::new();
        (0..11_u8).for_each(|byte| frontier.push(LeafHash::of([byte])));
        let bytes = frontier.to_bytes();
        assert_eq!(Frontier::from_bytes(&bytes), Ok(frontier));
        for length in 0..bytes.len() {
            assert_eq!(Frontier::from_bytes(&bytes[..length]), Err(FrontierError));
        }
        assert_eq!(
            Frontier::from_bytes(&[bytes, vec![0; 32]].concat()),
            Err(FrontierError)
        );
    }
}
