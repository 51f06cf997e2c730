use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_crypto::random_bytes;
use chancery_types::Digest;

/// The byte strings that evidence needs, each in a file of mode 0600 named by its digest.
#[derive(Debug, Clone)]
pub(crate) struct Objects(Arc<PathBuf>);

impl Objects {
    /// Takes up the folder, or makes it.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        private_folder(&folder)?;
        Ok(Self(Arc::new(folder)))
    }

    /// Stores objects durably: when this returns, their bytes and names are on disk. What is there
    /// already stays as it is.
    pub(crate) async fn put(&self, objects: Vec<Vec<u8>>) -> io::Result<()> {
        let folder = Arc::clone(&self.0);
        let stored = tokio::task::spawn_blocking(move || store(&folder, &objects)).await;
        stored.map_err(io::Error::other)?
    }

    /// An object, when it is there and its bytes are what its name says.
    pub(crate) fn get(&self, digest: Digest) -> Option<Vec<u8>> {
        let bytes = fs::read(self.0.join(digest.to_hex())).ok()?;
        Digest::of(&bytes).ct_eq(&digest).then_some(bytes)
    }

    pub(crate) fn holds(&self, digest: Digest) -> bool {
        self.0.join(digest.to_hex()).exists()
    }
}

/// A folder of its owner alone.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).recursive(true).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn store(folder: &Path, objects: &[Vec<u8>]) -> io::Result<()> {
    let mut new = false;
    for bytes in objects {
        let path = folder.join(Digest::of(bytes).to_hex());
        if path.exists() {
            continue;
        }
        // Under its name a file is whole or not there.
        let random = random_bytes::<8>().map_err(io::Error::other)?;
        let next = path.with_extension(format!("{:016x}", u64::from_be_bytes(random)));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, &path)?;
        new = true;
    }
    if new {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn gives_back_only_what_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(folder.path().join("objects")).unwrap();
        objects
            .put(vec![b"one".to_vec(), b"two".to_vec(), b"one".to_vec()])
            .await
            .unwrap();
        assert_eq!(objects.get(Digest::of("one")), Some(b"one".to_vec()));
        assert_eq!(objects.get(Digest::of("three")), None);
        let path = folder
            .path()
            .join("objects")
            .join(Digest::of("two").to_hex());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&path, b"2").unwrap();
        assert_eq!(objects.get(Digest::of("two")), None);
        assert_eq!(
            fs::read_dir(folder.path().join("objects")).unwrap().count(),
            2
        );
    }
}
