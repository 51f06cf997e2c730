mod ratchet;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_crypto::{
    AwsLc, KeyError, KeyFileError, MlDsa44Key, SigningKey, create_private_file, read_private_file,
};
use chancery_tlog::{
    Checkpoint, CheckpointError, LogKeys, LogKeysError, Note, NoteSignature, Origin, Subtree,
    SubtreeError, TimestampedSignature, TreeHash, VerifierKey, VerifierKeyError, advance,
    cosigned_message, verify_checkpoint_exact,
};
use chancery_types::Algorithm;

use self::ratchet::{RATCHET_FILE, Ratchet};
use crate::disk::{private_folder, take_lock};
use crate::{CheckpointSigner, JournalError, LocalDisk, SignError, Storage, StorageLock};

const ED25519_FILE: &str = "ed25519.pk8";
const ML_DSA_44_FILE: &str = "ml-dsa-44.seed";

/// Signs with keys in files of mode 0600 in a directory of its own. Beside them stands the last
/// signed note, synced before its signatures leave: a smaller tree, another root for the same
/// size, or a larger tree that does not prove to begin with the last one is never signed, across
/// restarts too.
#[derive(Debug)]
pub struct LocalSigner {
    ratchet: Ratchet,
    clock: Clock,
    ed25519: SigningKey,
    ml_dsa_44: MlDsa44Key,
    keys: LogKeys,
    last: Mutex<Last>,
    _lock: Box<dyn StorageLock>,
}

/// Seconds since the epoch; zero where the clock stands before it.
pub type Clock = fn() -> u64;

/// The last signed note, taken apart.
#[derive(Debug)]
struct Last {
    checkpoint: Checkpoint,
    lines: Vec<NoteSignature>,
    /// The latest time that was signed.
    timestamp: u64,
}

/// Why a local signer cannot be made or taken up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalSignerError {
    /// The directory.
    #[error(transparent)]
    Directory(#[from] JournalError),
    /// A key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A key file does not hold a key.
    #[error("{}: not a checkpoint key; restore it from a copy", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The keys are not those of a log.
    #[error("the checkpoint keys have no public form")]
    Public(#[from] VerifierKeyError),
    /// The keys are not those of a log.
    #[error("the checkpoint keys are not the log's")]
    Log(#[from] LogKeysError),
    /// The memory of the latest signed time.
    #[error("{}: not a time; restore it from a copy, or write the latest time in it that this log ever signed, in seconds since the epoch", path.display())]
    Time {
        /// The file.
        path: PathBuf,
    },
    /// The last signed note is missing while keys are there.
    #[error("{}: missing beside its keys; restore it, or remove the keys if they never signed", path.display())]
    RatchetMissing {
        /// The file.
        path: PathBuf,
    },
    /// The last signed note is not one of these keys.
    #[error("{}: not signed by the keys beside it; restore it from a copy", path.display())]
    Ratchet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The first note cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl LocalSigner {
    /// Takes up the keys in `dir`, or makes them and signs the empty log where there are none.
    pub fn open_or_create(dir: &Path, origin: &Origin) -> Result<Self, LocalSignerError> {
        private_folder(&LocalDisk, dir)?;
        let lock = take_lock(&LocalDisk, dir)?;
        let (ed25519, ml_dsa_44) = (dir.join(ED25519_FILE), dir.join(ML_DSA_44_FILE));
        let key = |path: &Path| {
            let path = path.to_owned();
            move |source| LocalSignerError::Key { path, source }
        };
        let ratchet = dir.join(RATCHET_FILE);
        if !ratchet.exists() {
            if ed25519.exists() || ml_dsa_44.exists() {
                return Err(LocalSignerError::RatchetMissing { path: ratchet });
            }
            let fresh = SigningKey::generate(Algorithm::Ed25519).map_err(key(&ed25519))?;
            create_private_file(&ed25519, fresh.pkcs8().expose())?;
            let seed = MlDsa44Key::generate().map_err(key(&ml_dsa_44))?;
            create_private_file(&ml_dsa_44, seed.seed().expose())?;
        }
        let pkcs8 = read_private_file(&ed25519)?;
        let pkcs8 = SigningKey::from_pkcs8(Algorithm::Ed25519, pkcs8).map_err(key(&ed25519))?;
        let seed = read_private_file(&ml_dsa_44)?;
        let seed = MlDsa44Key::from_seed(seed).map_err(key(&ml_dsa_44))?;
        let ratchet = Ratchet::new(Arc::new(LocalDisk), dir);
        Self::take_up(ratchet, lock, origin, (pkcs8, seed), system_clock)
    }

    /// Signs with keys that are kept elsewhere, for a log on any disk; `dir` holds the ratchet
    /// alone. Where there is none, these keys must never have signed for this log.
    pub fn with_keys(
        storage: Arc<dyn Storage>,
        dir: &Path,
        origin: &Origin,
        keys: (SigningKey, MlDsa44Key),
        clock: Clock,
    ) -> Result<Self, LocalSignerError> {
        private_folder(&*storage, dir)?;
        let lock = take_lock(&*storage, dir)?;
        Self::take_up(Ratchet::new(storage, dir), lock, origin, keys, clock)
    }

    /// The public keys, for the trust document.
    pub const fn keys(&self) -> &LogKeys {
        &self.keys
    }

    fn take_up(
        ratchet: Ratchet,
        lock: Box<dyn StorageLock>,
        origin: &Origin,
        (ed25519, ml_dsa_44): (SigningKey, MlDsa44Key),
        clock: Clock,
    ) -> Result<Self, LocalSignerError> {
        let name = origin.key_name();
        let keys = LogKeys::new(
            origin.clone(),
            VerifierKey::ed25519(name.clone(), &ed25519.public().to_public_bytes())?,
            VerifierKey::ml_dsa_44(name.clone(), &ml_dsa_44.public())?,
        )?;
        let empty = Checkpoint {
            origin: origin.clone(),
            size: 0,
            root: TreeHash::empty(),
        };
        let signer = Self {
            ratchet,
            clock,
            ed25519,
            ml_dsa_44,
            keys,
            last: Mutex::new(Last {
                checkpoint: empty.clone(),
                lines: Vec::new(),
                timestamp: 0,
            }),
            _lock: lock,
        };
        match signer.ratchet.read()? {
            Some(note) => signer.remember(&note)?,
            None => {
                signer.sign(&empty.to_string(), &[])?;
            }
        }
        Ok(signer)
    }

    fn remember(&self, note: &[u8]) -> Result<(), LocalSignerError> {
        let refused = |source| LocalSignerError::Ratchet {
            path: self.ratchet.path(),
            source,
        };
        let verified = verify_checkpoint_exact(note, &self.keys, &AwsLc).map_err(refused)?;
        let note = Note::parse(note).map_err(|e| refused(CheckpointError::Note(e)))?;
        let signed = verified.timestamp().unwrap_or(0);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Last {
            checkpoint: verified.checkpoint().clone(),
            lines: note.signatures().to_vec(),
            timestamp: signed.max(self.ratchet.read_time()?),
        };
        Ok(())
    }

    /// Seconds since the epoch, or zero, which claims nothing, where the clock stands before the
    /// last signed time.
    fn timestamp(&self, last: u64) -> u64 {
        let now = (self.clock)();
        if now >= last { now } else { 0 }
    }

    fn lines(
        &self,
        checkpoint: &Checkpoint,
        timestamp: u64,
    ) -> Result<Vec<NoteSignature>, SignError> {
        let text = checkpoint.to_string();
        let ed25519 = self.ed25519.sign(text.as_bytes()).map_err(SignError::Key)?;
        // A range from zero is always a subtree.
        let whole = Subtree::new(0, checkpoint.size)
            .map_err(|error: SubtreeError| SignError::Unavailable(Box::new(error)))?;
        let message = cosigned_message(
            self.keys.ml_dsa_44().name(),
            timestamp,
            &checkpoint.origin,
            whole,
            &checkpoint.root,
        )
        .map_err(SignError::Cosignature)?;
        let signature = self.ml_dsa_44.sign(&message).map_err(SignError::Key)?;
        let body =
            TimestampedSignature::new(timestamp, signature).map_err(SignError::Cosignature)?;
        let line = |key: &VerifierKey, signature| {
            NoteSignature::new(key.name().clone(), key.key_id(), signature)
        };
        Ok(vec![
            line(self.keys.ed25519(), ed25519),
            line(self.keys.ml_dsa_44(), body.to_bytes()),
        ])
    }
}

impl CheckpointSigner for LocalSigner {
    fn origin(&self) -> &Origin {
        self.keys.origin()
    }

    fn last_signed(&self) -> Result<Option<Checkpoint>, SignError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(last.checkpoint.clone()))
    }

    fn sign(
        &self,
        note_text: &str,
        consistency: &[TreeHash],
    ) -> Result<Vec<NoteSignature>, SignError> {
        let next: Checkpoint = note_text.parse().map_err(SignError::Text)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        advance(&last.checkpoint, &next, consistency).map_err(SignError::Refused)?;
        if next == last.checkpoint && !last.lines.is_empty() {
            return Ok(last.lines.clone());
        }
        let timestamp = self.timestamp(last.timestamp);
        let lines = self.lines(&next, timestamp)?;
        let note = Note::new(note_text, lines.clone()).map_err(SignError::Note)?;
        if timestamp < last.timestamp {
            // The note says nothing about the time, so that it is kept beside it.
            self.ratchet.write_time(last.timestamp)?;
        }
        self.ratchet.write(&note)?;
        *last = Last {
            checkpoint: next,
            lines: lines.clone(),
            timestamp: last.timestamp.max(timestamp),
        };
        Ok(lines)
    }
}

fn system_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
