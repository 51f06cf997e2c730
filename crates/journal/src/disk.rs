//! Durable file operations: everything here is on disk when it returns.

mod format;
mod lock;
mod staged;
mod state;

use std::path::Path;

use crate::{Access, JournalError, Storage};

pub(crate) use format::{FORMAT_FILE, read_format, write_format};
pub(crate) use lock::take_lock;
pub(crate) use staged::Staged;
pub(crate) use state::{read_state, write_state};

/// The folder of files that are being written.
pub(crate) const TEMPORARY: &str = "tmp";

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(storage: &dyn Storage, path: &Path) -> Result<(), JournalError> {
    storage.sync_folder(path).map_err(JournalError::io(path))
}

/// Writes a file anew or in the place of another: readers see the old or the new bytes, whole.
/// `temporary` is a path on the same file system.
pub(crate) fn replace(
    storage: &dyn Storage,
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
) -> Result<(), JournalError> {
    replace_as(storage, path, temporary, bytes, Access::Mask)
}

/// [`replace`] by a file that only its owner reads.
pub(crate) fn replace_private(
    storage: &dyn Storage,
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
) -> Result<(), JournalError> {
    replace_as(storage, path, temporary, bytes, Access::Owner)
}

fn replace_as(
    storage: &dyn Storage,
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
    access: Access,
) -> Result<(), JournalError> {
    storage
        .create(temporary, access)
        .and_then(|file| {
            file.write_all_at(bytes, 0)?;
            file.sync()
        })
        .map_err(JournalError::io(temporary))?;
    storage
        .rename(temporary, path)
        .map_err(JournalError::io(path))?;
    sync_folder(storage, folder_of(path))
}

/// Reads a file; none where there is none.
pub(crate) fn read_if_present(
    storage: &dyn Storage,
    path: &Path,
) -> Result<Option<Vec<u8>>, JournalError> {
    storage.read(path).map_err(JournalError::io(path))
}

/// The folder that a name stands in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    }
}

/// Makes a folder that only its owner sees, with its name durable, also where an earlier start
/// made it and was cut off before that.
pub(crate) fn private_folder(storage: &dyn Storage, path: &Path) -> Result<(), JournalError> {
    storage
        .create_folder(path, Access::Owner)
        .map_err(JournalError::io(path))?;
    sync_folder(storage, folder_of(path))
}
