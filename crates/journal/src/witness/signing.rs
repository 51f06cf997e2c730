use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_crypto::AwsLc;
use chancery_tlog::{
    AddCheckpoint, AddCheckpointError, CosignatureLines, CosignatureLinesError, KeyName, NoteError,
    VerifierKey, WitnessRefusal, judge, monitor_folder,
};

use super::records::{Record, Records};
use super::{WitnessKeyError, WitnessKeys};
use crate::disk::{private_folder, take_lock};
use crate::{JournalError, LocalDisk, Storage, StorageLock};

/// A witness of the logs of others (C2SP tlog-witness). It cosigns a checkpoint only where a known
/// key of its log signed it and it continues what was cosigned last; what it cosigns is durable
/// before the cosignature leaves. One process at a time in a folder.
#[derive(Debug)]
pub struct Witness {
    keys: WitnessKeys,
    known: Vec<VerifierKey>,
    state: Mutex<State>,
    _lock: Box<dyn StorageLock>,
}

#[derive(Debug)]
struct State {
    records: Records,
    /// A record could not be written: what the disk holds is for the next start to say.
    broken: bool,
}

/// Why there is no witness.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] WitnessKeyError),
    /// The folder or a record in it.
    #[error(transparent)]
    Directory(#[from] JournalError),
    /// Records without the keys that cosigned them.
    #[error("{}: records of logs without the witness's keys; restore the keys from a copy", path.display())]
    KeysMissing {
        /// The folder.
        path: PathBuf,
    },
    /// A log has the name of this witness.
    #[error("a log is called like this witness, {0}; a witness needs a name of its own")]
    LogIsWitness(KeyName),
}

/// Why a request is not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The body is not a request.
    #[error(transparent)]
    Malformed(#[from] AddCheckpointError),
    /// The rules say no.
    #[error(transparent)]
    Judged(#[from] WitnessRefusal),
    /// The clock stands before the last cosignature of this log.
    #[error("the clock stands at {now}, before the last cosignature of this log at {last}")]
    Clock {
        /// The clock, in seconds since the epoch.
        now: u64,
        /// The last cosignature.
        last: u64,
    },
    /// A key does not sign.
    #[error("the witness does not sign")]
    Sign(#[source] WitnessKeyError),
    /// The note cannot be put together.
    #[error("the cosigned note is malformed")]
    Note(#[source] NoteError),
    /// The answer cannot be put together.
    #[error("the answer is malformed")]
    Lines(#[source] CosignatureLinesError),
    /// What was to be cosigned cannot be kept.
    #[error("the record cannot be kept")]
    Keep(#[source] JournalError),
    /// A record could not be kept before.
    #[error("a record could not be kept; the witness must be started again")]
    Broken,
}

impl Refusal {
    /// The HTTP status for it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Judged(refusal) => refusal.status(),
            Self::Clock { .. } | Self::Broken => 503,
            Self::Sign(_) | Self::Note(_) | Self::Lines(_) | Self::Keep(_) => 500,
        }
    }
}

impl Witness {
    /// Takes up the witness in `dir`, or makes it, with mode 0700, its keys with 0600; a new one
    /// needs a name. `known` are the keys of the logs that it cosigns, each named like its log.
    pub fn open(
        dir: &Path,
        name: Option<&KeyName>,
        known: Vec<VerifierKey>,
    ) -> Result<Self, WitnessError> {
        let storage: Arc<dyn Storage> = Arc::new(LocalDisk);
        private_folder(&*storage, dir)?;
        let lock = take_lock(&*storage, dir)?;
        if !dir.join("name").exists() && Records::are_in(&*storage, dir)? {
            return Err(WitnessError::KeysMissing {
                path: dir.to_owned(),
            });
        }
        let keys = WitnessKeys::open_or_create(&*storage, dir, name)?;
        let [own, _] = keys.verifiers();
        if known.iter().any(|key| key.name() == own.name()) {
            return Err(WitnessError::LogIsWitness(own.name().clone()));
        }
        let records = Records::open(storage, dir, keys.verifiers())?;
        Ok(Self {
            keys,
            known,
            state: Mutex::new(State {
                records,
                broken: false,
            }),
            _lock: lock,
        })
    }

    /// The keys.
    pub const fn keys(&self) -> &WitnessKeys {
        &self.keys
    }

    /// The keys of the logs that it cosigns.
    pub fn known(&self) -> &[VerifierKey] {
        &self.known
    }

    /// Answers the body of an `add-checkpoint` request at a time in seconds since the epoch. What
    /// is returned is durable. Blocks while it is made so; one request at a time.
    pub fn add_checkpoint(&self, body: &[u8], now: u64) -> Result<CosignatureLines, Refusal> {
        let request = AddCheckpoint::parse(body)?;
        // INVARIANT: held from the judgement until the record is kept: no other request sees the
        // size that this one is about to replace.
        let mut state = self.lock();
        if state.broken {
            return Err(Refusal::Broken);
        }
        let mut last_time = 0;
        let admitted = judge(
            &request,
            &self.known,
            |next| {
                let record = state.records.of(&monitor_folder(&next.origin))?;
                last_time = record.timestamp;
                Some(record.checkpoint.clone())
            },
            &AwsLc,
        )?;
        if now < last_time || now == 0 {
            return Err(Refusal::Clock {
                now,
                last: last_time,
            });
        }
        let lines = self
            .keys
            .cosign(admitted.checkpoint(), now)
            .map_err(Refusal::Sign)?;
        let note = admitted.note().with(&lines).map_err(Refusal::Note)?;
        let kept = state.records.keep(Record {
            checkpoint: admitted.checkpoint().clone(),
            note: note.to_string(),
            timestamp: now,
        });
        if let Err(error) = kept {
            state.broken = true;
            return Err(Refusal::Keep(error));
        }
        drop(state);
        CosignatureLines::new(lines).map_err(Refusal::Lines)
    }

    /// The note of the last checkpoint that was cosigned of the log whose origin has this SHA-256,
    /// in lower-case hexadecimal; none before the first.
    pub fn latest(&self, folder: &str) -> Option<String> {
        let state = self.lock();
        state.records.of(folder).map(|record| record.note.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
