use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{LocalDisk, ObjectDisk, Storage};
use crate::JournalError;
use crate::disk::{FORMAT_FILE, TEMPORARY, private_folder, replace_private};

/// The file in a log's folder that says where the log is kept instead.
const PLACE_FILE: &str = "kept-in";

/// Below what the file names.
const DIR: &str = "log";

/// Has the log of a folder kept in object storage, below `s3://BUCKET/PREFIX`. Refuses a folder that
/// holds a log itself, or whose log is kept elsewhere already.
pub fn keep_log_in(folder: &Path, place: &str) -> Result<(), JournalError> {
    let path = folder.join(PLACE_FILE);
    let refused = |source| JournalError::Place {
        path: path.clone(),
        source,
    };
    ObjectDisk::s3(place).map_err(refused)?;
    if let Some(known) = read_place(&path)? {
        if known == place {
            return Ok(());
        }
        return Err(JournalError::Kept { path, known });
    }
    let format = folder.join(FORMAT_FILE);
    if LocalDisk
        .read(&format)
        .map_err(JournalError::io(&format))?
        .is_some()
    {
        let known = folder.display().to_string();
        return Err(JournalError::Kept { path, known });
    }
    private_folder(&LocalDisk, folder)?;
    let temporary = folder.join(format!("{PLACE_FILE}.{TEMPORARY}"));
    replace_private(
        &LocalDisk,
        &path,
        &temporary,
        format!("{place}\n").as_bytes(),
    )
}

/// Where the log of a folder is: there, or where the folder says that it is kept.
pub(crate) fn place_of(folder: &Path) -> Result<(Arc<dyn Storage>, PathBuf), JournalError> {
    let path = folder.join(PLACE_FILE);
    match read_place(&path)? {
        None => Ok((Arc::new(LocalDisk), folder.to_owned())),
        Some(place) => match ObjectDisk::s3(&place) {
            Ok(disk) => Ok((Arc::new(disk), PathBuf::from(DIR))),
            Err(source) => Err(JournalError::Place { path, source }),
        },
    }
}

fn read_place(path: &Path) -> Result<Option<String>, JournalError> {
    let bytes = LocalDisk.read(path).map_err(JournalError::io(path))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}
