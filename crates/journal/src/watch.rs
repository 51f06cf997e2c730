//! The monitor: follows a log that somebody serves and says which of its files is not what it
//! must be.

mod client;
mod source;

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_crypto::AwsLc;
use chancery_tlog::{
    CheckpointError, LogFinding, LogKeys, LogReason, MAX_NOTE_BYTES, Recomputed, SeenLog,
    SeenLogError, TileEdge, TileKind, TilePath, VerifiedCheckpoint, recompute, verify_checkpoint,
};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::JournalError;
use crate::disk::folder_of;

pub use source::{LogSource, SourceError};

/// Follows one log: its keys, where it is read, and the file that remembers what was seen. The
/// memory moves on only after a pass without a finding, so that a log that shrank, forked or lost
/// something is found again by every later pass, until somebody looks.
#[derive(Debug, Clone)]
pub struct Monitor {
    source: Arc<LogSource>,
    keys: LogKeys,
    state: PathBuf,
}

/// What one pass saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// How many entries were seen before.
    pub before: u64,
    /// The checkpoint that was served, where the log's keys signed it.
    pub checkpoint: Option<VerifiedCheckpoint>,
    /// What is wrong; nothing where everything holds.
    pub findings: Vec<LogFinding>,
    /// How many tiles and bundles were read.
    pub files: u64,
    /// Where the signed checkpoint was kept that shows a shrunk or forked log.
    pub kept: Option<PathBuf>,
}

/// Why a pass says nothing about the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The log cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The state file is not one.
    #[error("{}: {source}; restore it, or remove it to begin anew with what is served now", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SeenLogError,
    },
    /// The state file is of another log, or of other keys.
    #[error("{}: not signed by the keys that were given; name the state file of this log", path.display())]
    StateKeys {
        /// The file.
        path: PathBuf,
        /// What is wrong with its checkpoint.
        source: CheckpointError,
    },
    /// The state file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] JournalError),
    /// The pass was cut off.
    #[error("the pass was cut off")]
    Stopped(#[source] tokio::task::JoinError),
}

impl Monitor {
    /// Follows the log of these keys. A state file that is not there yet is made by the first pass,
    /// which believes the log's signature alone.
    pub fn new(source: LogSource, keys: LogKeys, state: &Path) -> Self {
        Self {
            source: Arc::new(source),
            keys,
            state: state.to_owned(),
        }
    }

    /// Reads what is new and recomputes it; with `whole` everything. `progress` hears how many
    /// entries were read, of how many.
    pub async fn pass(
        &self,
        whole: bool,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Watched, WatchError> {
        let seen = self.remembered()?;
        let edge = seen.map_or_else(TileEdge::new, |seen| seen.edge().clone());
        let mut watched = Watched {
            before: edge.size(),
            checkpoint: None,
            findings: Vec::new(),
            files: 0,
            kept: None,
        };
        let mut refuse = |reason| {
            let finding = LogFinding::of_checkpoint(reason, None);
            watched.findings.push(finding);
        };
        let Some(note) = self.source.checkpoint().await? else {
            refuse(LogReason::CheckpointMissing);
            return Ok(watched);
        };
        let verified = match verify_checkpoint(&note, &self.keys, &AwsLc) {
            Ok(verified) => verified,
            Err(error) => {
                refuse(LogReason::from(&error));
                return Ok(watched);
            }
        };
        let (source, handle) = (Arc::clone(&self.source), Handle::current());
        let checkpoint = verified.checkpoint().clone();
        let reading = spawn_blocking(move || {
            let mut read = |path: &TilePath| {
                if path.kind() == TileKind::Entries {
                    let first = path.index() * u64::from(chancery_tlog::TILE_WIDTH);
                    progress(first + u64::from(path.width()), checkpoint.size);
                }
                handle.block_on(source.tile(path))
            };
            recompute(&checkpoint, &edge, whole, &mut read, &mut |_, _| {})
        });
        let Recomputed {
            edge,
            findings,
            files,
        } = reading.await.map_err(WatchError::Stopped)??;
        watched.files = files;
        watched.checkpoint = Some(verified);
        watched.findings = findings;
        if watched.findings.is_empty() {
            self.remember(&note, edge)?;
        } else {
            watched.kept = self.keep(&note, &watched.findings)?;
        }
        Ok(watched)
    }

    fn remembered(&self) -> Result<Option<SeenLog>, WatchError> {
        let bytes = match fs::read(&self.state) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(JournalError::io(&self.state)(error).into()),
        };
        let seen = SeenLog::parse(&bytes).map_err(|source| self.unreadable(source))?;
        verify_checkpoint(seen.note().as_bytes(), &self.keys, &AwsLc).map_err(|source| {
            WatchError::StateKeys {
                path: self.state.clone(),
                source,
            }
        })?;
        Ok(Some(seen))
    }

    fn remember(&self, note: &[u8], edge: TileEdge) -> Result<(), WatchError> {
        let note = String::from_utf8_lossy(note);
        let seen = SeenLog::new(&note, edge).map_err(|source| self.unreadable(source))?;
        self.write("", seen.to_string().as_bytes())?;
        Ok(())
    }

    /// Keeps the checkpoint of a log that contradicts itself: beside what was seen it proves that.
    fn keep(&self, note: &[u8], findings: &[LogFinding]) -> Result<Option<PathBuf>, WatchError> {
        let contradicts =
            |finding: &LogFinding| matches!(finding.reason, LogReason::Shrunk | LogReason::Forked);
        if findings.iter().any(contradicts) && note.len() <= MAX_NOTE_BYTES {
            return Ok(Some(self.write(".refused", note)?));
        }
        Ok(None)
    }

    fn write(&self, suffix: &str, bytes: &[u8]) -> Result<PathBuf, WatchError> {
        let beside = |suffix: &str| {
            let mut name = self.state.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (path, new) = (beside(suffix), beside(".new"));
        File::create(&new)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .map_err(JournalError::io(&new))?;
        let folder = folder_of(&path);
        fs::rename(&new, &path)
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(JournalError::io(&path))?;
        Ok(path)
    }

    fn unreadable(&self, source: SeenLogError) -> WatchError {
        WatchError::State {
            path: self.state.clone(),
            source,
        }
    }
}
