use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_crypto::{SealError, destroy_private_file, random_bytes};
use chancery_types::Digest;

use super::{ContentError, KeyId, Keyring, Subject};

/// Byte strings by their digest, each in a file of mode 0600: in clear what concerns nobody
/// (`DIGEST`), sealed what has a subject (`KEY/DIGEST`). One that several subjects have is kept once
/// for each, so that erasing one of them takes nothing from the others.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    folder: Arc<PathBuf>,
    keys: Arc<Keyring>,
}

impl ObjectStore {
    /// Takes up the folder, or makes it.
    pub fn open(folder: &Path, keys: Arc<Keyring>) -> Result<Self, ContentError> {
        make_folder(folder)?;
        Ok(Self::read(folder, keys))
    }

    /// Reads a folder that another process may write in.
    pub fn read(folder: &Path, keys: Arc<Keyring>) -> Self {
        Self {
            folder: Arc::new(folder.to_owned()),
            keys,
        }
    }

    /// The keys that seal what has a subject.
    pub const fn keys(&self) -> &Arc<Keyring> {
        &self.keys
    }

    /// Stores objects durably: when this returns, their bytes and names are on disk. What is there
    /// already stays as it is. Without a subject they stand in clear.
    pub fn put(&self, subject: Option<&Subject>, objects: &[Vec<u8>]) -> Result<(), ContentError> {
        if objects.is_empty() {
            return Ok(());
        }
        let folder = match subject {
            None => self.folder.to_path_buf(),
            Some(subject) => self.folder_for(subject)?,
        };
        let mut new = false;
        for bytes in objects {
            let digest = Digest::of(bytes);
            let path = folder.join(digest.to_hex());
            if path.exists() {
                continue;
            }
            let kept = match subject {
                None => None,
                Some(subject) => Some(self.keys.seal(subject, &place(digest), bytes)?),
            };
            write(&path, kept.as_ref().unwrap_or(bytes))?;
            new = true;
        }
        match new {
            true => sync(&folder),
            false => Ok(()),
        }
    }

    /// An object whose bytes are what its name says; looked for in clear, then under the key of
    /// `whose`, then under every other.
    pub fn get(&self, whose: Option<&Subject>, digest: Digest) -> Result<Vec<u8>, ContentError> {
        let clear = self.folder.join(digest.to_hex());
        // What stands in clear and is not what it was called may be on its way out, sealed before.
        let altered = match read(&clear)? {
            Some(bytes) if Digest::of(&bytes).ct_eq(&digest) => return Ok(bytes),
            Some(_) => ContentError::Altered { digest },
            None => ContentError::Missing { digest },
        };
        let bytes = match self.get_sealed(whose, digest) {
            Err(ContentError::Missing { .. }) => return Err(altered),
            sealed => sealed?,
        };
        match Digest::of(&bytes).ct_eq(&digest) {
            true => Ok(bytes),
            false => Err(ContentError::Altered { digest }),
        }
    }

    /// Whether there is such an object, readable or not.
    pub fn holds(&self, whose: Option<&Subject>, digest: Digest) -> bool {
        self.folder.join(digest.to_hex()).exists() || self.places(whose, digest).next().is_some()
    }

    /// The objects that are kept of a subject, sorted.
    pub fn of(&self, subject: &Subject) -> Result<Vec<Digest>, ContentError> {
        match self.keys.key_of(subject) {
            Some(key) => digests(&self.place_of(key)),
            None => Ok(Vec::new()),
        }
    }

    /// The objects that stand in clear, sorted.
    pub fn clear(&self) -> Result<Vec<Digest>, ContentError> {
        digests(&self.folder)
    }

    /// Seals an object that stands in clear for a subject, beside it. One that a crash left half
    /// taken away has its sealed copy already.
    pub fn seal_clear(&self, subject: &Subject, digest: Digest) -> Result<(), ContentError> {
        match read(&self.folder.join(digest.to_hex()))? {
            Some(bytes) if Digest::of(&bytes) == digest => self.put(Some(subject), &[bytes]),
            Some(_) => self.get(Some(subject), digest).map(drop),
            None => Ok(()),
        }
    }

    /// Takes objects away that stand in clear, overwritten first.
    pub fn remove_clear(
        &self,
        objects: impl IntoIterator<Item = Digest>,
    ) -> Result<(), ContentError> {
        for digest in objects {
            let path = self.folder.join(digest.to_hex());
            if !path.exists() {
                continue;
            }
            destroy_private_file(&path, b"")?;
            fs::remove_file(&path).map_err(ContentError::io(&path))?;
        }
        sync(&self.folder)
    }

    /// Takes away what was sealed under an erased key, which nobody can read any more.
    pub fn remove_of(&self, key: KeyId) -> Result<(), ContentError> {
        let folder = self.place_of(key);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ContentError::io(&folder)(error))
            }
            _ => sync(&self.folder),
        }
    }

    fn get_sealed(&self, whose: Option<&Subject>, digest: Digest) -> Result<Vec<u8>, ContentError> {
        let mut refused = ContentError::Missing { digest };
        for key in self.places(whose, digest) {
            match self.opened(key, digest) {
                Ok(bytes) => return Ok(bytes),
                // What is wrong with a copy says more than that another one was erased.
                Err(error)
                    if refused.is_erased() || matches!(refused, ContentError::Missing { .. }) =>
                {
                    refused = error;
                }
                Err(_) => {}
            }
        }
        Err(refused)
    }

    fn opened(&self, key: KeyId, digest: Digest) -> Result<Vec<u8>, ContentError> {
        let path = self.place_of(key).join(digest.to_hex());
        let sealed = read(&path)?.ok_or(ContentError::Missing { digest })?;
        // A file that was moved here from the folder of another key says so.
        if Keyring::key_of_value(&sealed)? != key {
            return Err(ContentError::Sealed(SealError::Refused));
        }
        let opened = self.keys.open_value(&place(digest), &sealed)?;
        Ok(opened.expose().to_vec())
    }

    /// The keys under which an object is kept, that of `whose` first.
    fn places(&self, whose: Option<&Subject>, digest: Digest) -> impl Iterator<Item = KeyId> {
        let name = digest.to_hex();
        let own = whose.and_then(|subject| self.keys.key_of(subject));
        let others = self.keys.keys().into_iter();
        let all = own
            .into_iter()
            .chain(others.filter(move |key| Some(*key) != own));
        all.filter(move |key| self.place_of(*key).join(&name).exists())
    }

    fn folder_for(&self, subject: &Subject) -> Result<PathBuf, ContentError> {
        let (key, _) = self.keys.key_for(subject)?;
        let folder = self.place_of(key);
        if !folder.is_dir() {
            make_folder(&folder)?;
            sync(&self.folder)?;
        }
        Ok(folder)
    }

    fn place_of(&self, key: KeyId) -> PathBuf {
        self.folder.join(key.to_string())
    }
}

/// The place for which an object is sealed.
fn place(digest: Digest) -> Vec<u8> {
    [b"object ".as_slice(), digest.as_bytes()].concat()
}

fn make_folder(folder: &Path) -> Result<(), ContentError> {
    match DirBuilder::new().mode(0o700).recursive(true).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(ContentError::io(folder)(error))
        }
        _ => Ok(()),
    }
}

/// Under its name a file is whole or not there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ContentError> {
    let random = u64::from_be_bytes(random_bytes::<8>()?);
    let next = path.with_extension(format!("{random:016x}"));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&next)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    written.map_err(ContentError::io(&next))?;
    fs::rename(&next, path).map_err(ContentError::io(path))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, ContentError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ContentError::io(path)(error)),
    }
}

fn sync(folder: &Path) -> Result<(), ContentError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(ContentError::io(folder))
}

/// The digests that files of a folder are named by, sorted.
fn digests(folder: &Path) -> Result<Vec<Digest>, ContentError> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(ContentError::io(folder))?,
    };
    let mut found = BTreeSet::new();
    for file in listed {
        let name = file.map_err(ContentError::io(folder))?.file_name();
        found.extend(name.to_str().and_then(|name| Digest::from_hex(name).ok()));
    }
    Ok(found.into_iter().collect())
}
