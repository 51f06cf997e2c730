//! The objects of evidence, found in one place: by digest, or by kind where another digest names
//! them.

use std::collections::{BTreeMap, BTreeSet};

use chancery_types::Digest;
use chancery_types::id::SessionId;

use crate::report::{Axis, Found, Place};
use crate::{EvidenceIndex, Files, INDEX_PATH, ObjectKind, object_path};

/// Objects whose bytes are what the index says.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    index: EvidenceIndex,
    index_digest: Digest,
    bytes: BTreeMap<Digest, &'a [u8]>,
    /// Those of the index that are not there.
    missing: BTreeMap<Digest, ObjectKind>,
    /// Those that were erased, which is proven.
    erased: BTreeSet<Digest>,
    roles: BTreeMap<Digest, BTreeSet<ObjectKind>>,
}

impl<'a> Objects<'a> {
    /// Reads the index and what it lists. None where the index is not one. What is missing is a
    /// finding once it is known not to be erased ([`Objects::report_missing`]).
    pub(crate) fn read(files: &'a Files, found: &mut Found) -> Option<Self> {
        let file = Place::File(INDEX_PATH.to_owned());
        let Some(index_bytes) = files.get(INDEX_PATH) else {
            found.add(
                Axis::Completeness,
                file,
                "file_missing",
                "the file is missing",
            );
            return None;
        };
        let Some(index) = EvidenceIndex::parse(index_bytes) else {
            let text = "not an evidence index in canonical form";
            found.add(Axis::Integrity, file, "index_malformed", text);
            return None;
        };
        let (mut bytes, mut missing) = (BTreeMap::new(), BTreeMap::new());
        for object in &index.objects {
            let path = object_path(object.digest);
            match files.get(&path) {
                None => {
                    missing.insert(object.digest, object.kind);
                }
                Some(content) if Digest::of(content) != object.digest => {
                    let text = "the bytes are not those of the object's name";
                    found.add(Axis::Integrity, Place::File(path), "object_altered", text);
                }
                Some(content) => {
                    bytes.insert(object.digest, content);
                }
            }
        }
        Some(Self {
            index_digest: Digest::of(index_bytes),
            index,
            bytes,
            missing,
            erased: BTreeSet::new(),
            roles: BTreeMap::new(),
        })
    }

    /// What an object of the index is that is not there.
    pub(crate) fn missing(&self, digest: Digest) -> Option<ObjectKind> {
        self.missing.get(&digest).copied()
    }

    /// Whether anything of the index is not there.
    pub(crate) fn has_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Notes that a missing object was erased.
    pub(crate) fn erased(&mut self, digest: Digest) {
        self.erased.insert(digest);
    }

    /// Whether anything of the index was erased.
    pub(crate) fn has_erased(&self) -> bool {
        !self.erased.is_empty()
    }

    /// Whether an object was erased.
    pub(crate) fn is_erased(&self, digest: Digest) -> bool {
        self.erased.contains(&digest)
    }

    /// A finding for everything that is not there and was not erased.
    pub(crate) fn report_missing(&self, found: &mut Found) {
        for digest in self
            .missing
            .keys()
            .filter(|one| !self.erased.contains(*one))
        {
            let place = Place::File(object_path(*digest));
            let text = "the object is missing";
            found.add(Axis::Completeness, place, "file_missing", text);
        }
    }

    pub(crate) const fn session(&self) -> SessionId {
        self.index.session
    }

    pub(crate) const fn index_digest(&self) -> Digest {
        self.index_digest
    }

    /// The paths that the index gives rise to.
    pub(crate) fn paths(&self) -> impl Iterator<Item = String> + '_ {
        self.index
            .objects
            .iter()
            .map(|object| object_path(object.digest))
    }

    /// The object that an entry names by its digest, as what the entry takes it for.
    pub(crate) fn take(&mut self, digest: Digest, role: ObjectKind) -> Option<&'a [u8]> {
        let bytes = self.bytes.get(&digest).copied()?;
        self.roles.entry(digest).or_default().insert(role);
        Some(bytes)
    }

    /// Whether anything of that kind was erased.
    pub(crate) fn has_erased_of(&self, kind: ObjectKind) -> bool {
        let missing = self.missing.iter();
        let mut of_kind = missing.filter(|(_, known)| **known == kind);
        of_kind.any(|(digest, _)| self.erased.contains(digest))
    }

    /// As [`Objects::take`], and a finding where it is not there and was not erased.
    pub(crate) fn demand(
        &mut self,
        digest: Digest,
        role: ObjectKind,
        found: &mut Found,
        place: &Place,
    ) -> Option<&'a [u8]> {
        let taken = self.take(digest, role);
        if taken.is_none() && !self.is_erased(digest) {
            let text = format!(
                "the {} object {} is not there",
                role.name(),
                digest.to_hex()
            );
            found.add(Axis::Completeness, place.clone(), "object_missing", text);
        }
        taken
    }

    /// All objects that the index calls so, for those that are named by another digest than that of
    /// their bytes. Whoever uses one says so with [`Objects::take`].
    pub(crate) fn of_kind(&self, kind: ObjectKind) -> Vec<(Digest, &'a [u8])> {
        let objects = self
            .index
            .objects
            .iter()
            .filter(|object| object.kind == kind);
        objects
            .filter_map(|object| Some((object.digest, self.bytes.get(&object.digest).copied()?)))
            .collect()
    }

    /// A finding for every object that nothing refers to, or not as what the index calls it. What
    /// chains alone refer to is not asked where a chain was erased.
    pub(crate) fn check_all_used(&self, found: &mut Found) {
        let of_chains = [
            ObjectKind::Link,
            ObjectKind::Consent,
            ObjectKind::SessionProof,
        ];
        let chains_are_gone = self.has_erased_of(ObjectKind::Chain);
        for object in &self.index.objects {
            let place = Place::File(object_path(object.digest));
            match self.roles.get(&object.digest) {
                _ if !self.bytes.contains_key(&object.digest) => {}
                None if chains_are_gone && of_chains.contains(&object.kind) => {}
                None => {
                    let text = format!("no entry refers to this {}", object.kind.name());
                    found.add(Axis::Completeness, place, "object_unreferenced", text);
                }
                Some(roles) if !roles.contains(&object.kind) => {
                    let text = format!("the index calls it a {}", object.kind.name());
                    found.add(Axis::Integrity, place, "object_kind", text);
                }
                Some(_) => {}
            }
        }
    }
}
