use chancery_audit::{Entry, EntryError, Event, Label, LeafRef, leaf_hash};
use chancery_journal::{AppendError, Journal};
use chancery_types::Timestamp;

/// The gateway's own log.
#[derive(Debug)]
pub(crate) struct Log {
    journal: Journal,
    origin: Label,
}

/// Why an entry is not in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("the event has no entry")]
    Entry(#[from] EntryError),
    #[error("the log takes no entries")]
    Append(#[from] AppendError),
}

impl Log {
    pub(crate) const fn new(journal: Journal, origin: Label) -> Self {
        Self { journal, origin }
    }

    pub(crate) const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Writes an entry; durable when this returns.
    pub(crate) async fn enrol(
        &self,
        at: Timestamp,
        event: Event,
    ) -> Result<(LeafRef, Entry), LogError> {
        let entry = Entry { origin: self.origin.clone(), at, event };
        let bytes = entry.to_bytes()?;
        let hash = leaf_hash(&bytes);
        let index = self.journal.append(bytes).await?;
        Ok((LeafRef { index, hash }, entry))
    }
}
