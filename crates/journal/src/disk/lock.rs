use std::path::Path;

use crate::{JournalError, Storage, StorageLock};

const LOCK_FILE: &str = "lock";

/// Takes the right to write in a directory, or says that another holds it.
pub(crate) fn take_lock(
    storage: &dyn Storage,
    dir: &Path,
) -> Result<Box<dyn StorageLock>, JournalError> {
    let path = dir.join(LOCK_FILE);
    storage
        .lock(&path)
        .map_err(JournalError::io(&path))?
        .ok_or(JournalError::Locked { path })
}
