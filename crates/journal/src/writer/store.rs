use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_tlog::{Checkpoint, LogEdge, Note};

use crate::disk::{TEMPORARY, replace, sync_folder, write_immutable, write_state};
use crate::wal::{WAL_FOLDER, segment_path};
use crate::{CheckpointSigner, Damage, JournalError, Reader, SignError};

/// A checkpoint that is visible and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: String,
}

/// The tiles of a log, its state and its checkpoint, and what is needed to go on with them.
pub(super) struct Store {
    reader: Reader,
    signer: Arc<dyn CheckpointSigner>,
    edge: LogEdge,
    /// Full files whose partial versions are still there.
    completed: Vec<String>,
    segments: Arc<Mutex<Vec<u64>>>,
}

/// Why a checkpoint could not be published.
pub(super) enum StoreError {
    /// The signer did not sign.
    Sign(SignError),
    /// A file could not be read or written.
    Disk(JournalError),
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
        segments: Arc<Mutex<Vec<u64>>>,
    ) -> Self {
        Self {
            reader,
            signer,
            edge,
            completed: Vec::new(),
            segments,
        }
    }

    /// Carries entries into bundles and tiles. They are durable there, and then in the state,
    /// when this returns (log-build W8).
    pub(super) fn integrate<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<(), JournalError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut edge = self.edge.clone();
        let mut files = Vec::new();
        for entry in entries {
            edge.push(entry.as_ref(), &mut files)
                .map_err(|_| JournalError::damaged(self.reader.dir(), Damage::Mismatch))?;
        }
        let completed = files.iter().map(|file| file.path.partial_folder());
        self.completed.extend(completed);
        files.extend(edge.partials());
        write_immutable(self.reader.dir(), &files)?;
        write_state(self.reader.dir(), &edge.frontier())?;
        self.edge = edge;
        Ok(())
    }

    /// Signs and shows the checkpoint of all that is integrated, unless it is visible already.
    pub(super) fn publish(&mut self) -> Result<Published, StoreError> {
        let checkpoint = Checkpoint {
            origin: self.reader.origin().clone(),
            size: self.edge.size(),
            root: self.edge.root(),
        };
        if let Some((note, visible)) = self.reader.checkpoint()?
            && visible == checkpoint
        {
            self.free_segments(visible.size)?;
            return Ok(Published { checkpoint, note });
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
        let note = Note::new(&text, lines).map_err(|e| StoreError::Sign(SignError::Note(e)))?;
        let note = note.to_string();
        let temporary = self.reader.dir().join(TEMPORARY).join("checkpoint");
        replace(&self.reader.checkpoint_path(), &temporary, note.as_bytes())?;
        self.drop_partials();
        self.free_segments(checkpoint.size)?;
        Ok(Published { checkpoint, note })
    }

    pub(super) const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Removes partial files whose full one is durable and covered by a visible checkpoint. That
    /// one of them stays does no harm.
    fn drop_partials(&mut self) {
        for folder in self.completed.drain(..) {
            let folder = self.reader.dir().join(folder);
            if let Err(error) = fs::remove_dir_all(&folder)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(folder = %folder.display(), %error, "partial tiles stay");
            }
        }
    }

    /// Removes the segments of the write-ahead log that the visible checkpoint covers whole. The
    /// last one is being written.
    fn free_segments(&self, size: u64) -> Result<(), JournalError> {
        let mut segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut freed = false;
        while let [first, second, ..] = segments.as_slice()
            && *second <= size
        {
            let path = segment_path(self.reader.dir(), *first);
            fs::remove_file(&path).map_err(JournalError::io(&path))?;
            segments.remove(0);
            freed = true;
        }
        drop(segments);
        if freed {
            sync_folder(&self.reader.dir().join(WAL_FOLDER))?;
        }
        Ok(())
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
