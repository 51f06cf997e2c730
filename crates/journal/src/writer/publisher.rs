use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{oneshot, watch};

use super::ending::Ending;
use super::pending::{Ended, Pending};
use super::store::{Published, Store, StoreError};
use crate::{LogAlarm, SignError};

/// Why no checkpoint was published. The entries are durable all the same.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The signer did not sign; the next interval tries again.
    #[error("the checkpoint is not signed")]
    Sign(#[source] SignError),
    /// Too few witnesses cosigned it, and it is withheld until they do; the next interval tries
    /// again.
    #[error("the checkpoint is withheld: the witness quorum is not met")]
    Withheld,
    /// This log's key signed what this log does not hold. Nothing is signed any more.
    #[error("nothing is signed any more")]
    Alarm(#[source] LogAlarm),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

/// What the publisher is told to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Publish now and answer.
    Publish(oneshot::Sender<Result<Published, PublishError>>),
    /// Carry pending entries into tiles already: there will be less to do when a checkpoint is due.
    Stage,
    /// Carry the pending entries into tiles and make them durable there: memory is short.
    Integrate,
    /// The committer is gone; nothing comes any more.
    Stop,
}

/// Carries durable entries into tiles and publishes checkpoints, at every interval and when told.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) store: Store,
    pub(super) pending: Arc<Pending>,
    pub(super) published: watch::Sender<Option<Published>>,
    pub(super) interval: Duration,
    pub(super) ending: Ending,
}

impl Publisher {
    /// Runs until it is told to stop, or the writer ends.
    pub(super) fn run(mut self, commands: Receiver<Command>) {
        let mut due = Instant::now() + self.interval;
        loop {
            let wait = due.saturating_duration_since(Instant::now());
            let done = match commands.recv_timeout(wait) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Command::Publish(reply)) => self.publish().map(|outcome| {
                    // Whoever does not wait any more has a visible checkpoint all the same.
                    let _ = reply.send(outcome);
                }),
                Ok(Command::Stage) => self.stage(),
                Ok(Command::Integrate) => self.integrate(),
                Err(RecvTimeoutError::Timeout) => Ok(()),
            };
            if done.is_err() {
                return;
            }
            if Instant::now() >= due {
                match self.publish() {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "no checkpoint was published, trying again");
                    }
                    Err(Ended) => return,
                }
                due = Instant::now() + self.interval;
            }
        }
    }

    /// Carries what is durable now into tiles and publishes it.
    fn publish(&mut self) -> Result<Result<Published, PublishError>, Ended> {
        self.integrate()?;
        let outcome = self.store.publish();
        count(&outcome);
        match outcome {
            Ok(published) => {
                self.published.send_replace(Some(published.clone()));
                Ok(Ok(published))
            }
            Err(StoreError::Disk(error)) => {
                Err(self.ending.end("a checkpoint cannot be written", &error))
            }
            Err(StoreError::Sign(error @ SignError::Refused(_))) => Err(self
                .ending
                .end("this log contradicts what was signed before", &error)),
            Err(StoreError::Sign(error)) => Ok(Err(PublishError::Sign(error))),
            Err(StoreError::Withheld) => Ok(Err(PublishError::Withheld)),
            Err(StoreError::Alarm(alarm)) => Ok(Err(PublishError::Alarm(alarm))),
        }
    }

    fn stage(&mut self) -> Result<(), Ended> {
        let waiting = self.pending.snapshot(self.store.size(), u64::MAX);
        self.store
            .stage(&waiting.entries)
            .map_err(|error| self.ending.end("the tiles cannot be written", &error))
    }

    fn integrate(&mut self) -> Result<(), Ended> {
        self.stage()?;
        self.store
            .settle()
            .map_err(|error| self.ending.end("the tiles cannot be written", &error))?;
        self.pending.drain_to(self.store.settled());
        Ok(())
    }
}

/// Counts what came of a checkpoint that was due.
fn count(outcome: &Result<Published, StoreError>) {
    let result = match outcome {
        Ok(published) if published.is_witnessed => "witnessed",
        Ok(_) => "unwitnessed",
        Err(StoreError::Withheld) => "withheld",
        Err(_) => "failed",
    };
    metrics::counter!("chancery_log_checkpoints_total", "result" => result).increment(1);
    if let Ok(published) = outcome {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        metrics::gauge!("chancery_log_published_timestamp_seconds").set(since.unwrap_or_default());
        metrics::gauge!("chancery_log_published_entries").set(published.checkpoint.size as f64);
    }
}
