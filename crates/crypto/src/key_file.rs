use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use chancery_types::Secret;

/// Why a private file cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file cannot be opened, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of that name is there, and stays as it is.
    #[error("{} exists already; name another", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the file.
    #[error("{}: mode {mode:04o} lets others in; run: chmod 600 {}", path.display(), path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Writes a new file with mode 0600, durably: the bytes and the name are on disk when this
/// returns. An existing file is never overwritten.
pub fn create_private_file(path: &Path, content: &[u8]) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => KeyFileError::Exists {
                path: path.to_owned(),
            },
            _ => io(source),
        })?;
    file.write_all(content).map_err(io)?;
    file.sync_all().map_err(io)?;
    sync_folder(path).map_err(io)
}

/// Replaces a file by another content, durably and whole: a crash leaves the old or the new one.
/// Its mode is 0600.
pub fn replace_private_file(path: &Path, content: &[u8]) -> Result<(), KeyFileError> {
    let next = path.with_extension("next");
    let io = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::remove_file(&next) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    create_private_file(&next, content)?;
    std::fs::rename(&next, path).map_err(io)?;
    sync_folder(path).map_err(io)
}

/// Overwrites a file's content with zeros and then takes another in its place, both durably: when
/// this returns, no name leads to the old content, and the file that held it was overwritten. A
/// crash leaves the old content, zeros or the other one. What the file system or the disk keeps of
/// overwritten blocks is theirs.
pub fn destroy_private_file(path: &Path, tombstone: &[u8]) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    match OpenOptions::new().write(true).open(path) {
        Ok(mut file) => {
            let mut left = file.metadata().map_err(io)?.len();
            while left > 0 {
                let length = left.min(ZEROS.len() as u64);
                let zeros = ZEROS.get(..usize::try_from(length).unwrap_or(1));
                file.write_all(zeros.unwrap_or(&ZEROS)).map_err(io)?;
                left -= length;
            }
            file.sync_all().map_err(io)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    replace_private_file(path, tombstone)
}

const ZEROS: [u8; 4096] = [0; 4096];

/// Reads a file that only its owner may read; refuses one that others may.
pub fn read_private_file(path: &Path) -> Result<Secret, KeyFileError> {
    let io = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(io)?;
    Ok(Secret::new(content))
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_destroyed_is_overwritten_and_has_another_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for length in [0, 7, 4_096, 9_000] {
            replace_private_file(&path, &vec![b's'; length]).unwrap();
            // Another name for the same content shows what became of it.
            let other = folder.path().join("other");
            std::fs::hard_link(&path, &other).unwrap();
            destroy_private_file(&path, b"gone").unwrap();
            assert!(read_private_file(&path).unwrap().ct_eq(b"gone"));
            assert_eq!(std::fs::read(&other).unwrap(), vec![0; length]);
            std::fs::remove_file(&other).unwrap();
        }
        let absent = folder.path().join("absent");
        destroy_private_file(&absent, b"gone").unwrap();
        assert!(read_private_file(&absent).unwrap().ct_eq(b"gone"));
    }

    #[test]
    fn is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_private_file(&path, b"secret").unwrap();
        assert!(read_private_file(&path).unwrap().ct_eq(b"secret"));
        assert!(matches!(
            create_private_file(&path, b"other"),
            Err(KeyFileError::Exists { .. })
        ));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refusal = read_private_file(&path).unwrap_err().to_string();
        assert!(refusal.contains("chmod 600"), "{refusal}");
    }
}
