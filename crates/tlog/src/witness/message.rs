use std::fmt;
use std::str::FromStr;

use chancery_types::Digest;

use crate::text::decimal;
use crate::{
    MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, MAX_PROOF_HASHES, Note, NoteError, NoteSignature, Origin,
    TreeHash,
};

/// Most bytes of a request that is read: a note, 63 hashes and the first line.
pub const MAX_ADD_CHECKPOINT_BYTES: usize = MAX_NOTE_BYTES + 4_096;

/// The body of an `add-checkpoint` request: what the witness cosigned last, as the sender knows it,
/// the proof that the log grew from there, and the checkpoint. Parsed from and displayed as one
/// byte string; not judged until [`super::judge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    old_size: u64,
    consistency: Vec<TreeHash>,
    checkpoint: Note,
}

/// Why bytes are not an `add-checkpoint` request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddCheckpointError {
    /// Longer than [`MAX_ADD_CHECKPOINT_BYTES`].
    #[error("the request is longer than {MAX_ADD_CHECKPOINT_BYTES} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the request is not text")]
    NotText,
    /// The first line is not `old` and a decimal without leading zeros.
    #[error("the first line is not `old` and a size")]
    OldSize,
    /// A line of the proof is not a hash.
    #[error("malformed hash in the proof")]
    Hash,
    /// More hashes than any tree has levels.
    #[error("more than {MAX_PROOF_HASHES} hashes in the proof")]
    TooManyHashes,
    /// No empty line after the proof.
    #[error("no empty line and checkpoint after the proof")]
    NoCheckpoint,
    /// The checkpoint is not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note(#[source] NoteError),
}

/// The body of an answer that cosigns: one or more signature lines. Parsed from and displayed as one
/// byte string; whose they are, and whether they verify, is for the policy to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignatureLines(Vec<NoteSignature>);

/// Why bytes are not signature lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureLinesError {
    /// Longer than a note can be.
    #[error("the answer is longer than {MAX_NOTE_BYTES} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the answer is not text")]
    NotText,
    /// No line at all.
    #[error("the answer holds no signature line")]
    Empty,
    /// The last line does not end in a newline.
    #[error("the answer does not end in a newline")]
    NoFinalNewline,
    /// More lines than a note can have.
    #[error("more than {MAX_NOTE_SIGNATURES} signature lines")]
    TooMany,
    /// A line.
    #[error("malformed signature line in the answer")]
    Line(#[source] NoteError),
}

/// The body of a conflict: the size that the witness cosigned last. Parsed from and displayed as a
/// decimal and a newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedSize(pub u64);

/// Why bytes are not a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal without leading zeros and a newline")]
pub struct RecordedSizeError;

impl AddCheckpoint {
    /// A request. Fails with more than [`MAX_PROOF_HASHES`] hashes.
    pub fn new(
        old_size: u64,
        consistency: Vec<TreeHash>,
        checkpoint: Note,
    ) -> Result<Self, AddCheckpointError> {
        if consistency.len() > MAX_PROOF_HASHES {
            return Err(AddCheckpointError::TooManyHashes);
        }
        Ok(Self {
            old_size,
            consistency,
            checkpoint,
        })
    }

    /// Reads a request strictly, without judging it.
    pub fn parse(bytes: &[u8]) -> Result<Self, AddCheckpointError> {
        if bytes.len() > MAX_ADD_CHECKPOINT_BYTES {
            return Err(AddCheckpointError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| AddCheckpointError::NotText)?;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(AddCheckpointError::NoCheckpoint)?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(decimal)
            .ok_or(AddCheckpointError::OldSize)?;
        let mut consistency = Vec::new();
        for line in lines {
            if consistency.len() == MAX_PROOF_HASHES {
                return Err(AddCheckpointError::TooManyHashes);
            }
            consistency.push(line.parse().map_err(|_| AddCheckpointError::Hash)?);
        }
        Ok(Self {
            old_size,
            consistency,
            checkpoint: Note::parse(checkpoint.as_bytes()).map_err(AddCheckpointError::Note)?,
        })
    }

    /// The size that the sender holds for the last one that the witness cosigned.
    pub const fn old_size(&self) -> u64 {
        self.old_size
    }

    /// The proof that the tree of the checkpoint begins with that of the old size.
    pub fn consistency(&self) -> &[TreeHash] {
        &self.consistency
    }

    /// The signed note.
    pub const fn checkpoint(&self) -> &Note {
        &self.checkpoint
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        for hash in &self.consistency {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl CosignatureLines {
    /// An answer with those lines.
    pub fn new(lines: Vec<NoteSignature>) -> Result<Self, CosignatureLinesError> {
        if lines.is_empty() {
            return Err(CosignatureLinesError::Empty);
        }
        if lines.len() > MAX_NOTE_SIGNATURES {
            return Err(CosignatureLinesError::TooMany);
        }
        Ok(Self(lines))
    }

    /// Reads an answer strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, CosignatureLinesError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(CosignatureLinesError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| CosignatureLinesError::NotText)?;
        if text.is_empty() {
            return Err(CosignatureLinesError::Empty);
        }
        let text = text
            .strip_suffix('\n')
            .ok_or(CosignatureLinesError::NoFinalNewline)?;
        if text.split('\n').count() > MAX_NOTE_SIGNATURES {
            return Err(CosignatureLinesError::TooMany);
        }
        let lines: Result<Vec<_>, _> = text.split('\n').map(str::parse).collect();
        Self::new(lines.map_err(CosignatureLinesError::Line)?)
    }

    /// The lines in order.
    pub fn lines(&self) -> &[NoteSignature] {
        &self.0
    }
}

impl fmt::Display for CosignatureLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl RecordedSize {
    /// The content type of the answer.
    pub const CONTENT_TYPE: &'static str = "text/x.tlog.size";
}

impl FromStr for RecordedSize {
    type Err = RecordedSizeError;

    fn from_str(text: &str) -> Result<Self, RecordedSizeError> {
        let size = text.strip_suffix('\n').and_then(decimal);
        size.map(Self).ok_or(RecordedSizeError)
    }
}

impl fmt::Display for RecordedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.0)
    }
}

/// The folder below a witness's monitoring prefix that holds the checkpoint of a log: the SHA-256 of
/// its origin in lower-case hexadecimal.
pub fn monitor_folder(origin: &Origin) -> String {
    Digest::of(origin.as_str()).to_hex()
}
