use std::path::PathBuf;

use chancery_tlog::{Checkpoint, CheckpointTextError, Note};
use chancery_types::{parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

use crate::disk::{TEMPORARY, read_if_present, replace_private, sync_folder};
use crate::{Damage, JournalError, Reader};

/// The file of a log's folder that says that it must not be signed any more.
pub(crate) const ALARM_FILE: &str = "alarm";

const FORMAT: &str = "chancery/log-alarm/v1";

/// A checkpoint is shown that this log's own key signed and that this log does not hold. Nothing is
/// signed any more, across restarts too. Without that signature nobody raises it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogAlarm {
    /// More entries were signed than there are.
    #[error(
        "{}: this log ends at {size} entries, and its key signed {recorded}, which {shown_by} shows",
        self.code()
    )]
    RolledBack {
        /// Who shows the checkpoint.
        shown_by: String,
        /// The size that was signed.
        recorded: u64,
        /// The size of the log.
        size: u64,
    },
    /// Another tree was signed than the one that there is.
    #[error(
        "{}: this log's key signed another tree of {recorded} entries, which {shown_by} shows",
        self.code()
    )]
    Forked {
        /// Who shows the checkpoint.
        shown_by: String,
        /// The size of the other tree.
        recorded: u64,
    },
}

impl LogAlarm {
    /// Every code, and what it means.
    pub const REASONS: &[(&str, &str)] = &[
        (
            "log_rolled_back",
            "the log holds fewer entries than its key signed: put its latest copy in its place, or \
             go on from this one under another name with `chancery log succeed`",
        ),
        (
            "log_forked",
            "the log's key signed two histories: find out who signed the other one; both signed \
             notes are in the file `alarm` of the log's folder, and neither may be signed on",
        ),
    ];

    /// The code, which never changes its meaning.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RolledBack { .. } => "log_rolled_back",
            Self::Forked { .. } => "log_forked",
        }
    }

    /// What helps.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::RolledBack { .. } => {
                "put the latest copy of this log in its place, or go on from this one under another \
                 name with `chancery log succeed`"
            }
            Self::Forked { .. } => {
                "find out who signed the other one; both signed notes are kept here, and this log \
                 is not signed any more"
            }
        }
    }

    /// Compares what somebody shows of a log with the log as it is, of `size` entries.
    pub(super) fn judge(
        reader: &Reader,
        size: u64,
        shown_by: &str,
        shown: &Checkpoint,
    ) -> Result<Option<Self>, JournalError> {
        let shown_by = shown_by.to_owned();
        if shown.size > size {
            return Ok(Some(Self::RolledBack {
                shown_by,
                recorded: shown.size,
                size,
            }));
        }
        // The empty tree has one root, which reading the checkpoint saw to.
        if shown.size > 0 && shown.root != reader.root_within(shown.size, size)? {
            return Ok(Some(Self::Forked {
                shown_by,
                recorded: shown.size,
            }));
        }
        Ok(None)
    }
}

/// The notes that raised an alarm, as they are kept: whoever knows the log's keys sees by them
/// alone that both were signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlarmNotes {
    format: String,
    /// Who showed it.
    shown_by: String,
    /// The checkpoint that was shown, a signed note.
    shown: String,
    /// What this log had signed itself by then; none where it had nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<String>,
}

impl AlarmNotes {
    pub(super) fn new(shown_by: &str, shown: &Note, own: Option<&Note>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            shown_by: shown_by.to_owned(),
            shown: shown.to_string(),
            own: own.map(ToString::to_string),
        }
    }

    /// Makes the notes durable beside the log, for its owner alone: from then on it does not start.
    pub(crate) fn keep(&self, reader: &Reader) -> Result<PathBuf, JournalError> {
        let path = alarm_file(reader);
        let temporary = reader.dir().join(TEMPORARY).join(ALARM_FILE);
        let bytes =
            to_canonical(self).map_err(|_| JournalError::damaged(&path, Damage::Mismatch))?;
        replace_private(&**reader.storage(), &path, &temporary, &bytes)?;
        Ok(path)
    }

    /// The notes that are kept beside a log; none where nothing was seen.
    pub(crate) fn read(reader: &Reader) -> Result<Option<Self>, JournalError> {
        let path = alarm_file(reader);
        let Some(bytes) = read_if_present(&**reader.storage(), &path)? else {
            return Ok(None);
        };
        let notes: Option<Self> = parse_strict(&bytes)
            .ok()
            .and_then(|value| serde_json::from_value(value).ok());
        let notes = notes.filter(|notes| notes.format == FORMAT);
        let damaged = || JournalError::damaged(&path, Damage::Mismatch);
        notes.map(Some).ok_or_else(damaged)
    }

    pub(crate) fn into_notes(self) -> Vec<String> {
        [Some(self.shown), self.own].into_iter().flatten().collect()
    }

    /// Refuses a log of `size` entries beside which notes are kept that it does not hold. Where it
    /// holds both, the latest copy is back in its place, and the notes are taken away.
    pub(crate) fn check_kept(reader: &Reader, size: u64) -> Result<(), JournalError> {
        let Some(notes) = Self::read(reader)? else {
            return Ok(());
        };
        let path = alarm_file(reader);
        let storage = &**reader.storage();
        let damaged = |damage: Damage| JournalError::damaged(&path, damage);
        let shown = [(notes.shown_by.as_str(), Some(&notes.shown))];
        let own = [("this log itself", notes.own.as_ref())];
        for (shown_by, note) in shown.into_iter().chain(own) {
            let Some(note) = note else { continue };
            let note = Note::parse(note.as_bytes()).map_err(|error| damaged(error.into()))?;
            let text = note.text().parse();
            let shown = text.map_err(|error: CheckpointTextError| damaged(error.into()))?;
            if let Some(alarm) = LogAlarm::judge(reader, size, shown_by, &shown)? {
                return Err(JournalError::Alarm { path, alarm });
            }
        }
        storage.remove(&path).map_err(JournalError::io(&path))?;
        sync_folder(storage, reader.dir())?;
        tracing::warn!(path = %path.display(), "the log holds what was missing of it; it goes on");
        Ok(())
    }
}

/// Where the notes of a log stand.
fn alarm_file(reader: &Reader) -> PathBuf {
    reader.dir().join(ALARM_FILE)
}
