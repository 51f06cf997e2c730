use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::abort;
use super::pending::Pending;
use super::store::{Published, Store, StoreError};
use crate::SignError;
use crate::wal::prepare_spare;

/// Why no checkpoint was published. The entries are durable all the same.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The signer did not sign; the next interval tries again.
    #[error("the checkpoint is not signed")]
    Sign(#[source] SignError),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

/// What the publisher is told to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Publish now and answer.
    Publish(oneshot::Sender<Result<Published, PublishError>>),
    /// Carry the pending entries into tiles: memory is short.
    Integrate,
    /// Make the next segment of the write-ahead log ready.
    PrepareSpare,
    /// The committer is gone; nothing comes any more.
    Stop,
}

/// Carries durable entries into tiles and publishes checkpoints, at every interval and when told.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) dir: PathBuf,
    pub(super) store: Store,
    pub(super) pending: Arc<Pending>,
    pub(super) published: Arc<RwLock<Option<Published>>>,
    pub(super) spare: Arc<Mutex<()>>,
    pub(super) segment_bytes: u64,
    pub(super) interval: Duration,
}

impl Publisher {
    pub(super) fn run(mut self, commands: Receiver<Command>) {
        let mut due = Instant::now() + self.interval;
        loop {
            match commands.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Command::Publish(reply)) => {
                    // Whoever does not wait any more has a visible checkpoint all the same.
                    let _ = reply.send(self.publish().map_err(PublishError::Sign));
                }
                Ok(Command::Integrate) => self.integrate(),
                Ok(Command::PrepareSpare) => self.prepare_spare(),
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= due {
                if let Err(error) = self.publish() {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "no checkpoint was published, trying again");
                }
                due = Instant::now() + self.interval;
            }
        }
    }

    /// Carries what is durable now into tiles and publishes it.
    fn publish(&mut self) -> Result<Published, SignError> {
        self.integrate();
        match self.store.publish() {
            Ok(published) => {
                *self
                    .published
                    .write()
                    .unwrap_or_else(PoisonError::into_inner) = Some(published.clone());
                Ok(published)
            }
            Err(StoreError::Disk(error)) => abort("a checkpoint cannot be written", &error),
            Err(StoreError::Sign(error @ SignError::Refused(_))) => {
                abort("this log contradicts what was signed before", &error)
            }
            Err(StoreError::Sign(error)) => Err(error),
        }
    }

    fn integrate(&mut self) {
        let entries = self.pending.snapshot(0, u64::MAX).entries;
        if let Err(error) = self.store.integrate(&entries) {
            abort("the tiles cannot be written", &error);
        }
        self.pending.drain(entries.len());
    }

    fn prepare_spare(&self) {
        let _spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = prepare_spare(&self.dir, self.segment_bytes) {
            abort("the write-ahead log cannot be extended", &error);
        }
    }
}
