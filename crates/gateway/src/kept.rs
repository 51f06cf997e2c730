//! What a gateway keeps, for those who read its folder while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_audit::{Disclosure, Entry, EntryError, Event};
use chancery_evidence::{
    Concern, ErasedConcern, ErasedFormat, ErasedObject, ErasedObjects, Erasure, ObjectKind,
};
use chancery_journal::{ContentError, JournalError, Keyring, ObjectStore, Reader};
use chancery_types::id::SessionId;
use chancery_types::{Digest, parse_strict};

use crate::enforcement::{Taken, list_name};
use crate::{ERASED_OBJECTS, KEYS, OBJECTS};

/// The objects of a gateway, opened with its keys, and the proofs of those that were erased.
#[derive(Debug)]
pub struct KeptObjects {
    store: ObjectStore,
    erasures: Vec<Followed>,
}

/// An erasure that was followed here.
#[derive(Debug)]
struct Followed {
    /// The index of the own entry, and of the server's.
    entry: u64,
    erasure: u64,
    objects: Erasure,
    scope: Vec<Disclosure>,
    concerns: Erasure,
}

/// An object, or what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptObject {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// The proof that it was erased.
    Erased(ErasedObject),
}

/// Why what a gateway keeps cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError {
    /// The keys or an object.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The log.
    #[error(transparent)]
    Log(#[from] JournalError),
    /// An entry of the log is not one of ours.
    #[error("entry {index} of the gateway's log cannot be read")]
    Entry {
        /// Its index.
        index: u64,
        /// Why.
        #[source]
        source: EntryError,
    },
    /// The list of what an erasure took is not what its entry says.
    #[error("{}: not the list that the gateway's log names; restore it from a copy", path.display())]
    List {
        /// The file.
        path: PathBuf,
    },
}

impl KeptObjects {
    /// Opens the folder of a gateway whose log `log` reads.
    pub fn open(folder: &Path, log: &Reader) -> Result<Self, KeptError> {
        let keys = Arc::new(Keyring::read(&folder.join(KEYS))?);
        let mut erasures = Vec::new();
        for read in log.entries(0..log.size()?)? {
            let (index, bytes) = read?;
            let entry = Entry::parse(&bytes);
            let entry = entry.map_err(|source| KeptError::Entry { index, source })?;
            let Event::ErasureDone(done) = entry.event else {
                continue;
            };
            let name = list_name(&(done.log, done.erasure));
            let path = folder.join(ERASED_OBJECTS).join(name);
            let taken = read_list(&path).map(|taken| (Erasure::new(taken.objects), taken.scope));
            let taken = taken.filter(|(objects, _)| {
                objects.values() == done.values && objects.root() == done.objects
            });
            let (objects, scope) = taken.ok_or(KeptError::List { path })?;
            erasures.push(Followed {
                entry: index,
                erasure: done.erasure,
                objects,
                concerns: Erasure::scope(&scope),
                scope,
            });
        }
        Ok(Self {
            store: ObjectStore::read(&folder.join(OBJECTS), keys),
            erasures,
        })
    }

    /// An object, or the proof that it was erased.
    pub fn get(&self, digest: Digest) -> Result<KeptObject, KeptError> {
        let error = match self.store.get(None, digest) {
            Ok(bytes) => return Ok(KeptObject::Bytes(bytes)),
            Err(error @ (ContentError::Missing { .. } | ContentError::Erased { .. })) => error,
            Err(error) => return Err(error.into()),
        };
        let mut erasures = self.erasures.iter();
        let erased = erasures.find_map(|one| one.objects.prove(digest, one.entry));
        erased.map(KeptObject::Erased).ok_or_else(|| error.into())
    }

    /// What evidence of a session says of its objects that were erased: each with its proof, by an erasure
    /// of whoever it concerns, which is proven too.
    pub fn erased(
        &self,
        session: SessionId,
        objects: impl IntoIterator<Item = (ObjectKind, ErasedObject)>,
    ) -> ErasedObjects {
        let (mut concerns, mut erased) = (Vec::<ErasedConcern>::new(), Vec::new());
        for (kind, object) in objects {
            let concern = Concern::of(kind, object.digest, session);
            let mut erasures = self.erasures.iter();
            let found = erasures.find_map(|one| {
                let proven = one.objects.prove(object.digest, one.entry)?;
                let concern = one
                    .concerns
                    .prove_concern(&one.scope, concern?, one.erasure)?;
                Some((proven, concern))
            });
            // What nothing concerns is shown as it is; who verifies refuses it.
            let Some((proven, concern)) = found else {
                erased.push(object);
                continue;
            };
            erased.push(proven);
            if !concerns.contains(&concern) {
                concerns.push(concern);
            }
        }
        erased.sort_by_key(|one| one.digest);
        concerns.sort_by(|a, b| (a.erasure, &a.opened.value).cmp(&(b.erasure, &b.opened.value)));
        ErasedObjects {
            format: ErasedFormat::V1,
            concerns,
            erased,
        }
    }

    /// What keeps the objects.
    pub const fn store(&self) -> &ObjectStore {
        &self.store
    }
}

fn read_list(path: &Path) -> Option<Taken> {
    let value = parse_strict(&std::fs::read(path).ok()?).ok()?;
    // Lists from before have the objects alone.
    match value.is_array() {
        true => Some(Taken {
            objects: serde_json::from_value(value).ok()?,
            scope: Vec::new(),
        }),
        false => serde_json::from_value(value).ok(),
    }
}
