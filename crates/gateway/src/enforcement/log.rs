use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::task::Poll;

use chancery_audit::{Entry, EntryError, Event, Label, LeafRef, leaf_hash};
use chancery_journal::{AppendError, Journal};
use chancery_session::Commons;
use chancery_types::{Digest, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use super::clock::Clock;

/// The gateway's own log. The times of its entries never go back.
#[derive(Debug)]
pub(crate) struct Log {
    journal: Journal,
    origin: Label,
    turn: Mutex<()>,
    /// What the sessions share, by all entries that were sent.
    commons: RwLock<Commons>,
}

/// The leave to write next. Whoever holds it reads the clock and sends entries; it is let go before
/// they are durable, so that entries of many sessions share one sync.
#[derive(Debug)]
pub(crate) struct Turn<'l>(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'l, ()>);

/// An entry on its way to the disk, behind all that were sent before it.
pub(crate) struct Sent<'l> {
    entry: Entry,
    hash: Digest,
    append: Append<'l>,
    index: Option<Result<u64, AppendError>>,
}

type Append<'l> = Pin<Box<dyn Future<Output = Result<u64, AppendError>> + Send + 'l>>;

/// Why an entry is not in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("the event has no entry")]
    Entry(#[from] EntryError),
    #[error("the log takes no entries")]
    Append(#[from] AppendError),
}

impl Log {
    pub(crate) fn new(journal: Journal, origin: Label, commons: Commons) -> Self {
        Self {
            journal,
            origin,
            turn: Mutex::new(()),
            commons: RwLock::new(commons),
        }
    }

    /// What the sessions share. Whoever holds the turn sees what every entry before the next one left.
    pub(crate) fn commons(&self) -> RwLockReadGuard<'_, Commons> {
        self.commons.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn(self.turn.lock().await)
    }

    /// Sends an entry. `at` was read from the clock in this turn.
    pub(crate) async fn send<'l>(
        &'l self,
        _turn: &Turn<'_>,
        at: Timestamp,
        event: Event,
    ) -> Result<Sent<'l>, LogError> {
        let entry = Entry {
            origin: self.origin.clone(),
            at,
            event,
        };
        let bytes = entry.to_bytes()?;
        let hash = leaf_hash(&bytes);
        let mut append: Append<'l> = Box::pin(self.journal.append(bytes));
        // The first poll takes the entry's place in the journal's queue, which is first in, first
        // out.
        let index = poll_fn(|context| {
            Poll::Ready(match append.as_mut().poll(context) {
                Poll::Ready(index) => Some(index),
                Poll::Pending => None,
            })
        })
        .await;
        self.commons
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&entry.event);
        Ok(Sent {
            entry,
            hash,
            append,
            index,
        })
    }

    /// Writes an entry by itself; durable when this returns.
    pub(crate) async fn enrol(&self, clock: &Clock, event: Event) -> Result<(), LogError> {
        self.enrol_at(clock, event).await.map(|_| ())
    }

    /// The same, and says where and when.
    pub(crate) async fn enrol_at(
        &self,
        clock: &Clock,
        event: Event,
    ) -> Result<(u64, Timestamp), LogError> {
        let turn = self.turn().await;
        let sent = self.send(&turn, clock.latest(), event).await?;
        drop(turn);
        let (leaf, entry) = sent.durable().await?;
        Ok((leaf.index, entry.at))
    }
}

impl Sent<'_> {
    /// The entry and its place, once it is durable.
    pub(crate) async fn durable(self) -> Result<(LeafRef, Entry), LogError> {
        let index = match self.index {
            Some(index) => index?,
            None => self.append.await?,
        };
        Ok((
            LeafRef {
                index,
                hash: self.hash,
            },
            self.entry,
        ))
    }
}
