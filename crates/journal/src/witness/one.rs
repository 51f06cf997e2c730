use ::http::{Method, StatusCode};
use chancery_crypto::AwsLc;
use chancery_tlog::{
    AddCheckpoint, AddCheckpointError, Checkpoint, CosignatureLines, CosignatureLinesError,
    CosignerError, LogKeys, MAX_NOTE_BYTES, Note, NoteSignature, PolicyRefusal, RecordedSize,
    RecordedSizeError, VerifierKey, monitor_folder, verify_checkpoint_any, verify_cosignature,
};

use super::WitnessAddress;
use super::http::{Answer, Connection, HttpError};
use crate::{JournalError, Reader};

/// So often a size that the witness disagrees with is taken over and asked with again.
const RETRIES: usize = 1;

/// Most characters of a refusal that are repeated.
const MAX_REASON_CHARS: usize = 200;

/// One witness as the log sees it: an address, and the keys that the policy names for it.
#[derive(Debug)]
pub(super) struct One {
    /// What the policy calls it; of several names the first.
    pub(super) name: String,
    keys: Vec<VerifierKey>,
    connection: Connection,
    /// The size that it cosigned last, as far as we know.
    last: u64,
}

/// A checkpoint of this log that a witness shows to monitors and a key of the log signed.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) checkpoint: Checkpoint,
    pub(super) note: Note,
}

/// What a witness made of a checkpoint.
#[derive(Debug)]
pub(super) enum Cosigned {
    /// It cosigned.
    Lines(Vec<NoteSignature>),
    /// It refuses because it knows another log of this name, and shows what it knows. Whether that
    /// is so, what it shows says; what it answered does not.
    Shown(Box<Shown>, OneError),
}

/// Why a witness gave no cosignature.
#[derive(Debug, thiserror::Error)]
pub(super) enum OneError {
    /// It says that it knows more of this log than we do.
    #[error(
        "it says that it cosigned {recorded} entries of this log, which ends at {size}, and shows no such checkpoint"
    )]
    Ahead {
        /// What it says.
        recorded: u64,
        /// What we asked for.
        size: u64,
    },
    /// No answer within the time.
    #[error("no answer in time")]
    TimedOut,
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It refuses.
    #[error("it answered {status}: {reason}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says, cut short.
        reason: String,
    },
    /// A conflict without a size, or not of the content type that tlog-witness gives it.
    #[error(
        "a conflict that does not name a size as {}",
        RecordedSize::CONTENT_TYPE
    )]
    Conflict(#[source] Option<RecordedSizeError>),
    /// A conflict again, with the size that it had named.
    #[error("it contradicts the size that it named itself")]
    Disagreement,
    /// The answer does not hold signature lines.
    #[error("malformed answer")]
    Lines(#[from] CosignatureLinesError),
    /// The answer holds no line of the witness's key.
    #[error("the answer holds no cosignature of the key that the policy names")]
    NoLine,
    /// A line of the witness's key does not verify.
    #[error("its cosignature is refused")]
    Cosignature(#[source] CosignerError),
    /// A cosignature without a time.
    #[error("its cosignature says nothing of the time")]
    NoTime,
    /// What it shows for a checkpoint of this log is not one.
    #[error("what it shows is no checkpoint of this log")]
    Monitor(#[source] PolicyRefusal),
    /// The request cannot be made.
    #[error(transparent)]
    Request(#[from] AddCheckpointError),
    /// The proof cannot be made.
    #[error("the consistency proof cannot be made")]
    Proof(#[source] JournalError),
}

impl OneError {
    /// Whether it says that another log has this name, or more of this one was signed.
    fn is_about_another_log(&self) -> bool {
        match self {
            Self::Ahead { .. } => true,
            Self::Refused { status, .. } => *status == StatusCode::UNPROCESSABLE_ENTITY,
            _ => false,
        }
    }
}

impl One {
    pub(super) fn new(name: String, key: VerifierKey, address: WitnessAddress) -> Self {
        Self {
            name,
            keys: vec![key],
            connection: Connection::new(address),
            last: 0,
        }
    }

    pub(super) const fn address(&self) -> &WitnessAddress {
        self.connection.address()
    }

    pub(super) fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// Another key at the same address.
    pub(super) fn add(&mut self, key: VerifierKey) {
        self.keys.push(key);
    }

    /// Whatever is under way was given up.
    pub(super) fn give_up(&mut self) {
        self.connection.close();
    }

    /// Has a checkpoint cosigned. Of a witness that says that it knows more of this log, or another
    /// one of this name, what it shows to monitors is asked as well: what it says is not signed.
    pub(super) async fn cosign(
        &mut self,
        reader: &Reader,
        checkpoint: &Checkpoint,
        note: &Note,
        keys: &LogKeys,
    ) -> Result<Cosigned, OneError> {
        let error = match self.ask_for(reader, checkpoint, note).await {
            Ok(lines) => return Ok(Cosigned::Lines(lines)),
            Err(error) if error.is_about_another_log() => error,
            Err(error) => return Err(error),
        };
        match self.monitored(keys).await {
            Ok(Some(shown)) => Ok(Cosigned::Shown(Box::new(shown), error)),
            Ok(None) => Err(error),
            Err(unseen) => {
                let unseen = &unseen as &dyn std::error::Error;
                tracing::info!(witness = %self.name, unseen, "what a witness knows is not seen");
                Err(error)
            }
        }
    }

    /// Asks for a cosignature. A size that the witness disagrees with is taken over, once, and
    /// proved from; one above the checkpoint's is [`OneError::Ahead`].
    async fn ask_for(
        &mut self,
        reader: &Reader,
        checkpoint: &Checkpoint,
        note: &Note,
    ) -> Result<Vec<NoteSignature>, OneError> {
        // A checkpoint that was cosigned before this log was opened again may be larger.
        let size = checkpoint.size;
        let mut old = self.last.min(size);
        for _ in 0..=RETRIES {
            let proof = reader
                .prove_consistency(old, size)
                .map_err(OneError::Proof)?;
            let request = AddCheckpoint::new(old, proof, note.clone())?.to_string();
            let answer = self
                .connection
                .ask(Method::POST, "add-checkpoint", &request, MAX_NOTE_BYTES)
                .await?;
            match answer.status {
                StatusCode::OK => {
                    let lines = self.lines(checkpoint, &answer.body)?;
                    self.last = size;
                    return Ok(lines);
                }
                StatusCode::CONFLICT => {
                    let recorded = recorded_size(&answer)?;
                    if recorded > size {
                        return Err(OneError::Ahead { recorded, size });
                    }
                    self.last = recorded;
                    old = recorded;
                }
                _ => return Err(refused(&answer)),
            }
        }
        Err(OneError::Disagreement)
    }

    /// The checkpoint of this log that the witness shows to monitors, which a key of the log
    /// signed; none where it has none, or shows none.
    pub(super) async fn monitored(&mut self, keys: &LogKeys) -> Result<Option<Shown>, OneError> {
        let endpoint = format!("{}/checkpoint", monitor_folder(keys.origin()));
        let answer = self
            .connection
            .ask(Method::GET, &endpoint, "", MAX_NOTE_BYTES)
            .await?;
        match answer.status {
            StatusCode::OK => {
                let own = [keys.ed25519(), keys.ml_dsa_44()];
                let checkpoint =
                    verify_checkpoint_any(&answer.body, own, &AwsLc).map_err(OneError::Monitor)?;
                let note = Note::parse(&answer.body)
                    .map_err(|error| OneError::Monitor(PolicyRefusal::Note(error)))?;
                self.last = checkpoint.size;
                Ok(Some(Shown { checkpoint, note }))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(&answer)),
        }
    }

    /// The first line of each key of this witness, each verified; lines of other keys are ignored.
    fn lines(&self, checkpoint: &Checkpoint, body: &[u8]) -> Result<Vec<NoteSignature>, OneError> {
        let answer = CosignatureLines::parse(body)?;
        let mut lines = Vec::new();
        for key in &self.keys {
            let mut named = answer.lines().iter().filter(|line| key.is_named_by(line));
            if let Some(line) = named.next() {
                let time = verify_cosignature(key, checkpoint, line, &AwsLc)
                    .map_err(OneError::Cosignature)?;
                if time == 0 {
                    return Err(OneError::NoTime);
                }
                lines.push(line.clone());
            }
        }
        match lines.is_empty() {
            true => Err(OneError::NoLine),
            false => Ok(lines),
        }
    }
}

fn recorded_size(answer: &Answer) -> Result<u64, OneError> {
    if answer.content_type.as_deref() != Some(RecordedSize::CONTENT_TYPE) {
        return Err(OneError::Conflict(None));
    }
    let text = str::from_utf8(&answer.body).map_err(|_| OneError::Conflict(None))?;
    let size: Result<RecordedSize, _> = text.parse();
    size.map(|size| size.0)
        .map_err(|error| OneError::Conflict(Some(error)))
}

fn refused(answer: &Answer) -> OneError {
    let text = String::from_utf8_lossy(&answer.body);
    let plain = text.chars().filter(|c| !c.is_control());
    OneError::Refused {
        status: answer.status,
        reason: plain.take(MAX_REASON_CHARS).collect(),
    }
}
