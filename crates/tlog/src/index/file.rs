use std::fmt;

use super::{IndexKey, IndexPath, IndexedChain, MAX_INDEX_DEPTH};
use crate::text::{decimal, decode_base64, encode_base64};
use crate::{MAX_NOTE_BYTES, TlogProof, TlogProofError, TreeHash};

/// The first line of a proof file.
pub const INDEX_PROOF_HEADER: &str = "chancery-index-proof/1";

/// Most bytes of a name.
const MAX_NAME_BYTES: usize = 2_048;

/// Most bytes of a file that is read: an entry in base64, a path, a proof and a note.
const MAX_FILE_BYTES: usize = MAX_NOTE_BYTES + 2 * 65_536 + 65_536;

/// The proof of what a log holds of one instance: an entry of the log that names the root of an
/// index, the proof that the log holds that entry, and the path from the root to the instance.
/// Parsed from and displayed as one byte string; nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexProof {
    name: String,
    entry: Vec<u8>,
    path: IndexPath,
    inclusion: TlogProof,
}

/// Why bytes are not the proof of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexProofError {
    /// Larger than any proof needs to be.
    #[error("proof file is too long")]
    TooLong,
    /// Not UTF-8.
    #[error("proof file is not text")]
    NotText,
    /// The first line is not the format's name.
    #[error("proof file does not begin with {INDEX_PROOF_HEADER}")]
    Header,
    /// No `instance` line with a name.
    #[error("malformed instance line")]
    Instance,
    /// No `entry` line with an entry in base64.
    #[error("malformed entry line")]
    Entry,
    /// No line that says what stands at the end of the path.
    #[error("malformed line about the end of the path: present, absent or other")]
    End,
    /// A line of the path is not a hash.
    #[error("malformed hash in the path")]
    Hash,
    /// More hashes than a key has bits.
    #[error("too many hashes in the path")]
    TooManyHashes,
    /// No empty line and inclusion proof after the path.
    #[error("proof file has no inclusion proof")]
    NoInclusion,
    /// The inclusion proof.
    #[error("the inclusion proof of the entry is malformed")]
    Inclusion(#[source] TlogProofError),
}

impl IndexProof {
    /// Puts a proof together. Fails where the name or the entry has no place in a file.
    pub fn new(
        name: &str,
        entry: Vec<u8>,
        path: IndexPath,
        inclusion: TlogProof,
    ) -> Result<Self, IndexProofError> {
        if !is_name(name) {
            return Err(IndexProofError::Instance);
        }
        if entry.is_empty() {
            return Err(IndexProofError::Entry);
        }
        if path.siblings.len() > MAX_INDEX_DEPTH {
            return Err(IndexProofError::TooManyHashes);
        }
        Ok(Self {
            name: name.to_owned(),
            entry,
            path,
            inclusion,
        })
    }

    /// Reads a proof file strictly, without verifying anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, IndexProofError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(IndexProofError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| IndexProofError::NotText)?;
        let (head, inclusion) = text
            .split_once("\n\n")
            .ok_or(IndexProofError::NoInclusion)?;
        let mut lines = head.split('\n');
        let mut line = || lines.next().unwrap_or_default();
        if line() != INDEX_PROOF_HEADER {
            return Err(IndexProofError::Header);
        }
        let name = line().strip_prefix("instance ");
        let name = name.ok_or(IndexProofError::Instance)?;
        let entry = line().strip_prefix("entry ").and_then(decode_base64);
        let entry = entry.ok_or(IndexProofError::Entry)?;
        let end = parse_end(line(), &IndexKey::of(name)).ok_or(IndexProofError::End)?;
        let mut siblings = Vec::new();
        for line in lines {
            if siblings.len() == MAX_INDEX_DEPTH {
                return Err(IndexProofError::TooManyHashes);
            }
            siblings.push(line.parse().map_err(|_| IndexProofError::Hash)?);
        }
        let inclusion =
            TlogProof::parse(inclusion.as_bytes()).map_err(IndexProofError::Inclusion)?;
        Self::new(name, entry, IndexPath { end, siblings }, inclusion)
    }

    /// The instance that it is about.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of the entry that names the root.
    pub fn entry(&self) -> &[u8] {
        &self.entry
    }

    /// The path from the root to the instance.
    pub const fn path(&self) -> &IndexPath {
        &self.path
    }

    /// The proof that the log holds the entry.
    pub const fn inclusion(&self) -> &TlogProof {
        &self.inclusion
    }
}

impl fmt::Display for IndexProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INDEX_PROOF_HEADER}")?;
        writeln!(f, "instance {}", self.name)?;
        writeln!(f, "entry {}", encode_base64(&self.entry))?;
        match &self.path.end {
            None => writeln!(f, "absent")?,
            Some((key, chain)) => {
                if *key == IndexKey::of(&self.name) {
                    write!(f, "present")?;
                } else {
                    write!(f, "other {key}")?;
                }
                let (entries, last, head) = (chain.entries(), chain.last(), chain.head());
                writeln!(f, " {entries} {last} {head}")?;
            }
        }
        for hash in &self.path.siblings {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.inclusion)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control)
}

/// What a line says that stands at the end; none where it says nothing, or says of the instance
/// itself that it is another one.
#[expect(
    clippy::option_option,
    reason = "a line may say that nothing stands there"
)]
fn parse_end(line: &str, own: &IndexKey) -> Option<Option<(IndexKey, IndexedChain)>> {
    if line == "absent" {
        return Some(None);
    }
    let (key, chain) = match line.strip_prefix("present ") {
        Some(chain) => (*own, chain),
        None => {
            let (key, chain) = line.strip_prefix("other ")?.split_once(' ')?;
            let key = IndexKey::from_hash(key.parse::<TreeHash>().ok()?);
            (Some(key).filter(|key| key != own)?, chain)
        }
    };
    let mut parts = chain.split(' ');
    let entries = parts.next().and_then(decimal)?;
    let last = parts.next().and_then(decimal)?;
    let head = parts.next()?.parse().ok()?;
    if parts.next().is_some() {
        return None;
    }
    Some(Some((key, IndexedChain::new(entries, last, head)?)))
}
