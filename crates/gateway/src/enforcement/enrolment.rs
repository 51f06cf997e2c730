use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use chancery_api::ClientError;
use chancery_api::server::{EnrolCheckpoint, EnrolRecord};
use chancery_crypto::{read_private_file, replace_private_file};
use chancery_tlog::Checkpoint;
use chancery_types::id::SessionId;
use chancery_types::{Digest, base64url};
use tokio::sync::MutexGuard;

use super::Enforcement;

/// How often a conflict about the last enrolled size is resolved before the next round.
const ATTEMPTS: usize = 3;

/// The file in a gateway's folder with the last checkpoint of its log that the server enrolled, a
/// signed note. Evidence that ends with it is complete however the log has grown since.
pub const ENROLLED_CHECKPOINT: &str = "enrolled-checkpoint";

/// Trust Records, and the checkpoints that they name until the server has both.
#[derive(Debug)]
pub(crate) struct Records {
    records: PathBuf,
    waiting: PathBuf,
    checkpoint: PathBuf,
    /// The size of our log that the server enrolled last.
    enrolled: Mutex<u64>,
    /// Held from the publication of a checkpoint that a record names until the record waits.
    ///
    /// INVARIANT: checkpoints are enrolled in the order of their sizes, and each one that a record
    /// names is. So whoever enrols one sees all smaller ones that records name.
    naming: tokio::sync::Mutex<()>,
}

/// Why something is not enrolled yet.
#[derive(Debug, thiserror::Error)]
enum EnrolError {
    #[error(transparent)]
    Server(#[from] ClientError),
    #[error(transparent)]
    Journal(#[from] chancery_journal::JournalError),
    #[error("the server and this log do not agree about what was enrolled")]
    Disagreement,
    #[error(transparent)]
    File(#[from] io::Error),
}

impl Records {
    /// Takes up the folders in a gateway's own, or makes them.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let (records, waiting) = (folder.join("records"), folder.join("waiting"));
        super::objects::private_folder(&records)?;
        super::objects::private_folder(&waiting)?;
        Ok(Self {
            records,
            waiting,
            checkpoint: folder.join(ENROLLED_CHECKPOINT),
            enrolled: Mutex::new(0),
            naming: tokio::sync::Mutex::new(()),
        })
    }

    /// The leave to name a checkpoint in a record: taken before it is published, held until the
    /// record is kept.
    pub(crate) async fn naming(&self) -> MutexGuard<'_, ()> {
        self.naming.lock().await
    }

    /// Whether the session has its record.
    pub(crate) fn knows(&self, session: SessionId) -> bool {
        self.record(session).exists()
    }

    /// Keeps a record, and the checkpoint that is to be enrolled before it. The record comes last:
    /// where it is, all of it is.
    pub(crate) fn keep(&self, session: SessionId, record: &[u8], note: &str) -> io::Result<()> {
        replace_private_file(&self.waiting.join(session.to_string()), note.as_bytes())
            .and_then(|()| replace_private_file(&self.record(session), record))
            .map_err(io::Error::other)
    }

    fn keep_checkpoint(&self, note: &str) -> Result<(), EnrolError> {
        replace_private_file(&self.checkpoint, note.as_bytes()).map_err(io::Error::other)?;
        Ok(())
    }

    /// Whether the server has the session's record.
    pub(crate) fn is_enrolled(&self, session: SessionId) -> bool {
        self.knows(session) && !self.waiting.join(session.to_string()).exists()
    }

    /// The digest of a session's record.
    pub(crate) fn digest(&self, session: SessionId) -> Option<Digest> {
        let record = read_private_file(&self.record(session)).ok()?;
        Some(Digest::of(record.expose()))
    }

    /// What the server does not have yet, in the order of the log.
    fn waiting(&self) -> Vec<(SessionId, String)> {
        let Ok(folder) = std::fs::read_dir(&self.waiting) else {
            return Vec::new();
        };
        let mut waiting: Vec<_> = folder
            .filter_map(|file| {
                let session: SessionId = file.ok()?.file_name().to_str()?.parse().ok()?;
                let note = read_private_file(&self.waiting.join(session.to_string())).ok()?;
                let note = String::from_utf8(note.expose().to_vec()).ok()?;
                self.knows(session).then_some((session, note))
            })
            .collect();
        waiting.sort_by_key(|(_, note)| size_of_note(note));
        waiting
    }

    fn record(&self, session: SessionId) -> PathBuf {
        self.records.join(format!("{session}.json"))
    }
}

impl Enforcement {
    /// Hands in what the server does not have yet. What fails is tried again in the next round.
    pub(crate) async fn enrol_records(&self) {
        let naming = self.records.naming().await;
        let waiting = self.records.waiting();
        drop(naming);
        for (session, note) in waiting {
            if let Err(error) = self.enrol_record(session, &note).await {
                tracing::warn!(%session, %error, "a Trust Record waits for the server");
                return;
            }
        }
    }

    /// Publishes a checkpoint of the own log and hands it in, behind those that records name.
    pub(crate) async fn enrol_checkpoint(&self) {
        let naming = self.records.naming().await;
        let published = match self.log.journal().publish().await {
            Ok(published) => published,
            Err(error) => {
                tracing::warn!(%error, "no checkpoint was published");
                return;
            }
        };
        let named = self.records.waiting();
        drop(naming);
        let notes = named
            .iter()
            .map(|(_, note)| note)
            .chain([&published.cosigned]);
        for note in notes {
            if let Err(error) = self.hand_in(note).await {
                tracing::warn!(%error, "a checkpoint waits for the server");
                return;
            }
        }
    }

    async fn enrol_record(&self, session: SessionId, note: &str) -> Result<(), EnrolError> {
        self.hand_in(note).await?;
        let record = read_private_file(&self.records.record(session)).map_err(io::Error::other)?;
        let record = String::from_utf8(record.expose().to_vec()).map_err(io::Error::other)?;
        match self
            .server
            .enrol_record(&EnrolRecord {
                session_id: session,
                record,
            })
            .await
        {
            Err(ClientError::Refused(problem)) if problem.reason == "record_exists" => {}
            answer => {
                answer?;
            }
        }
        std::fs::remove_file(self.records.waiting.join(session.to_string()))?;
        tracing::info!(%session, "the Trust Record is enrolled");
        Ok(())
    }

    /// Enrols a checkpoint with the proof that it continues the one before. One that is not later
    /// than what the server has already needs no entry of its own.
    async fn hand_in(&self, note: &str) -> Result<(), EnrolError> {
        let size = size_of_note(note);
        for _ in 0..ATTEMPTS {
            let old_size = *self.lock_enrolled();
            if size <= old_size {
                return Ok(());
            }
            let proof = self
                .log
                .journal()
                .reader()
                .prove_consistency(old_size, size)?;
            let request = EnrolCheckpoint {
                old_size,
                consistency: proof
                    .iter()
                    .map(|hash| base64url::encode(hash.as_bytes()))
                    .collect(),
                note: note.to_owned(),
            };
            match self.server.enrol_checkpoint(&request).await {
                Ok(_) => {
                    *self.lock_enrolled() = size;
                    return self.records.keep_checkpoint(note);
                }
                Err(ClientError::Refused(problem)) if problem.reason == "old_size" => {
                    let known = problem
                        .message
                        .parse()
                        .map_err(|_| EnrolError::Disagreement)?;
                    *self.lock_enrolled() = known;
                    if known == size {
                        return self.records.keep_checkpoint(note);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(EnrolError::Disagreement)
    }

    fn lock_enrolled(&self) -> std::sync::MutexGuard<'_, u64> {
        self.records
            .enrolled
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The size that a signed note of our own names; its text ends at the empty line.
fn size_of_note(note: &str) -> u64 {
    let text = note.split("\n\n").next().unwrap_or_default();
    let checkpoint: Result<Checkpoint, _> = format!("{text}\n").parse();
    checkpoint
        .map(|checkpoint| checkpoint.size)
        .unwrap_or_default()
}
