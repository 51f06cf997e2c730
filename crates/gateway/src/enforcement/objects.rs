use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use chancery_journal::{ContentError, ObjectStore, Subject};
use chancery_types::Digest;

/// The byte strings that evidence needs: in clear what is about nobody, the rest sealed for the
/// person that it is about.
#[derive(Debug, Clone)]
pub(crate) struct Objects(ObjectStore);

impl Objects {
    pub(crate) const fn new(store: ObjectStore) -> Self {
        Self(store)
    }

    /// Stores objects durably for whom they are about: when this returns, their bytes and names are
    /// on disk. What is there already stays as it is.
    pub(crate) async fn put(
        &self,
        whose: Option<&Subject>,
        objects: Vec<Vec<u8>>,
    ) -> io::Result<()> {
        self.put_all(vec![(whose.cloned(), objects)]).await
    }

    /// The same for several at once.
    pub(crate) async fn put_all(
        &self,
        all: Vec<(Option<Subject>, Vec<Vec<u8>>)>,
    ) -> io::Result<()> {
        let store = self.0.clone();
        let put = move || {
            all.iter()
                .try_for_each(|(whose, objects)| store.put(whose.as_ref(), objects))
        };
        let stored = tokio::task::spawn_blocking(put).await;
        stored.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// An object, when it is there and its bytes are what its name says.
    pub(crate) fn get(&self, whose: Option<&Subject>, digest: Digest) -> Option<Vec<u8>> {
        match self.0.get(whose, digest) {
            Ok(bytes) => Some(bytes),
            Err(ContentError::Missing { .. } | ContentError::Erased { .. }) => None,
            Err(error) => {
                tracing::error!(%digest, %error, "an object cannot be read");
                None
            }
        }
    }

    pub(crate) fn holds(&self, whose: Option<&Subject>, digest: Digest) -> bool {
        self.0.holds(whose, digest)
    }

    /// What keeps them.
    pub(crate) const fn store(&self) -> &ObjectStore {
        &self.0
    }
}

/// A folder of its owner alone.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).recursive(true).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
