use std::time::Duration;

use bytes::Bytes;
use chancery_audit::Content;
use tokio::sync::{mpsc, oneshot};

use super::driver::{Connection, Driver, Queued};
use super::error::Broken;
use super::{AppendError, AppendTarget, Level};

/// Entries that wait to be sent.
const QUEUE: usize = 4_096;

/// How entries are appended.
#[derive(Debug, Clone)]
pub struct AppendOptions {
    /// Where to, and as whom.
    pub target: AppendTarget,
    /// When they are acknowledged.
    pub level: Level,
    /// The log that is meant; whichever is there where it is none.
    pub origin: Option<String>,
    /// The sequence of the first entry: one that the log has already is a repeat, and has to be the
    /// same. Where it is none, entries go behind what the log has of this producer.
    pub first: Option<u64>,
    /// How long the log may be away, or acknowledge nothing.
    pub patience: Duration,
}

/// An entry that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its number among the producer's.
    pub sequence: u64,
    /// Its index in the log.
    pub index: u64,
    /// The size of a checkpoint that covers it; 0 where no more than durability was asked for.
    pub covered: u64,
}

/// Appends entries, each once, across breaks of the connection and restarts of the log. Entries go in the
/// order in which [`AppendClient::append`] was polled first. What waits while a batch is sent is the next
/// batch.
#[derive(Debug, Clone)]
pub struct AppendClient {
    queue: mpsc::Sender<Queued>,
    origin: String,
    producer: String,
    first: u64,
}

impl AppendOptions {
    /// Durable, any log, behind what it has, for a minute.
    pub const fn new(target: AppendTarget) -> Self {
        Self {
            target,
            level: Level::Durable,
            origin: None,
            first: None,
            patience: Duration::from_secs(60),
        }
    }
}

impl AppendClient {
    /// Connects. Fails at once where the log is not there or refuses.
    pub async fn connect(options: AppendOptions) -> Result<Self, AppendError> {
        let connected = Connection::open(&options, None).await;
        let connection = connected.map_err(|broken| match broken {
            Broken::For(error) => error,
            Broken::Again(message) => AppendError::Unreachable {
                log: options.target.to_string(),
                patience: Duration::ZERO,
                message,
            },
        })?;
        let next = connection.next;
        let first = options.first.unwrap_or(next);
        if first > next {
            return Err(AppendError::Gap { first, next });
        }
        let (queue, queued) = mpsc::channel(QUEUE);
        let client = Self {
            queue,
            origin: connection.origin.clone(),
            producer: connection.producer.clone(),
            first,
        };
        tokio::spawn(Driver::new(options, queued, first).run(connection));
        Ok(client)
    }

    /// The log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Who appends, as the entries name it.
    pub fn producer(&self) -> &str {
        &self.producer
    }

    /// The sequence of the first entry.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Appends an entry of 1 to 32,768 bytes, and returns once it is acknowledged at the level that was
    /// asked for.
    pub async fn append(&self, content: impl Into<Bytes>) -> Result<Appended, AppendError> {
        self.submit(content).await?.acknowledged().await
    }

    /// Gives an entry its place behind those before it, and returns at once, or as soon as there is room.
    pub async fn submit(&self, content: impl Into<Bytes>) -> Result<SubmittedEntry, AppendError> {
        let content = content.into();
        if !Content::is_size(content.len()) {
            return Err(AppendError::Size);
        }
        let (reply, answer) = oneshot::channel();
        let queued = self.queue.send(Queued { content, reply }).await;
        queued.map_err(|_| AppendError::Closed)?;
        Ok(SubmittedEntry(answer))
    }
}

/// An entry on its way.
#[derive(Debug)]
#[must_use = "an entry counts once it is acknowledged"]
pub struct SubmittedEntry(oneshot::Receiver<Result<Appended, AppendError>>);

impl SubmittedEntry {
    /// Where it is, once it is acknowledged.
    pub async fn acknowledged(self) -> Result<Appended, AppendError> {
        self.0.await.map_err(|_| AppendError::Closed)?
    }
}
