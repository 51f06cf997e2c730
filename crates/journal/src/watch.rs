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
    Checkpoint, CheckpointError, Cosigned, LogFinding, LogKeys, LogReason, MAX_NOTE_BYTES, Note,
    Recomputed, SeenLog, SeenLogError, TileEdge, TileKind, TilePath, VerifiedCheckpoint, recompute,
    verify_checkpoint,
};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::disk::folder_of;
use crate::{JournalError, Unwitnessed, Witnesses};

pub use source::{LogSource, SourceError};

/// Follows one log: its keys, where it is read, and the file that remembers what was seen. The
/// memory moves on only after a pass without a finding, so that a log that shrank, forked or lost
/// something is found again by every later pass, until somebody looks.
#[derive(Debug, Clone)]
pub struct Monitor {
    source: Arc<LogSource>,
    keys: LogKeys,
    state: PathBuf,
    witnesses: Option<Witnesses>,
}

/// What one pass saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// How many entries were seen before.
    pub before: u64,
    /// The checkpoint that was served, where the log's keys signed it.
    pub checkpoint: Option<VerifiedCheckpoint>,
    /// Which witnesses cosigned it; none where nobody is asked for, or a cosignature is wrong.
    pub cosigned: Option<Cosigned>,
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
            witnesses: None,
        }
    }

    /// Judges the quorum of these witnesses as well. Where checkpoints without it are withheld, one
    /// that is served without it is a finding, and is not remembered.
    #[must_use]
    pub fn witnessed_by(mut self, witnesses: Option<Witnesses>) -> Self {
        self.witnesses = witnesses;
        self
    }

    /// Reads what is new and recomputes it; with `whole` everything. `progress` hears how many
    /// entries were read, of how many; `each` sees every entry that is new, with `whole` every one,
    /// in order and before it is known whether the log holds.
    pub async fn pass(
        &self,
        whole: bool,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
        mut each: impl FnMut(u64, &[u8]) + Send + 'static,
    ) -> Result<Watched, WatchError> {
        let seen = self.remembered()?;
        let edge = seen.map_or_else(TileEdge::new, |seen| seen.edge().clone());
        let mut watched = Watched {
            before: edge.size(),
            checkpoint: None,
            cosigned: None,
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
        match self.cosigned(&note, verified.checkpoint()) {
            Ok(cosigned) => {
                if self.is_withheld(cosigned.as_ref()) {
                    refuse(LogReason::Unwitnessed);
                }
                watched.cosigned = cosigned;
            }
            Err(reason) => refuse(reason),
        }
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
            recompute(&checkpoint, &edge, whole, &mut read, &mut each)
        });
        let Recomputed {
            edge,
            findings,
            files,
        } = reading.await.map_err(WatchError::Stopped)??;
        watched.files = files;
        watched.checkpoint = Some(verified);
        watched.findings.extend(findings);
        if watched.findings.is_empty() {
            self.remember(&note, edge)?;
        } else {
            watched.kept = self.keep(&note, &watched.findings)?;
        }
        Ok(watched)
    }

    /// Which of the witnesses cosigned the checkpoint.
    fn cosigned(
        &self,
        note: &[u8],
        checkpoint: &Checkpoint,
    ) -> Result<Option<Cosigned>, LogReason> {
        let Some(witnesses) = &self.witnesses else {
            return Ok(None);
        };
        let note = Note::parse(note).map_err(|_| LogReason::CheckpointMalformed)?;
        let cosigned = witnesses.policy.cosigners(checkpoint, &note, None, &AwsLc);
        cosigned.map(Some).map_err(|_| LogReason::CosignatureWrong)
    }

    /// Whether the checkpoint should not have been published yet.
    fn is_withheld(&self, cosigned: Option<&Cosigned>) -> bool {
        let withheld = (self.witnesses.as_ref())
            .is_some_and(|witnesses| witnesses.unwitnessed == Unwitnessed::Withhold);
        withheld && cosigned.is_some_and(|cosigned| !cosigned.is_met())
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
        self.write(seen.to_string().as_bytes())
    }

    /// Keeps the checkpoint of a log that contradicts itself: beside what was seen it proves that.
    fn keep(&self, note: &[u8], findings: &[LogFinding]) -> Result<Option<PathBuf>, WatchError> {
        let contradicts =
            |finding: &LogFinding| matches!(finding.reason, LogReason::Shrunk | LogReason::Forked);
        if findings.iter().any(contradicts) && note.len() <= MAX_NOTE_BYTES {
            return self.keep_once(note).map(Some);
        }
        Ok(None)
    }

    /// Keeps a proof in a file of its own: one that is kept already is not kept twice, and another
    /// one gets the next number.
    fn keep_once(&self, note: &[u8]) -> Result<PathBuf, WatchError> {
        let mut number = 1_u64;
        loop {
            let path = match number {
                1 => self.beside(".refused"),
                number => self.beside(&format!(".refused.{number}")),
            };
            match fs::read(&path) {
                Ok(kept) if kept == note => return Ok(path),
                Ok(_) => number += 1,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let new = self.write_new(note)?;
                    // A name that is taken meanwhile is not taken over.
                    let named = fs::hard_link(&new, &path).and_then(|()| fs::remove_file(&new));
                    named
                        .and_then(|()| sync_folder_of(&path))
                        .map_err(JournalError::io(&path))?;
                    return Ok(path);
                }
                Err(error) => return Err(JournalError::io(&path)(error).into()),
            }
        }
    }

    /// Replaces what is remembered.
    fn write(&self, bytes: &[u8]) -> Result<(), WatchError> {
        let new = self.write_new(bytes)?;
        fs::rename(&new, &self.state)
            .and_then(|()| sync_folder_of(&self.state))
            .map_err(JournalError::io(&self.state))?;
        Ok(())
    }

    /// A file that has no name yet that anybody looks for; its content is durable.
    fn write_new(&self, bytes: &[u8]) -> Result<PathBuf, JournalError> {
        let new = self.beside(".new");
        File::create(&new)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .map_err(JournalError::io(&new))?;
        Ok(new)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.state.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    }

    fn unreadable(&self, source: SeenLogError) -> WatchError {
        WatchError::State {
            path: self.state.clone(),
            source,
        }
    }
}

fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}
