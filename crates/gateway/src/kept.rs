//! What a gateway keeps, for those who read its folder while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_audit::{Entry, EntryError, Event};
use chancery_evidence::{ErasedObject, Erasure};
use chancery_journal::{ContentError, JournalError, Keyring, ObjectStore, Reader};
use chancery_types::{Digest, parse_strict};

use crate::{ERASED_OBJECTS, KEYS, OBJECTS};

/// The objects of a gateway, opened with its keys, and the proofs of those that were erased.
#[derive(Debug)]
pub struct KeptObjects {
    store: ObjectStore,
    erasures: Vec<(u64, Erasure)>,
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
            let name = format!("{}.json", done.erasure);
            let path = folder.join(ERASED_OBJECTS).join(name);
            let erasure = read_list(&path).filter(|erasure| {
                erasure.values() == done.values && erasure.root() == done.objects
            });
            erasures.push((index, erasure.ok_or(KeptError::List { path })?));
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
        let erased = erasures.find_map(|(entry, erasure)| erasure.prove(digest, *entry));
        erased.map(KeptObject::Erased).ok_or_else(|| error.into())
    }

    /// What keeps the objects.
    pub const fn store(&self) -> &ObjectStore {
        &self.store
    }
}

fn read_list(path: &Path) -> Option<Erasure> {
    let value = parse_strict(&std::fs::read(path).ok()?).ok()?;
    let digests: Vec<Digest> = serde_json::from_value(value).ok()?;
    Some(Erasure::new(digests))
}
