//! Durable file operations: everything here is on disk when it returns.

mod format;
mod immutable;
mod lock;
mod state;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use crate::JournalError;

pub(crate) use format::{FORMAT_FILE, read_format, write_format};
pub(crate) use immutable::write_immutable;
pub(crate) use lock::DirectoryLock;
pub(crate) use state::{read_state, write_state};

/// The folder of files that are being written.
pub(crate) const TEMPORARY: &str = "tmp";

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), JournalError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(JournalError::io(path))
}

/// Writes a file anew or in the place of another: readers see the old or the new bytes, whole.
/// `temporary` is a path on the same file system.
pub(crate) fn replace(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let mut file = File::create(temporary).map_err(JournalError::io(temporary))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(JournalError::io(temporary))?;
    fs::rename(temporary, path).map_err(JournalError::io(path))?;
    sync_folder(folder_of(path))
}

/// Reads a file; none where there is none.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, JournalError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(JournalError::io(path)(error)),
    }
}

/// The folder that a name stands in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    }
}

/// Makes a folder that only its owner sees, with its name durable.
pub(crate) fn private_folder(path: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::DirBuilderExt as _;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_folder(folder_of(path)),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(JournalError::io(path)(error)),
    }
}
