use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chancery_audit::Label;
use chancery_journal::{Acknowledgement, AppendError, Journal, PublishError, Submitted};
use chancery_types::{Digest, Timestamp};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

use crate::Refusal;
use crate::envelope::Envelope;
use crate::memory::{MemoryError, Snapshot, recall};
use crate::producers::{Producer, Producers, Turn};

/// Most entries of a batch.
pub(crate) const MOST_ENTRIES: usize = 1_024;

/// Most bytes of the contents of a batch.
pub(crate) const MOST_BATCH_BYTES: usize = 1 << 20;

/// So many bytes of all producers are on their way to the disk at most; who comes then waits.
const MOST_ON_THE_WAY: usize = 32 << 20;

/// After so many entries what is known of the producers is written down.
const REMEMBERED_EVERY: u64 = 65_536;

/// How long a batch waits for a checkpoint that covers it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The file that remembers the producers, beside the log's folder.
const MEMORY_FILE: &str = "producers";

/// The one appender of a log that holds what other programs send.
#[derive(Debug)]
pub struct Recorder {
    journal: Arc<Journal>,
    origin: Label,
    is_witnessed: bool,
    memory: PathBuf,
    clock: fn() -> Timestamp,
    /// INVARIANT: entries are submitted to the journal under this lock alone, so that the index that an
    /// entry gets is known when it is submitted.
    producers: Mutex<Producers>,
    room: Arc<Semaphore>,
    placed: mpsc::UnboundedSender<Placed>,
    durable: watch::Receiver<u64>,
    remembering: mpsc::Sender<Snapshot>,
    closing: watch::Sender<bool>,
}

/// Why a log cannot be taken up, or closed, for other programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// It is not known what the log holds of its producers.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The last checkpoint was not published. The entries are durable.
    #[error("the last entries are under no checkpoint yet; they will be after the next start")]
    Publish(#[source] PublishError),
    /// The task that was to write ended.
    #[error("what is known of the producers was not written down")]
    Unwritten,
}

/// The last entry of a batch, with its place and what the batch takes up.
#[derive(Debug)]
struct Placed {
    submitted: Submitted,
    index: u64,
    _room: OwnedSemaphorePermit,
}

/// A producer with the right to append.
#[derive(Debug)]
pub(crate) struct Appending {
    pub(crate) name: Label,
    pub(crate) next: u64,
    pub(crate) turn: Turn,
    envelope: Envelope,
}

/// A batch that is in the log or on its way to the disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) first: u64,
    pub(crate) indices: Vec<u64>,
}

impl Recorder {
    /// Takes up the journal's log for other programs; `folder` keeps what is known of them. Refuses a
    /// log that another kind of program wrote. Reads what was appended since that was written down.
    pub fn open(
        journal: Journal,
        folder: &std::path::Path,
        is_witnessed: bool,
        clock: fn() -> Timestamp,
    ) -> Result<Arc<Self>, RecorderError> {
        let memory = folder.join(MEMORY_FILE);
        let producers = recall(&memory, &journal)?;
        let journal = Arc::new(journal);
        let (placed, places) = mpsc::unbounded_channel();
        let (told, durable) = watch::channel(producers.size);
        let (remembering, snapshots) = mpsc::channel(1);
        tokio::spawn(settle(places, told));
        let remember = remember(
            snapshots,
            durable.clone(),
            Arc::clone(&journal),
            memory.clone(),
        );
        tokio::spawn(remember);
        Ok(Arc::new(Self {
            origin: Label::or_digest(journal.origin().as_str()),
            journal,
            is_witnessed,
            memory,
            clock,
            producers: Mutex::new(producers),
            room: Arc::new(Semaphore::new(MOST_ON_THE_WAY)),
            placed,
            durable,
            remembering,
            closing: watch::Sender::new(false),
        }))
    }

    /// The log.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The time of now.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Whether anybody cosigns the log.
    pub(crate) const fn is_witnessed(&self) -> bool {
        self.is_witnessed
    }

    /// Waits until the log is being closed.
    pub(crate) async fn is_closing(&self) {
        // The sender is this recorder's own.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Takes no more entries, ends the streams, and returns once what came is under a checkpoint.
    pub async fn close(&self) -> Result<(), RecorderError> {
        self.closing.send_replace(true);
        self.room.close();
        let snapshot = Snapshot::of(&*self.producers.lock().await);
        let size = snapshot.size;
        let mut durable = self.durable.clone();
        if durable.wait_for(|durable| *durable >= size).await.is_err() {
            return Err(RecorderError::Unwritten);
        }
        let (journal, path) = (Arc::clone(&self.journal), self.memory.clone());
        let written = tokio::task::spawn_blocking(move || snapshot.write(&path, &journal));
        written.await.map_err(|_| RecorderError::Unwritten)??;
        let published = self.journal.publish().await;
        published.map_err(RecorderError::Publish)?;
        Ok(())
    }

    /// Gives a producer the right to append, and takes it from the stream that had it.
    pub(crate) async fn open_stream(&self, name: Label) -> Result<Appending, Refusal> {
        let (next, turn) = self.producers.lock().await.open(&name)?;
        let envelope = Envelope::new(&self.origin, &name);
        Ok(Appending {
            name,
            next,
            turn,
            envelope,
        })
    }

    /// Appends what the log does not have yet of a batch, in order. It is on its way to the disk when this
    /// returns: [`Recorder::acknowledged`] says when it is there.
    ///
    /// INVARIANT: once polled, the future is not dropped before it is ready. It would leave entries in the
    /// log that are not counted.
    pub(crate) async fn append(
        &self,
        appending: &Appending,
        first: u64,
        contents: &[Bytes],
    ) -> Result<Accepted, Refusal> {
        let bytes = Refusal::of_sizes(first, contents.iter().map(Bytes::len))?;
        let digests: Vec<_> = contents.iter().map(Digest::of).collect();
        let now = self.now();
        // A sequence that is beyond all numbers is refused below, as every one that leaves a gap.
        let encode = |(offset, content): (u64, &Bytes)| {
            let sequence = first.saturating_add(offset);
            appending.envelope.entry(now, sequence, content)
        };
        let entries: Vec<_> = (0..).zip(contents).map(encode).collect();
        let room = Arc::clone(&self.room).acquire_many_owned(bytes as u32);
        let room = room.await.map_err(|_| Refusal::Closed)?;

        let mut producers = self.producers.lock().await;
        let producer = producers.known.get(&appending.name);
        let producer = producer.filter(|producer| producer.is_turn(&appending.turn));
        let producer = producer.ok_or(Refusal::Superseded)?;
        let repeated = producer.judge(first, &digests)?;
        let mut last = None;
        for (entry, digest) in entries.into_iter().zip(&digests).skip(repeated) {
            let index = producers.size;
            let submitted = self.journal.submit(entry).await;
            // An entry is never too large: its content was measured.
            let submitted = submitted.map_err(|_: AppendError| Refusal::Closed)?;
            producers.push(&appending.name, *digest);
            last = Some((submitted, index));
        }
        if let Some((submitted, index)) = last {
            let placed = Placed {
                submitted,
                index,
                _room: room,
            };
            self.placed.send(placed).map_err(|_| Refusal::Closed)?;
            self.remember_from_time_to_time(&producers, index, contents.len());
        }
        let known = producers.known.get(&appending.name);
        let recent = known.and_then(|known: &Producer| known.recent_from(first));
        let recent = recent.ok_or(Refusal::Forgotten(first))?;
        let indices = recent.take(contents.len()).map(|one| one.index).collect();
        Ok(Accepted { first, indices })
    }

    /// Waits until a batch is written at that level; the size of the checkpoint that covers it, or 0 where
    /// it is only durable. Where it fails, the entries stay in the log at a lower level.
    pub(crate) async fn acknowledged(
        &self,
        accepted: &Accepted,
        level: Acknowledgement,
    ) -> Result<u64, Refusal> {
        let Some(&last) = accepted.indices.last() else {
            return Ok(0);
        };
        let mut durable = self.durable.clone();
        let is_durable = durable.wait_for(|durable| *durable > last).await;
        drop(is_durable.map_err(|_| Refusal::Closed)?);
        let (witnessed, late) = match level {
            Acknowledgement::Durable => return Ok(0),
            Acknowledgement::Published => (false, Refusal::Unpublished),
            Acknowledgement::Witnessed => (true, Refusal::Unwitnessed),
        };
        let covered = timeout(PATIENCE, self.journal.covered(last, witnessed)).await;
        covered.map_err(|_| late)?.map_err(|_| Refusal::Closed)
    }

    /// Has it written down what is known of the producers, where enough has come since.
    fn remember_from_time_to_time(&self, producers: &Producers, last: u64, count: usize) {
        let before = last.saturating_sub(count as u64);
        if before / REMEMBERED_EVERY == last / REMEMBERED_EVERY {
            return;
        }
        // The next time is as good where the last one is not written yet.
        if let Ok(place) = self.remembering.try_reserve() {
            place.send(Snapshot::of(producers));
        }
    }
}

/// Tells how much is durable. Ends, and with it every wait, where the journal does.
async fn settle(mut places: mpsc::UnboundedReceiver<Placed>, durable: watch::Sender<u64>) {
    while let Some(placed) = places.recv().await {
        match placed.submitted.durable().await {
            Ok(index) if index == placed.index => {
                durable.send_replace(index + 1);
            }
            Ok(index) => {
                let expected = placed.index;
                tracing::error!(index, expected, "somebody else appends to this log");
                return;
            }
            Err(_) => return,
        }
    }
}

/// Writes snapshots down, each once all that it names is durable.
async fn remember(
    mut snapshots: mpsc::Receiver<Snapshot>,
    mut durable: watch::Receiver<u64>,
    journal: Arc<Journal>,
    path: PathBuf,
) {
    while let Some(snapshot) = snapshots.recv().await {
        let size = snapshot.size;
        if durable.wait_for(|durable| *durable >= size).await.is_err() {
            return;
        }
        let (journal, path) = (Arc::clone(&journal), path.clone());
        let written = tokio::task::spawn_blocking(move || snapshot.write(&path, &journal));
        if let Ok(Err(error)) = written.await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "what is known of the producers is not written down");
        }
    }
}
