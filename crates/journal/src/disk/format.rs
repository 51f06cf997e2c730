use std::path::Path;

use chancery_tlog::Origin;

use super::{TEMPORARY, read_if_present, replace};
use crate::{JournalError, Storage};

/// The file that says what a directory is. It is the last one that a new log gets.
pub(crate) const FORMAT_FILE: &str = "format";

const FORMAT: &str = "chancery-log/1";

/// The origin of the log in a directory; none where no log was completely made.
pub(crate) fn read_format(
    storage: &dyn Storage,
    dir: &Path,
) -> Result<Option<Origin>, JournalError> {
    let path = dir.join(FORMAT_FILE);
    let Some(bytes) = read_if_present(storage, &path)? else {
        return Ok(None);
    };
    let origin = str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.strip_prefix(FORMAT)?.strip_prefix('\n'))
        .and_then(|text| text.strip_suffix('\n')?.parse().ok());
    origin.map(Some).ok_or(JournalError::Format {
        path,
        expected: FORMAT,
    })
}

/// Says that a directory is a log, complete and empty.
pub(crate) fn write_format(
    storage: &dyn Storage,
    dir: &Path,
    origin: &Origin,
) -> Result<(), JournalError> {
    let temporary = dir.join(TEMPORARY).join(FORMAT_FILE);
    let text = format!("{FORMAT}\n{origin}\n");
    replace(storage, &dir.join(FORMAT_FILE), &temporary, text.as_bytes())
}
