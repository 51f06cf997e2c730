use std::fmt;
use std::ops::Range;

use crate::{CheckpointError, TilePath};

/// What is wrong with a log that others serve: which file, what it is, and which entries it
/// concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFinding {
    /// The file.
    pub file: LogFile,
    /// What is wrong.
    pub reason: LogReason,
    /// The entries that it concerns; of a tile, those below the hashes in question.
    pub entries: Option<Range<u64>>,
}

/// A file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogFile {
    /// The checkpoint.
    Checkpoint,
    /// A tile or an entry bundle.
    Tile(TilePath),
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident = $code:literal, $said:literal;)*) => {
        /// Why a log is not what it must be.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LogReason { $($(#[doc = $doc])+ $reason,)* }

        impl LogReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$reason),*];

            /// The code, which never changes its meaning.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$reason => $code,)* }
            }

            /// What it means, in words.
            pub const fn said(self) -> &'static str {
                match self { $(Self::$reason => $said,)* }
            }
        }
    };
}

reasons! {
    /// There is no checkpoint.
    CheckpointMissing = "checkpoint_missing",
        "there is no checkpoint";
    /// It is not a signed note with the text of a checkpoint.
    CheckpointMalformed = "checkpoint_malformed",
        "the checkpoint is not a signed note of a log";
    /// It is another log's.
    OtherLog = "other_log",
        "the checkpoint is of another log than the one that is watched";
    /// The log's keys did not sign it.
    NotSigned = "not_signed",
        "a key of the log did not sign the checkpoint, or its signature is wrong";
    /// A witness's line does not verify.
    CosignatureWrong = "cosignature_wrong",
        "the checkpoint has a cosignature of a witness of the trust document that is wrong";
    /// Too few witnesses cosigned it.
    Unwitnessed = "unwitnessed",
        "the witness quorum did not cosign the checkpoint, and the trust document says that one \
         without it is withheld";
    /// The log has fewer entries than before.
    Shrunk = "shrunk",
        "the log has fewer entries than it had when it was last seen: its end was cut off, or an \
         older state was put in its place";
    /// The log holds other entries than before.
    Forked = "forked",
        "the log signed another history than the one that was seen: keep both checkpoints, they \
         prove it";
    /// A file is not there.
    Missing = "missing",
        "the file is not there; a log of this size has it";
    /// A file ends too early.
    Truncated = "truncated",
        "the file ends before it should; what it holds is right";
    /// A file is too long.
    Surplus = "surplus",
        "bytes follow the end of the file; what stands before them is right";
    /// Something was left out in the middle.
    Omitted = "omitted",
        "something was left out of the file; what it still holds is right and in order";
    /// The same things in another order.
    Reordered = "reordered",
        "the file holds what it should, in another order";
    /// Entries that are not those of the tree.
    EntryMismatch = "entry_mismatch",
        "entries are not those that the tree names";
    /// Hashes that are not those of the tree.
    TileMismatch = "tile_mismatch",
        "hashes are not those that the entries make";
    /// Entries and tiles make another tree than the checkpoint names.
    RootMismatch = "root_mismatch",
        "the checkpoint names another root than entries and tiles make";
}

impl From<&CheckpointError> for LogReason {
    fn from(error: &CheckpointError) -> Self {
        match error {
            CheckpointError::Note(_) | CheckpointError::Text(_) => Self::CheckpointMalformed,
            CheckpointError::Origin => Self::OtherLog,
            CheckpointError::Missing(_)
            | CheckpointError::Signature(_)
            | CheckpointError::Cosignature(_)
            | CheckpointError::NotExact => Self::NotSigned,
        }
    }
}

impl LogFinding {
    /// A finding about the checkpoint.
    pub const fn of_checkpoint(reason: LogReason, entries: Option<Range<u64>>) -> Self {
        Self {
            file: LogFile::Checkpoint,
            reason,
            entries,
        }
    }
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Tile(path) => path.fmt(f),
        }
    }
}

impl fmt::Display for LogReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for LogFinding {
    /// Everything but the code, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.reason.said())?;
        match &self.entries {
            None => Ok(()),
            Some(range) if range.end.saturating_sub(range.start) == 1 => {
                write!(f, " (entry {})", range.start)
            }
            Some(range) => write!(
                f,
                " (entries {} to {})",
                range.start,
                range.end.saturating_sub(1)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_one_word_each() {
        let codes: BTreeSet<&str> = LogReason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), LogReason::ALL.len());
        for reason in LogReason::ALL {
            assert!(
                reason
                    .code()
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'_'))
            );
            assert!(!reason.said().ends_with('.') && !reason.said().contains("  "));
        }
    }
}
