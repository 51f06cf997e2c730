use std::fmt;

use chancery_types::SignatureVerifier;

use crate::text::{decimal, decode_base64, encode_base64};
use crate::{
    CheckpointError, LogKeys, MAX_NOTE_BYTES, MAX_PROOF_HASHES, ProofError, TreeHash,
    VerifiedCheckpoint, verify_checkpoint,
};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Most bytes of a proof file that is read.
const MAX_PROOF_BYTES: usize = MAX_NOTE_BYTES + 65_536;

/// A `.tlog-proof` file: a checkpoint, an index and the path from the entry to the root. Parsed
/// from and displayed as one byte string; not verified until [`TlogProof::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque data that nothing authenticates; never empty.
    pub extra: Option<Vec<u8>>,
    /// The place of the entry in the log.
    pub index: u64,
    /// The hashes from the entry's sibling to the root's child.
    pub path: Vec<TreeHash>,
    /// The signed note, verbatim.
    pub checkpoint: String,
}

/// An entry that is in a log whose keys are trusted. Only verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEntry {
    index: u64,
    checkpoint: VerifiedCheckpoint,
}

/// Why bytes are not a proof file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// Larger than any proof needs to be.
    #[error("proof file is too long")]
    TooLong,
    /// Not UTF-8.
    #[error("proof file is not text")]
    NotText,
    /// The first line is not the format's name.
    #[error("proof file does not begin with {HEADER}")]
    Header,
    /// The `extra` line is not non-empty base64.
    #[error("malformed extra line")]
    Extra,
    /// No `index` line with a decimal without leading zeros.
    #[error("malformed index line")]
    Index,
    /// A line of the path is not a hash.
    #[error("malformed hash in the proof")]
    Hash,
    /// More hashes than any tree has levels.
    #[error("too many hashes in the proof")]
    TooManyHashes,
    /// No empty line and checkpoint after the path.
    #[error("proof file has no checkpoint")]
    NoCheckpoint,
}

/// Why an entry is not proved to be in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyEntryError {
    /// The checkpoint.
    #[error("the checkpoint of the proof is refused")]
    Checkpoint(#[source] CheckpointError),
    /// The path.
    #[error("the entry is not proved to be in the log")]
    Proof(#[source] ProofError),
}

impl TlogProof {
    /// Reads a proof file strictly, without verifying anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(TlogProofError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| TlogProofError::NotText)?;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .filter(|(_, checkpoint)| !checkpoint.is_empty())
            .ok_or(TlogProofError::NoCheckpoint)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(TlogProofError::Header);
        }
        let mut line = lines.next().unwrap_or_default();
        let mut extra = None;
        if let Some(data) = line.strip_prefix("extra ") {
            let data = decode_base64(data).filter(|data| !data.is_empty());
            extra = Some(data.ok_or(TlogProofError::Extra)?);
            line = lines.next().unwrap_or_default();
        }
        let index = line.strip_prefix("index ").and_then(decimal);
        let mut path = Vec::new();
        for line in lines {
            if path.len() == MAX_PROOF_HASHES {
                return Err(TlogProofError::TooManyHashes);
            }
            path.push(line.parse().map_err(|_| TlogProofError::Hash)?);
        }
        Ok(Self {
            extra,
            index: index.ok_or(TlogProofError::Index)?,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Verifies that `entry` is in the log whose keys these are. The leaf hash is computed from
    /// the entry; `extra` is not looked at.
    pub fn verify(
        &self,
        entry: &[u8],
        keys: &LogKeys,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedEntry, VerifyEntryError> {
        let checkpoint = verify_checkpoint(self.checkpoint.as_bytes(), keys, verifier)
            .map_err(VerifyEntryError::Checkpoint)?;
        checkpoint
            .verify_inclusion(self.index, entry, &self.path)
            .map_err(VerifyEntryError::Proof)?;
        Ok(VerifiedEntry {
            index: self.index,
            checkpoint,
        })
    }
}

impl VerifiedEntry {
    /// The place of the entry in the log.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The checkpoint that covers it.
    pub const fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", encode_base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}
