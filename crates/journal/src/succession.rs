use std::path::PathBuf;
use std::sync::Arc;

use chancery_tlog::{
    Checkpoint, CheckpointError, LogKeys, Note, NoteError, Origin, PolicyRefusal,
    verify_checkpoint, verify_checkpoint_any,
};
use chancery_types::SignatureVerifier;

use crate::{AppendError, CheckpointSigner, Config, Journal, JournalError, PublishError, Reader};

/// So many entries are copied at a time.
const BATCH: usize = 1_024;

/// Where a log ended of which nothing but an older copy is left. It must not go on under its own
/// name, since it would give indices a second time; another log goes on from it and says what is
/// missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    kept: Checkpoint,
    note: Note,
    known: Checkpoint,
    known_note: Note,
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
    /// The copy's checkpoint is not one of the log's keys.
    #[error("the copy's checkpoint of {size} entries is not the log's")]
    Checkpoint {
        /// How many entries it covers.
        size: u64,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The copy's checkpoint is not a note.
    #[error("the copy's checkpoint is not a signed note")]
    Note(#[from] NoteError),
    /// What is said to be known of the log is not signed by a key of it.
    #[error("a checkpoint of {size} entries that is given as the log's is not")]
    Known {
        /// How many entries it covers.
        size: u64,
        /// What is wrong with it.
        source: PolicyRefusal,
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
    #[error("{}: there is a log already, and it does not go on from this one; name an empty folder", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// An entry cannot be appended.
    #[error("an entry is not in the log")]
    Append(#[from] AppendError),
    /// The entries are under no checkpoint.
    #[error("the entries are durable, and their checkpoint is not published; run this again")]
    Publish(#[from] PublishError),
}

impl Succession {
    /// Judges a restored copy: its visible checkpoint is the log's, every tile is recomputed from
    /// the entries, and of `known`, notes from elsewhere (the signer's ratchet, witnesses, the
    /// server's log) each of which a key of the same log signed, one is larger.
    pub fn of_copy(
        copy: &Reader,
        keys: &LogKeys,
        known: &[String],
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, SuccessionError> {
        let (note, shown) = copy.checkpoint()?.ok_or_else(|| SuccessionError::Empty {
            path: copy.dir().join("checkpoint"),
        })?;
        let kept = verify_checkpoint(note.as_bytes(), keys, verifier)
            .map(|verified| verified.checkpoint().clone())
            .map_err(|source| SuccessionError::Checkpoint {
                size: shown.size,
                source,
            })?;
        copy.audit()?;
        let own = Note::parse(note.as_bytes())?.of_log_alone()?;
        let (mut largest, mut largest_note) = (kept.clone(), own.clone());
        for note in known {
            let own = [keys.ed25519(), keys.ml_dsa_44()];
            let checkpoint =
                verify_checkpoint_any(note.as_bytes(), own, verifier).map_err(|source| {
                    SuccessionError::Known {
                        size: size_of(note),
                        source,
                    }
                })?;
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
                largest_note = Note::parse(note.as_bytes())?.of_log_alone()?;
            }
        }
        let durable = copy.durable_size()?;
        if largest.size <= durable.max(kept.size) {
            return Err(SuccessionError::NotBehind(durable));
        }
        Ok(Self {
            kept,
            note: own,
            known: largest,
            known_note: largest_note,
        })
    }

    /// What the copy holds.
    pub const fn kept(&self) -> &Checkpoint {
        &self.kept
    }

    /// The note of what the copy holds, as the log signed it.
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// The largest tree that is known to have been signed. More may have been acknowledged.
    pub const fn known(&self) -> &Checkpoint {
        &self.known
    }

    /// The note that shows it, as the log signed it.
    pub const fn known_note(&self) -> &Note {
        &self.known_note
    }

    /// How many entries are known to be missing; at least one.
    pub const fn missing(&self) -> u64 {
        self.known.size - self.kept.size
    }
}

impl Journal {
    /// Starts the log that goes on from the copy of another one, under a name of its own. It begins
    /// with the entries that the copy holds, each at its index; the one after them, which is
    /// `entry`, links the old log and discloses what is missing of it. All are under a checkpoint
    /// when this returns. Cut off in between, the same call takes it up again. For threads without
    /// an async runtime; panics inside of one.
    pub fn succeed(
        succession: &Succession,
        copy: &Reader,
        entry: Vec<u8>,
        config: Config,
        signer: Arc<dyn CheckpointSigner>,
    ) -> Result<Self, SuccessionError> {
        if config.origin == succession.kept.origin {
            return Err(SuccessionError::SameName(config.origin));
        }
        let path = config.dir.clone();
        let taken = || SuccessionError::Taken { path: path.clone() };
        let journal = Self::open(config, signer)?;
        let (size, there) = (succession.kept.size, journal.size());
        let mut known = journal.entries(0..there.min(size));
        let mut rest = Vec::new();
        for kept in copy.entries(0..size)? {
            let (index, kept) = kept?;
            match known.next().transpose()? {
                Some((_, known)) if known == kept => continue,
                Some(_) => return Err(taken()),
                None => rest.push(kept),
            }
            if rest.len() == BATCH || index + 1 == size {
                journal.append_all_blocking(std::mem::take(&mut rest))?;
            }
        }
        match journal.size() - size {
            0 => {
                journal.append_blocking(entry)?;
            }
            1 if journal.read_entry(size)? == entry => {}
            _ => return Err(taken()),
        }
        journal.publish_blocking()?;
        if journal.reader().root_at(size)? != succession.kept.root {
            return Err(taken());
        }
        Ok(journal)
    }
}

/// What a note says of its size, before it is verified.
fn size_of(note: &str) -> u64 {
    let size = note.lines().nth(1).and_then(|size| size.parse().ok());
    size.unwrap_or(0)
}
