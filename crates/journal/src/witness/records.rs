use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_crypto::AwsLc;
use chancery_tlog::{Checkpoint, Note, VerifierKey, monitor_folder, verify_cosignature};

use crate::disk::{private_folder, read_if_present, replace};
use crate::{Damage, JournalError, Storage};

/// The folder of the records, one file for each log.
const FOLDER: &str = "logs";

/// The file that is being written, in the witness's own folder.
const BEING_MADE: &str = "record.new";

/// What a witness cosigned last of each log: the note with the log's lines and its own, in a file
/// that is replaced whole and durable before a cosignature leaves.
#[derive(Debug)]
pub(super) struct Records {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    /// By the hexadecimal SHA-256 of the origin.
    known: BTreeMap<String, Record>,
}

/// What was cosigned last of one log.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) checkpoint: Checkpoint,
    pub(super) note: String,
    /// When, in seconds since the epoch.
    pub(super) timestamp: u64,
}

impl Records {
    /// Reads every record, each of which the witness's own keys must have cosigned: a record that
    /// was lost or changed would let a log be rolled back.
    pub(super) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        own: &[VerifierKey],
    ) -> Result<Self, JournalError> {
        let folder = dir.join(FOLDER);
        private_folder(&*storage, &folder)?;
        let mut known = BTreeMap::new();
        for name in storage.list(&folder).map_err(JournalError::io(&folder))? {
            let path = folder.join(&name);
            let record = read(&*storage, &path, own)?;
            if name != monitor_folder(&record.checkpoint.origin) {
                return Err(JournalError::damaged(&path, Damage::Mismatch));
            }
            known.insert(name, record);
        }
        Ok(Self {
            storage,
            dir: dir.to_owned(),
            known,
        })
    }

    /// Whether a folder holds records, whatever is in them.
    pub(super) fn are_in(storage: &dyn Storage, dir: &Path) -> Result<bool, JournalError> {
        let folder = dir.join(FOLDER);
        let names = storage.list(&folder).map_err(JournalError::io(&folder))?;
        Ok(!names.is_empty())
    }

    /// The record of the log whose origin has this SHA-256, in lower-case hexadecimal.
    pub(super) fn of(&self, folder: &str) -> Option<&Record> {
        self.known.get(folder)
    }

    /// Keeps a record. It is durable when this returns; after an error nobody knows what the disk
    /// holds.
    pub(super) fn keep(&mut self, record: Record) -> Result<(), JournalError> {
        let name = monitor_folder(&record.checkpoint.origin);
        let path = self.dir.join(FOLDER).join(&name);
        let being_made = self.dir.join(BEING_MADE);
        replace(&*self.storage, &path, &being_made, record.note.as_bytes())?;
        self.known.insert(name, record);
        Ok(())
    }
}

fn read(storage: &dyn Storage, path: &Path, own: &[VerifierKey]) -> Result<Record, JournalError> {
    let damaged = |damage: Damage| JournalError::damaged(path, damage);
    let missing = || JournalError::Missing {
        path: path.to_owned(),
    };
    let bytes = read_if_present(storage, path)?.ok_or_else(missing)?;
    let note = Note::parse(&bytes).map_err(|error| damaged(error.into()))?;
    let checkpoint: Checkpoint = note
        .text()
        .parse()
        .map_err(|error: chancery_tlog::CheckpointTextError| damaged(error.into()))?;
    let mut timestamp = 0;
    for key in own {
        let mut lines = note.signatures().iter();
        let line = lines.find(|line| key.is_named_by(line));
        let line = line.ok_or_else(|| damaged(Damage::Mismatch))?;
        timestamp = verify_cosignature(key, &checkpoint, line, &AwsLc)
            .map_err(|_| damaged(Damage::Mismatch))?
            .max(timestamp);
    }
    Ok(Record {
        checkpoint,
        note: note.to_string(),
        timestamp,
    })
}
