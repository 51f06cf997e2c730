use std::io;
use std::path::{Path, PathBuf};

use chancery_tlog::{
    BundleError, CheckpointTextError, NoteError, Origin, ProofError, TileError, TilePath,
};

use crate::{FrameError, LogAlarm, ObjectDiskError, SignError, WitnessSetupError};

/// Why a log directory cannot be opened or read. Every message names the file and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The system refused an operation on a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes this log.
    #[error("{}: another process holds this directory; stop it first", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The directory is not a log, or one of a later version.
    #[error("{}: not a log of format {expected:?}; use the version of the program that wrote it", path.display())]
    Format {
        /// The format file.
        path: PathBuf,
        /// The format that this version reads and writes.
        expected: &'static str,
    },
    /// The directory holds another log.
    #[error("{}: this is the log {found}, not {expected}; name its own directory", path.display())]
    Origin {
        /// The format file.
        path: PathBuf,
        /// The origin in the directory.
        found: Origin,
        /// The origin that was asked for.
        expected: Origin,
    },
    /// A file that must be there is not.
    #[error("{}: missing; restore it from a copy of this log, its entries cannot be made again", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what it must.
    #[error("{}: {damage}; restore it from a copy of this log", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The log holds less than was signed or published before.
    #[error("{}: this log ends at {found} entries, but {expected} were signed or written before: it was rolled back; put its latest copy in its place, or go on from this one under another name with `chancery log succeed`", path.display())]
    RolledBack {
        /// The file that remembers more.
        path: PathBuf,
        /// How many entries there are.
        found: u64,
        /// How many there were.
        expected: u64,
    },
    /// An index or size beyond the end of the log.
    #[error("index or size {asked} is beyond the {size} entries of the log")]
    OutOfRange {
        /// What was asked for.
        asked: u64,
        /// The number of entries.
        size: u64,
    },
    /// Where the log is kept cannot be reached.
    #[error("{}: the log is kept in object storage that cannot be reached", path.display())]
    Place {
        /// The file that says where, or would.
        path: PathBuf,
        /// Why it cannot.
        source: ObjectDiskError,
    },
    /// The log is kept elsewhere already.
    #[error("{}: this log is kept in {known} already; where is chosen when a log is made", path.display())]
    Kept {
        /// The file that says where, or would.
        path: PathBuf,
        /// Where it is.
        known: String,
    },
    /// The setting makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// This log's key signed what this log does not hold. The notes that show it are kept in the
    /// file, and the log does not start before it holds both.
    #[error("{}: {alarm}; {}", path.display(), alarm.remedy())]
    Alarm {
        /// The file with both notes.
        path: PathBuf,
        /// What was seen.
        alarm: LogAlarm,
    },
    /// No quorum of witnesses says what it has of this log, and checkpoints without one are
    /// withheld.
    #[error(
        "no quorum of witnesses answers for this log; start them, or let checkpoints be published unwitnessed"
    )]
    WitnessesSilent,
    /// The witnesses cannot be asked as the setting says.
    #[error("the witness policy cannot be followed")]
    Witnesses(#[source] WitnessSetupError),
    /// The signer refuses to go on with this log.
    #[error("the checkpoint signer refuses this log")]
    Signer(#[source] SignError),
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// Checksum or layout.
    #[error("it is cut short or its checksum is wrong")]
    Checksum,
    /// A record of the write-ahead log is unreadable and later ones are not: the disk lost a write
    /// that it had confirmed.
    #[error(
        "the record at byte {offset} is lost but a later one at byte {later} is whole; the disk did not keep what it confirmed"
    )]
    Hole {
        /// Where the record should be.
        offset: u64,
        /// Where the next whole one is.
        later: u64,
    },
    /// The file does not continue where the one before it ends.
    #[error(
        "it begins at entry {found}, but entry {expected} is due; a file before it is missing or cut short"
    )]
    Gap {
        /// The entry that is due.
        expected: u64,
        /// The first entry of the file.
        found: u64,
    },
    /// A tile of the wrong length.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// A malformed entry bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A malformed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A note that is not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointTextError),
    /// A malformed record.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A proof that does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The bytes are not those that the tree names.
    #[error("it does not hold what the tree of this log names")]
    Mismatch,
}

impl JournalError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn damaged(path: &Path, damage: impl Into<Damage>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            damage: damage.into(),
        }
    }

    pub(crate) fn mismatch(dir: &Path, path: &TilePath) -> Self {
        Self::damaged(&dir.join(path.to_string()), Damage::Mismatch)
    }
}
