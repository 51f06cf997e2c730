use std::path::PathBuf;
use std::sync::Arc;

use chancery_tlog::{Checkpoint, CheckpointError, LogKeys, Origin, verify_checkpoint};
use chancery_types::SignatureVerifier;

use crate::{AppendError, CheckpointSigner, Config, Journal, JournalError, PublishError, Reader};

/// Where a log ended of which nothing but an older copy is left. It must not go on under its own
/// name, since it would give indices a second time; another log goes on from it and says what is
/// missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    kept: Checkpoint,
    note: String,
    known: Checkpoint,
}

/// Why a log cannot be succeeded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuccessionError {
    /// The copy, or the new log.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The copy has no checkpoint.
    #[error("{}: the copy has no checkpoint, so there is nothing to go on from", path.display())]
    Empty {
        /// Where one would stand.
        path: PathBuf,
    },
    /// A checkpoint is not one of the log's keys.
    #[error("the checkpoint of {size} entries is not the log's")]
    Checkpoint {
        /// How many entries it covers.
        size: u64,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// Nothing is missing.
    #[error("the copy has all {0} entries that are known to have been signed: start it as it is")]
    NotBehind(u64),
    /// The log signed two trees of the same size.
    #[error(
        "two trees of {0} entries were signed under this name: it was forked, which no later log can mend"
    )]
    Forked(u64),
    /// The new log has the old one's name.
    #[error("the log that goes on must have another name than {0}")]
    SameName(Origin),
    /// The folder of the new log holds other entries.
    #[error("{}: there is a log already, and it does not begin by succeeding this one; name an empty folder", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// The first entry cannot be appended.
    #[error("the first entry is not in the log")]
    Append(#[from] AppendError),
    /// The first entry is under no checkpoint.
    #[error("the first entry is durable, and its checkpoint is not published; run this again")]
    Publish(#[from] PublishError),
}

impl Succession {
    /// Judges a restored copy: its visible checkpoint is the log's, every tile is recomputed from
    /// the entries, and `known`, signed notes of the same log from elsewhere (the signer's
    /// ratchet, witnesses, the server's log), are larger.
    pub fn of_copy(
        copy: &Reader,
        keys: &LogKeys,
        known: &[String],
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, SuccessionError> {
        let (note, shown) = copy.checkpoint()?.ok_or_else(|| SuccessionError::Empty {
            path: copy.dir().join("checkpoint"),
        })?;
        let verify = |note: &str, size| {
            verify_checkpoint(note.as_bytes(), keys, verifier)
                .map(|verified| verified.checkpoint().clone())
                .map_err(|source| SuccessionError::Checkpoint { size, source })
        };
        let kept = verify(&note, shown.size)?;
        copy.audit()?;
        let mut largest = kept.clone();
        for note in known {
            let size = size_of(note);
            let checkpoint = verify(note, size)?;
            let held = if checkpoint.size <= kept.size {
                Some(copy.root_at(checkpoint.size)?)
            } else if checkpoint.size == largest.size {
                Some(largest.root)
            } else {
                None
            };
            if held.is_some_and(|held| held != checkpoint.root) {
                return Err(SuccessionError::Forked(checkpoint.size));
            }
            if checkpoint.size > largest.size {
                largest = checkpoint;
            }
        }
        if largest.size == kept.size {
            return Err(SuccessionError::NotBehind(kept.size));
        }
        Ok(Self {
            kept,
            note,
            known: largest,
        })
    }

    /// What the copy holds.
    pub const fn kept(&self) -> &Checkpoint {
        &self.kept
    }

    /// The signed note of what the copy holds.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The largest tree that is known to have been signed. More may have been acknowledged.
    pub const fn known(&self) -> &Checkpoint {
        &self.known
    }

    /// How many entries are known to be missing; at least one.
    pub const fn missing(&self) -> u64 {
        self.known.size - self.kept.size
    }
}

impl Journal {
    /// Starts the log that goes on from another one, under a name of its own. Its first entry,
    /// which is `first`, links the old log and discloses what is missing of it, and is under a
    /// checkpoint when this returns. Cut off in between, the same call takes it up again. For
    /// threads without an async runtime; panics inside of one.
    pub fn succeed(
        succession: &Succession,
        first: Vec<u8>,
        config: Config,
        signer: Arc<dyn CheckpointSigner>,
    ) -> Result<Self, SuccessionError> {
        if config.origin == succession.kept.origin {
            return Err(SuccessionError::SameName(config.origin));
        }
        let path = config.dir.clone();
        let journal = Self::open(config, signer)?;
        if journal.size() == 0 {
            journal.append_blocking(first)?;
        } else if journal.size() > 1 || journal.read_entry(0)? != first {
            return Err(SuccessionError::Taken { path });
        }
        journal.publish_blocking()?;
        Ok(journal)
    }
}

/// What a note says of its size, before it is verified.
fn size_of(note: &str) -> u64 {
    let size = note.lines().nth(1).and_then(|size| size.parse().ok());
    size.unwrap_or(0)
}
