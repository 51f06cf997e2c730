//! Objects that were erased: what evidence holds in their place.

use std::collections::BTreeSet;

use chancery_tlog::{LeafHash, MemoryTree, TreeHash, prove_inclusion, verify_inclusion};
use chancery_types::{CanonicalError, Digest, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

/// The file that says which objects were erased, and proves it. Only where there are any.
pub const ERASED_PATH: &str = "erased.json";

/// The objects of a session that were erased, each with its proof into an entry `erasure.done` of the
/// gateway's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasedObjects {
    /// The format.
    pub format: ErasedFormat,
    /// Sorted by digest, none twice.
    pub erased: Vec<ErasedObject>,
}

/// The one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErasedFormat {
    /// Version 1.
    #[serde(rename = "chancery/erased/v1")]
    V1,
}

/// One object that was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasedObject {
    /// Its digest.
    pub digest: Digest,
    /// The index of the entry `erasure.done` in the gateway's log.
    pub entry: u64,
    /// Its place among the digests of that erasure.
    pub leaf: u64,
    /// The inclusion proof, the leaf's sibling first.
    pub proof: Vec<Digest>,
}

impl ErasedObjects {
    /// Reads the file; its bytes must be the canonical form and its objects sorted.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let read: Self = serde_json::from_value(parse_strict(bytes).ok()?).ok()?;
        let sorted = read.erased.is_sorted_by(|a, b| a.digest < b.digest);
        (sorted && read.to_bytes().ok()? == bytes).then_some(read)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical(self)
    }
}

impl ErasedObject {
    /// Whether it is among the `values` objects under that root.
    pub(crate) fn is_under(&self, values: u64, root: Digest) -> bool {
        let proof: Vec<_> = self
            .proof
            .iter()
            .map(|hash| TreeHash::from_bytes(*hash.as_bytes()))
            .collect();
        let root = TreeHash::from_bytes(*root.as_bytes());
        verify_inclusion(self.leaf, values, leaf(&self.digest), &proof, &root).is_ok()
    }
}

/// The digests of everything that one erasure took from a gateway: the leaves of the tree whose root
/// its entry names.
#[derive(Debug, Clone)]
pub struct Erasure {
    digests: Vec<Digest>,
    tree: MemoryTree,
}

impl Erasure {
    /// Of objects by their digests, in any order.
    pub fn new(objects: impl IntoIterator<Item = Digest>) -> Self {
        let digests: Vec<_> = objects
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let tree = digests.iter().map(leaf).collect();
        Self { digests, tree }
    }

    /// How many there are.
    pub fn values(&self) -> u64 {
        self.tree.size()
    }

    /// The root of the tree.
    pub fn root(&self) -> Digest {
        self.tree.root().digest()
    }

    /// The digests, sorted.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// The proof that an object is among them, where it is; `entry` is the index of the entry that
    /// names the root.
    pub fn prove(&self, digest: Digest, entry: u64) -> Option<ErasedObject> {
        let place = self.digests.binary_search(&digest).ok()?;
        let place = u64::try_from(place).ok()?;
        let proof = prove_inclusion(&self.tree, place, self.tree.size()).ok()?;
        Some(ErasedObject {
            digest,
            entry,
            leaf: place,
            proof: proof.iter().map(TreeHash::digest).collect(),
        })
    }
}

fn leaf(digest: &Digest) -> LeafHash {
    LeafHash::of(digest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn erasure(count: u8) -> Erasure {
        Erasure::new((0..count).map(|number| Digest::of([number])))
    }

    #[test]
    fn proves_exactly_its_own_objects() {
        for count in [1, 2, 3, 8, 21] {
            let erasure = erasure(count);
            assert_eq!(erasure.values(), u64::from(count));
            for number in 0..count {
                let proven = erasure.prove(Digest::of([number]), 7).unwrap();
                assert!(proven.is_under(count.into(), erasure.root()));
                assert!(!proven.is_under(proven.leaf, erasure.root()));
                assert!(!proven.is_under(count.into(), Digest::of("other")));
                let other = ErasedObject {
                    digest: Digest::of("other"),
                    ..proven.clone()
                };
                assert!(!other.is_under(count.into(), erasure.root()));
                let moved = ErasedObject {
                    leaf: proven.leaf ^ 1,
                    ..proven
                };
                assert!(!moved.is_under(count.into(), erasure.root()));
            }
            assert!(erasure.prove(Digest::of("other"), 7).is_none());
        }
    }

    #[test]
    fn the_order_in_which_it_is_given_does_not_matter() {
        let backwards = Erasure::new((0_u8..9).rev().map(|number| Digest::of([number])));
        assert_eq!(backwards.root(), erasure(9).root());
        let twice = Erasure::new((0_u8..9).chain(0..9).map(|number| Digest::of([number])));
        assert_eq!(twice.root(), erasure(9).root());
    }

    #[test]
    fn reads_one_spelling() {
        let erasure = erasure(5);
        let all = erasure.digests().iter();
        let file = ErasedObjects {
            format: ErasedFormat::V1,
            erased: all.filter_map(|one| erasure.prove(*one, 3)).collect(),
        };
        let bytes = file.to_bytes().unwrap();
        assert_eq!(ErasedObjects::parse(&bytes), Some(file.clone()));
        let mut reversed = file;
        reversed.erased.reverse();
        assert_eq!(ErasedObjects::parse(&reversed.to_bytes().unwrap()), None);
        let spaced = [b" ".as_slice(), &bytes].concat();
        for bad in [&b""[..], b"[]", b"{}", &spaced, &bytes[1..]] {
            assert_eq!(ErasedObjects::parse(bad), None);
        }
    }
}
