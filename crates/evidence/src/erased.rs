//! Objects that were erased: what evidence holds in their place.

use std::collections::BTreeSet;
use std::fmt;

use chancery_audit::{Disclosure, Label};
use chancery_tlog::{LeafHash, MemoryTree, TreeHash, prove_inclusion, verify_inclusion};
use chancery_types::id::SessionId;
use chancery_types::{CanonicalError, Digest, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

use crate::ObjectKind;

/// The file that says which objects were erased, and proves it. Only where there are any.
pub const ERASED_PATH: &str = "erased.json";

/// Under which name an erasure commits to what of the logs concerns the person.
pub const ERASED_SCOPE: &str = "erased-scope";

/// The objects of a session that were erased, each with its proof into an entry `erasure.done` of the
/// gateway's log, and the proofs into the entries `erasure` of the server's that each of them was the
/// erased person's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasedObjects {
    /// The format.
    pub format: ErasedFormat,
    /// What concerns those who were erased; sorted by entry and text, none twice.
    pub concerns: Vec<ErasedConcern>,
    /// Sorted by digest, none twice.
    pub erased: Vec<ErasedObject>,
}

/// What of the logs concerns a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// A session at a root of which they stand.
    Session(SessionId),
    /// An answer that they gave, by the digest of its signed form.
    Answer(Digest),
}

impl Concern {
    /// Whose an object of a session is: an answer is its giver's, everything else that may be erased is
    /// the person's at the root. None for what is about nobody and stays.
    pub const fn of(kind: ObjectKind, digest: Digest, session: SessionId) -> Option<Self> {
        match kind {
            ObjectKind::Manifest | ObjectKind::Wit | ObjectKind::Policy | ObjectKind::Catalog => {
                None
            }
            ObjectKind::Approval => Some(Self::Answer(digest)),
            ObjectKind::Link
            | ObjectKind::Chain
            | ObjectKind::Consent
            | ObjectKind::Mission
            | ObjectKind::Opinion
            | ObjectKind::Proof
            | ObjectKind::SessionProof
            | ObjectKind::Arguments
            | ObjectKind::Display
            | ObjectKind::Disclosure => Some(Self::Session(session)),
        }
    }

    /// What opens the commitment of an erasure to it, behind a salt of its own.
    pub fn disclosed(&self, salt: [u8; 32]) -> Disclosure {
        Disclosure {
            name: Label::or_digest(ERASED_SCOPE),
            salt,
            value: self.to_string(),
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(session) => write!(f, "session {session}"),
            Self::Answer(digest) => write!(f, "answer {digest}"),
        }
    }
}

/// One thing that concerns somebody who was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasedConcern {
    /// The index of the entry `erasure` in the server's log.
    pub erasure: u64,
    /// What opens its commitment.
    pub opened: Disclosure,
    /// Its place among the commitments of that erasure.
    pub leaf: u64,
    /// The inclusion proof, the leaf's sibling first.
    pub proof: Vec<Digest>,
}

impl ErasedConcern {
    /// Whether it is among the `size` commitments under that root.
    pub(crate) fn is_under(&self, size: u64, root: Digest) -> bool {
        let commitment = *self.opened.commitment().as_digest();
        self.opened.name == *ERASED_SCOPE
            && is_under((self.leaf, size), commitment, &self.proof, root)
    }
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
        let sorted = read.erased.is_sorted_by(|a, b| a.digest < b.digest)
            && (read.concerns)
                .is_sorted_by(|a, b| (a.erasure, &a.opened.value) < (b.erasure, &b.opened.value));
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
        is_under((self.leaf, values), self.digest, &self.proof, root)
    }
}

fn is_under((place, size): (u64, u64), digest: Digest, proof: &[Digest], root: Digest) -> bool {
    let hash = |digest: &Digest| TreeHash::from_bytes(*digest.as_bytes());
    let proof: Vec<_> = proof.iter().map(hash).collect();
    verify_inclusion(place, size, leaf(&digest), &proof, &hash(&root)).is_ok()
}

/// The digests of everything that one erasure took from a gateway, or that one concerns: the leaves of
/// the tree whose root its entry names.
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

    /// Of what opens the commitments to what concerns a person.
    pub fn scope(scope: &[Disclosure]) -> Self {
        Self::new(scope.iter().map(|one| *one.commitment().as_digest()))
    }

    /// The proof that something concerns whoever was erased, where `scope`, which this was made of, has
    /// it; `erasure` is the index of the entry that names the root.
    pub fn prove_concern(
        &self,
        scope: &[Disclosure],
        concern: Concern,
        erasure: u64,
    ) -> Option<ErasedConcern> {
        let text = concern.to_string();
        let opened = scope.iter().find(|one| one.value == text)?;
        let proven = self.prove(*opened.commitment().as_digest(), erasure)?;
        Some(ErasedConcern {
            erasure,
            opened: opened.clone(),
            leaf: proven.leaf,
            proof: proven.proof,
        })
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
    fn proves_exactly_what_concerns_the_person() {
        let concerns = [
            Concern::Session(SessionId::from_random([1; 16])),
            Concern::Session(SessionId::from_random([2; 16])),
            Concern::Answer(Digest::of("answer")),
        ];
        let scope: Vec<_> = (7_u8..)
            .zip(concerns)
            .map(|(salt, concern)| concern.disclosed([salt; 32]))
            .collect();
        let tree = Erasure::scope(&scope);
        for concern in concerns {
            let proven = tree.prove_concern(&scope, concern, 4).unwrap();
            assert!(proven.is_under(3, tree.root()));
            assert!(!proven.is_under(3, Digest::of("other")));
            for change in [
                |one: &mut ErasedConcern| one.opened.value.push('0'),
                |one: &mut ErasedConcern| one.opened.salt = [0; 32],
                |one: &mut ErasedConcern| one.opened.name = "principal".parse().unwrap(),
                |one: &mut ErasedConcern| one.leaf = one.leaf.wrapping_add(1) % 3,
            ] {
                let mut changed = proven.clone();
                change(&mut changed);
                assert!(!changed.is_under(3, tree.root()), "{changed:?}");
            }
        }
        let other = Concern::Session(SessionId::from_random([3; 16]));
        assert!(tree.prove_concern(&scope, other, 4).is_none());
    }

    #[test]
    fn reads_one_spelling() {
        let erasure = erasure(5);
        let all = erasure.digests().iter();
        let file = ErasedObjects {
            format: ErasedFormat::V1,
            concerns: Vec::new(),
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
