use std::sync::Arc;

use chancery_audit::{Entry, EntryError, Event, LeafRef, leaf_hash};
use chancery_evidence::completeness::InstanceIndex;
use chancery_journal::{Entries, JournalError};
use chancery_types::Digest;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::Enforcement;
use super::log::LogError;

/// The completeness index of the own log. It follows the durable entries, so that what is folded
/// after a start is what was folded before it.
#[derive(Debug)]
pub(crate) struct Indexing(Arc<Mutex<Indexed>>);

/// How far the index is, and which root the log has.
#[derive(Debug)]
pub(crate) struct Indexed {
    index: InstanceIndex,
    enrolled: Digest,
}

/// Why the index is not enrolled.
#[derive(Debug, thiserror::Error)]
enum IndexError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("entry {0} cannot be read")]
    Entry(u64, #[source] EntryError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("folding was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Default for Indexed {
    fn default() -> Self {
        let index = InstanceIndex::default();
        let enrolled = index.to_entry().root;
        Self { index, enrolled }
    }
}

impl Indexed {
    /// Takes the next entry of the log.
    pub(crate) fn take(&mut self, leaf: &LeafRef, event: &Event) {
        self.index.take(leaf, event);
        if let Event::IndexRoot(root) = event {
            self.enrolled = root.root;
        }
    }

    fn follow(&mut self, entries: Entries) -> Result<(), IndexError> {
        for entry in entries {
            let (index, bytes) = entry?;
            let entry = Entry::parse(&bytes).map_err(|error| IndexError::Entry(index, error))?;
            let hash = leaf_hash(&bytes);
            self.take(&LeafRef { index, hash }, &entry.event);
        }
        Ok(())
    }
}

impl Indexing {
    pub(crate) fn new(indexed: Indexed) -> Self {
        Self(Arc::new(Mutex::new(indexed)))
    }

    async fn lock(&self) -> OwnedMutexGuard<Indexed> {
        Arc::clone(&self.0).lock_owned().await
    }
}

impl Enforcement {
    /// Enrols the root of the index over everything that is durable, where it is another one than
    /// the log has. What fails is tried again the next time.
    pub(crate) async fn enrol_index(&self) {
        if let Err(error) = self.try_enrol_index().await {
            super::tasks::said("the completeness index is not enrolled", &error);
        }
    }

    async fn try_enrol_index(&self) -> Result<(), IndexError> {
        let mut indexed = self.indexing.lock().await;
        let journal = self.log.journal();
        let entries = journal.entries(indexed.index.size()..journal.size());
        // Read beside the runtime: what is in tiles already comes from the disk.
        let mut indexed = tokio::task::spawn_blocking(move || {
            indexed.follow(entries)?;
            Ok::<_, IndexError>(indexed)
        })
        .await??;
        let entry = indexed.index.to_entry();
        if entry.root != indexed.enrolled {
            let root = entry.root;
            self.log.enrol(&self.clock, entry.into()).await?;
            indexed.enrolled = root;
        }
        Ok(())
    }
}
