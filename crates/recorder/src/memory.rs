//! What a recorder knows of its producers, as a file beside the log: so that a start reads what was
//! appended since it was written, and not the whole log. It can be taken away: the log has it all.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};

use chancery_audit::{Entry, Event, Label, leaf_hash};
use chancery_crypto::{KeyFileError, replace_private_file};
use chancery_journal::{Journal, JournalError};
use chancery_types::limits::MAX_SAFE_INTEGER;
use chancery_types::{Digest, base64url};
use serde::{Deserialize, Serialize};

use crate::producers::{MOST_PRODUCERS, Producer, Producers, Recent, WINDOW};

const VERSION: u64 = 1;
const RECENT_BYTES: usize = 40;

/// Why it is not known what a log holds of its producers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The system refused an operation on the file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] KeyFileError),
    /// The file is not what was written.
    #[error("{}: {what}; take it away, it is made again from the log", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file knows more of the log than there is.
    #[error("{}: names {expected} entries, and the log has {found}: the log was rolled back; put its latest copy in its place", path.display())]
    RolledBack {
        /// The file.
        path: PathBuf,
        /// How many entries it names.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An entry of the log is not one that a recorder writes: another program wrote this log.
    #[error("entry {index}: {what}; a recorder needs a log of its own")]
    Foreign {
        /// Its index.
        index: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The file, read and found consistent in itself: every producer once, and of each as many of its last
/// entries as it must remember, in the order of their places in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory(Written);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    v: u64,
    origin: Label,
    /// The entries that this is about.
    size: u64,
    /// The leaf hash of the last of them.
    last: Option<Digest>,
    producers: Vec<WrittenProducer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenProducer {
    producer: Label,
    next: u64,
    /// Index and digest of each of the last ones, in base64url.
    recent: String,
}

impl Memory {
    /// Reads a file; what is wrong with it, where it is not what a recorder writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let written: Written =
            serde_json::from_slice(bytes).map_err(|_| "not what a recorder writes")?;
        if written.v != VERSION {
            return Err("of another version");
        }
        let memory = Self(written);
        memory.producers()?;
        Ok(memory)
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    fn producers(&self) -> Result<Producers, &'static str> {
        if self.0.producers.len() > MOST_PRODUCERS {
            return Err("of more producers than there may be");
        }
        let mut producers = Producers {
            size: self.0.size,
            known: HashMap::new(),
        };
        for one in &self.0.producers {
            let producer = producer(one, self.0.size).ok_or("not consistent")?;
            if producers
                .known
                .insert(one.producer.clone(), producer)
                .is_some()
            {
                return Err("of one producer twice");
            }
        }
        Ok(producers)
    }
}

/// What is known of producers at one moment; the file, once everything that it names is durable.
pub(crate) struct Snapshot {
    pub(crate) size: u64,
    producers: Vec<WrittenProducer>,
}

impl Snapshot {
    pub(crate) fn of(producers: &Producers) -> Self {
        // Who opened a stream and sent nothing is not in the log.
        let known = producers.known.iter();
        let written = known.filter(|(_, producer)| producer.next > 0);
        let written = written.map(|(name, producer)| {
            let mut recent = Vec::with_capacity(producer.recent.len() * RECENT_BYTES);
            for one in &producer.recent {
                recent.extend(one.index.to_be_bytes());
                recent.extend(one.digest.as_bytes());
            }
            WrittenProducer {
                producer: name.clone(),
                next: producer.next,
                recent: base64url::encode(recent),
            }
        });
        Self {
            size: producers.size,
            producers: written.collect(),
        }
    }

    /// Writes the file.
    pub(crate) fn write(self, path: &Path, journal: &Journal) -> Result<(), MemoryError> {
        let memory = Memory(Written {
            v: VERSION,
            origin: Label::or_digest(journal.origin().as_str()),
            size: self.size,
            last: last_leaf(journal, self.size)?,
            producers: self.producers,
        });
        Ok(replace_private_file(path, &memory.to_bytes())?)
    }
}

/// What the log holds of its producers: what the file says, where there is one, and the entries that
/// came after it.
pub(crate) fn recall(path: &Path, journal: &Journal) -> Result<Producers, MemoryError> {
    let mut producers = match std::fs::read(path) {
        Ok(bytes) => remembered(path, &bytes, journal)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Producers::default(),
        Err(source) => {
            let path = path.to_owned();
            return Err(MemoryError::Io { path, source });
        }
    };
    let origin = Label::or_digest(journal.origin().as_str());
    for entry in journal.entries(producers.size..journal.size()) {
        let (index, bytes) = entry?;
        let foreign = |what| MemoryError::Foreign { index, what };
        let entry = Entry::parse(&bytes).map_err(|_| foreign("it is no entry"))?;
        let Event::ProducerEntry(body) = &entry.event else {
            return Err(foreign("it is of another type"));
        };
        let known = producers.known.get(&body.producer);
        if entry.origin != origin || body.sequence != known.map_or(0, |known| known.next) {
            return Err(foreign("it does not continue what its producer sent"));
        }
        producers.push(&body.producer, Digest::of(body.content.as_bytes()));
    }
    Ok(producers)
}

/// What the file says, where it is of this log and of no more than there is.
fn remembered(path: &Path, bytes: &[u8], journal: &Journal) -> Result<Producers, MemoryError> {
    let malformed = |what| MemoryError::Malformed {
        path: path.to_owned(),
        what,
    };
    let memory = Memory::parse(bytes).map_err(malformed)?;
    let Written {
        origin, size, last, ..
    } = &memory.0;
    if *origin != Label::or_digest(journal.origin().as_str()) {
        return Err(malformed("of another log"));
    }
    if *size > journal.size() {
        return Err(MemoryError::RolledBack {
            path: path.to_owned(),
            expected: *size,
            found: journal.size(),
        });
    }
    if *last != last_leaf(journal, *size)? {
        return Err(malformed("of another history of this log"));
    }
    memory.producers().map_err(malformed)
}

/// The leaf hash of the last of so many entries.
fn last_leaf(journal: &Journal, size: u64) -> Result<Option<Digest>, JournalError> {
    let index = size.checked_sub(1);
    index
        .map(|index| Ok(leaf_hash(&journal.read_entry(index)?)))
        .transpose()
}

/// One producer; none where it cannot be.
fn producer(written: &WrittenProducer, size: u64) -> Option<Producer> {
    let bytes = base64url::decode(&written.recent).ok()?;
    let (records, rest) = bytes.as_chunks::<RECENT_BYTES>();
    let expected = written.next.min(WINDOW as u64);
    if !rest.is_empty() || records.len() as u64 != expected || written.next > MAX_SAFE_INTEGER {
        return None;
    }
    let mut recent = VecDeque::with_capacity(records.len());
    let mut least = written.next - expected;
    for record in records {
        let (index, digest) = record.split_first_chunk::<8>()?;
        let index = u64::from_be_bytes(*index);
        if index < least || index >= size {
            return None;
        }
        least = index + 1;
        let digest = Digest::from_bytes(digest.try_into().ok()?);
        recent.push_back(Recent { index, digest });
    }
    Some(Producer::of(written.next, recent))
}
