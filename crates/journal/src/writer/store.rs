use std::sync::Arc;

use chancery_tlog::{Checkpoint, LogEdge, Note};

use crate::disk::{Staged, TEMPORARY, replace, write_state};
use crate::wal::WalFiles;
use crate::witness::{CosignError, Cosigners};
use crate::{CheckpointSigner, Damage, JournalError, LogAlarm, Reader, SignError};

/// A checkpoint that is visible and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The signed note, as the log signed it: the same bytes whoever cosigns it.
    pub note: String,
    /// The signed note with the cosignatures that it has so far.
    pub cosigned: String,
    /// Whether they are the quorum of the witness policy; never where it asks for nobody.
    pub is_witnessed: bool,
}

/// The tiles of a log, its state and its checkpoint, and what is needed to go on with them.
pub(super) struct Store {
    reader: Reader,
    signer: Arc<dyn CheckpointSigner>,
    /// The edge of all that was staged.
    edge: LogEdge,
    staged: Staged,
    /// So many entries are durable in tiles.
    settled: u64,
    /// Full files whose partial versions are still there.
    completed: Vec<String>,
    wal: Arc<WalFiles>,
    cosigners: Option<Cosigners>,
    /// Once raised, nothing is signed any more.
    alarm: Option<LogAlarm>,
}

/// Why a checkpoint could not be published.
pub(super) enum StoreError {
    /// The signer did not sign.
    Sign(SignError),
    /// A file could not be read or written.
    Disk(JournalError),
    /// Too few witnesses cosigned.
    Withheld,
    /// This log's key signed what this log does not hold.
    Alarm(LogAlarm),
}

impl From<JournalError> for StoreError {
    fn from(error: JournalError) -> Self {
        Self::Disk(error)
    }
}

impl Store {
    pub(super) fn new(
        reader: Reader,
        signer: Arc<dyn CheckpointSigner>,
        edge: LogEdge,
        wal: Arc<WalFiles>,
    ) -> Self {
        Self {
            staged: Staged::new(Arc::clone(reader.storage()), reader.dir()),
            settled: edge.size(),
            reader,
            signer,
            edge,
            completed: Vec::new(),
            wal,
            cosigners: None,
            alarm: None,
        }
    }

    /// Has checkpoints cosigned from now on.
    pub(super) fn cosigned_by(&mut self, cosigners: Option<Cosigners>) {
        self.cosigners = cosigners;
    }

    /// Carries entries into bundles and tiles, whose full ones are on their way to the disk when
    /// this returns. After an error, nothing more may be staged.
    pub(super) fn stage<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<(), JournalError> {
        let mut full = Vec::new();
        for entry in entries {
            self.edge
                .push(entry.as_ref(), &mut full)
                .map_err(|_| JournalError::damaged(self.reader.dir(), Damage::Mismatch))?;
            for file in full.drain(..) {
                self.completed.push(file.path.partial_folder());
                self.staged.add(&file)?;
            }
        }
        Ok(())
    }

    /// Makes what was staged durable in tiles, and then in the state (log-build W8).
    pub(super) fn settle(&mut self) -> Result<(), JournalError> {
        if self.settled == self.edge.size() {
            return Ok(());
        }
        for partial in self.edge.partials() {
            self.staged.add(&partial)?;
        }
        self.staged.settle()?;
        let storage = &**self.reader.storage();
        write_state(storage, self.reader.dir(), &self.edge.frontier())?;
        self.settled = self.edge.size();
        Ok(())
    }

    /// Signs and shows the checkpoint of all that is settled, unless it is visible already.
    pub(super) fn publish(&mut self) -> Result<Published, StoreError> {
        self.settle()?;
        let checkpoint = Checkpoint {
            origin: self.reader.origin().clone(),
            size: self.edge.size(),
            root: self.edge.root(),
        };
        if let Some(alarm) = &self.alarm {
            return Err(StoreError::Alarm(alarm.clone()));
        }
        let visible = self.visible(&checkpoint)?;
        if let Some(visible) = &visible
            && self.is_enough(&checkpoint, visible)
        {
            self.wal.free(checkpoint.size)?;
            return self.published(checkpoint, visible);
        }
        let text = checkpoint.to_string();
        let signed = self.signer.last_signed().map_err(StoreError::Sign)?;
        let signed = signed.map_or(0, |signed| signed.size);
        let consistency = if signed <= checkpoint.size {
            self.reader.prove_consistency(signed, checkpoint.size)?
        } else {
            Vec::new()
        };
        let lines = self
            .signer
            .sign(&text, &consistency)
            .map_err(StoreError::Sign)?;
        let own = Note::new(&text, lines).map_err(|e| StoreError::Sign(SignError::Note(e)))?;
        let note = self.cosign(&checkpoint, &own, visible.as_ref())?;
        if visible.as_ref() != Some(&note) {
            let temporary = self.reader.dir().join(TEMPORARY).join("checkpoint");
            let bytes = note.to_string();
            let storage = &**self.reader.storage();
            let path = self.reader.checkpoint_path();
            replace(storage, &path, &temporary, bytes.as_bytes())?;
        }
        self.drop_partials();
        self.wal.free(checkpoint.size)?;
        self.published(checkpoint, &note)
    }

    /// The visible note, where it is of this checkpoint.
    fn visible(&self, checkpoint: &Checkpoint) -> Result<Option<Note>, JournalError> {
        let damaged = |error| JournalError::damaged(&self.reader.checkpoint_path(), error);
        match self.reader.checkpoint()? {
            Some((note, visible)) if visible == *checkpoint => {
                let note = Note::parse(note.as_bytes()).map_err(|e| damaged(Damage::from(e)))?;
                Ok(Some(note))
            }
            _ => Ok(None),
        }
    }

    /// Whether a note needs no further cosignature.
    fn is_enough(&self, checkpoint: &Checkpoint, note: &Note) -> bool {
        let cosigners = self.cosigners.as_ref();
        cosigners.is_none_or(|cosigners| cosigners.is_witnessed(checkpoint, note))
    }

    /// Asks the witnesses. Their cosignatures of the visible note stay where they do not answer.
    fn cosign(
        &mut self,
        checkpoint: &Checkpoint,
        own: &Note,
        visible: Option<&Note>,
    ) -> Result<Note, StoreError> {
        let Some(cosigners) = &mut self.cosigners else {
            return Ok(own.clone());
        };
        let kept = visible.map_or(&[][..], Note::signatures);
        match cosigners.cosign(&self.reader, checkpoint, own, kept) {
            Ok(asked) if asked.is_witnessed || !cosigners.withhold() => Ok(asked.note),
            Ok(_) => Err(StoreError::Withheld),
            Err(CosignError::Disk(error)) => Err(StoreError::Disk(error)),
            Err(CosignError::Alarm(alarm)) => {
                let (error, remedy) = (&alarm as &dyn std::error::Error, alarm.remedy());
                tracing::error!(error, remedy, "nothing is signed any more");
                self.alarm = Some(alarm.clone());
                Err(StoreError::Alarm(alarm))
            }
        }
    }

    fn published(&self, checkpoint: Checkpoint, note: &Note) -> Result<Published, StoreError> {
        let own = note
            .of_log_alone()
            .map_err(|e| StoreError::Sign(SignError::Note(e)))?;
        let cosigners = self.cosigners.as_ref();
        Ok(Published {
            is_witnessed: cosigners.is_some_and(|cosigners| {
                cosigners.asks_for_any() && cosigners.is_witnessed(&checkpoint, note)
            }),
            checkpoint,
            note: own.to_string(),
            cosigned: note.to_string(),
        })
    }

    /// The number of entries that are staged.
    pub(super) const fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The number of entries that are durable in tiles.
    pub(super) const fn settled(&self) -> u64 {
        self.settled
    }

    pub(super) const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Removes partial files whose full one is durable and covered by a visible checkpoint. That
    /// one of them stays does no harm.
    fn drop_partials(&mut self) {
        for folder in self.completed.drain(..) {
            let folder = self.reader.dir().join(folder);
            if let Err(error) = self.reader.storage().remove_folder(&folder) {
                tracing::warn!(folder = %folder.display(), %error, "partial tiles stay");
            }
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("reader", &self.reader)
            .field("size", &self.edge.size())
            .finish_non_exhaustive()
    }
}
