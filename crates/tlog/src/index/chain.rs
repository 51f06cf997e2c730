use std::fmt;

use chancery_types::Digest;

use crate::{LeafHash, TreeHash};

const LEAF: u8 = 2;
const STEP: u8 = 4;
const KEY: u8 = 5;

/// Where a name stands in the index: SHA-256 over 0x05 and the name. From its first bit on it says
/// which way leads from the root to the leaf.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexKey(TreeHash);

/// What a log holds of one instance: how many entries, where the last one stands, and the head of
/// the chain over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IndexedChain {
    entries: u64,
    last: u64,
    head: TreeHash,
}

impl IndexKey {
    /// The place of a name.
    pub fn of(name: &str) -> Self {
        let digest = Digest::of_parts([&[KEY][..], name.as_bytes()]);
        Self(TreeHash::from_bytes(*digest.as_bytes()))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(super) const fn from_hash(hash: TreeHash) -> Self {
        Self(hash)
    }

    /// Whether the way at `depth` leads to the right; false beyond the last bit.
    pub(super) fn is_right(&self, depth: usize) -> bool {
        let byte = self.as_bytes().get(depth / 8).copied().unwrap_or_default();
        byte >> (7 - depth % 8) & 1 == 1
    }

    /// How many bits from the first one on are those of `other`.
    pub(super) fn common(&self, other: &Self) -> usize {
        let pairs = self.as_bytes().iter().zip(other.as_bytes());
        let mut bits = 0;
        for (one, two) in pairs {
            let same = (one ^ two).leading_zeros() as usize;
            bits += same;
            if same < 8 {
                break;
            }
        }
        bits
    }
}

impl IndexedChain {
    /// A chain as it is said to be. None where so many entries cannot end there.
    pub fn new(entries: u64, last: u64, head: TreeHash) -> Option<Self> {
        let fits = entries > 0 && entries - 1 <= last;
        fits.then_some(Self {
            entries,
            last,
            head,
        })
    }

    /// The chain with one entry more: entry `index` of the log, of this leaf hash. The head becomes
    /// SHA-256 over 0x04, the head before (32 zero bytes at first), the index in eight big-endian
    /// bytes and the leaf hash.
    pub fn followed_by(before: Option<&Self>, index: u64, leaf: &LeafHash) -> Self {
        let head = before.map_or([0; 32], |before| *before.head.as_bytes());
        let head = Digest::of_parts([&[STEP][..], &head, &index.to_be_bytes(), leaf.as_bytes()]);
        Self {
            entries: before.map_or(1, |before| before.entries.saturating_add(1)),
            last: index,
            head: TreeHash::from_bytes(*head.as_bytes()),
        }
    }

    /// How many entries the log holds of the instance; at least one.
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// The index of the last of them.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The head of the chain over them.
    pub const fn head(&self) -> &TreeHash {
        &self.head
    }

    /// The hash of the leaf: SHA-256 over 0x02, the key, entries and last in eight big-endian bytes
    /// each, and the head.
    pub(super) fn leaf(&self, key: &IndexKey) -> TreeHash {
        let digest = Digest::of_parts([
            &[LEAF][..],
            key.as_bytes(),
            &self.entries.to_be_bytes(),
            &self.last.to_be_bytes(),
            self.head.as_bytes(),
        ]);
        TreeHash::from_bytes(*digest.as_bytes())
    }
}

impl fmt::Display for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
