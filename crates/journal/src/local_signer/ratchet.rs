use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_tlog::Note;

use super::LocalSignerError;
use crate::disk::{read_if_present, replace};
use crate::{JournalError, SignError, Storage};

/// The last signed note.
pub(super) const RATCHET_FILE: &str = "ratchet";
const RATCHET_BEING_MADE: &str = "ratchet.new";

/// The latest signed time, where the last note says nothing about it.
const TIME_FILE: &str = "ratchet.time";
const TIME_BEING_MADE: &str = "ratchet.time.new";

/// What a signer remembers across restarts: durable before a signature leaves.
#[derive(Debug)]
pub(super) struct Ratchet {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
}

impl Ratchet {
    pub(super) fn new(storage: Arc<dyn Storage>, dir: &Path) -> Self {
        Self {
            storage,
            dir: dir.to_owned(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(RATCHET_FILE)
    }

    /// The bytes of the last signed note; none before the first.
    pub(super) fn read(&self) -> Result<Option<Vec<u8>>, LocalSignerError> {
        Ok(read_if_present(&*self.storage, &self.path())?)
    }

    pub(super) fn write(&self, note: &Note) -> Result<(), SignError> {
        self.replace(RATCHET_FILE, RATCHET_BEING_MADE, &note.to_string())
    }

    /// The latest time that was kept beside a note; zero where none was.
    pub(super) fn read_time(&self) -> Result<u64, LocalSignerError> {
        let path = self.dir.join(TIME_FILE);
        let Some(bytes) = read_if_present(&*self.storage, &path)? else {
            return Ok(0);
        };
        let text = str::from_utf8(&bytes).ok();
        let time = text.and_then(|text| text.strip_suffix('\n')?.parse().ok());
        time.ok_or(LocalSignerError::Time { path })
    }

    pub(super) fn write_time(&self, time: u64) -> Result<(), SignError> {
        self.replace(TIME_FILE, TIME_BEING_MADE, &format!("{time}\n"))
    }

    fn replace(&self, name: &str, being_made: &str, text: &str) -> Result<(), SignError> {
        let (path, temporary) = (self.dir.join(name), self.dir.join(being_made));
        replace(&*self.storage, &path, &temporary, text.as_bytes()).map_err(|error| match error {
            JournalError::Io { path, source } => SignError::Io { path, source },
            other => SignError::Unavailable(Box::new(other)),
        })
    }
}
