use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;

use chancery_tlog::{Origin, TlogProof, check_entry};
use tokio::sync::{mpsc, oneshot, watch};

use super::committer::Append;
use super::pending::Pending;
use super::publisher::Command;
use super::{AppendError, PublishError, Published};
use crate::{Entries, JournalError, Reader, StorageLock};

/// The writer of one log. An index that it returned is never given to another entry, and the
/// entry is there after any crash. Dropping it waits until what was sent is durable; call
/// [`Journal::publish`] first where the last entries should be under a checkpoint.
#[derive(Debug)]
pub struct Journal {
    reader: Reader,
    pending: Arc<Pending>,
    published: watch::Receiver<Option<Published>>,
    appends: Option<mpsc::Sender<Append>>,
    commands: std_mpsc::Sender<Command>,
    threads: Option<Threads>,
    _lock: Box<dyn StorageLock>,
}

/// Why there is no receipt. The entry is durable all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The journal was closed before a checkpoint covered the entry.
    #[error("the journal is closed")]
    Closed,
    /// The tiles cannot be read.
    #[error("the proof cannot be made")]
    Proof(#[source] JournalError),
}

/// An entry that has its place and is on its way to the disk.
#[derive(Debug)]
#[must_use = "an entry counts once it is durable"]
pub struct Submitted(oneshot::Receiver<u64>);

#[derive(Debug)]
pub(super) struct Threads {
    pub(super) committer: JoinHandle<()>,
    pub(super) publisher: JoinHandle<()>,
    pub(super) preparer: JoinHandle<()>,
}

impl Journal {
    /// Appends an entry and returns its index once it is durable. If the future is dropped before
    /// that, the entry may be appended or not.
    pub async fn append(&self, entry: Vec<u8>) -> Result<u64, AppendError> {
        self.submit(entry).await?.durable().await
    }

    /// Gives an entry its place: behind every one that was submitted before, and before every one that is
    /// submitted later. It is not durable before [`Submitted::durable`] says so.
    pub async fn submit(&self, entry: Vec<u8>) -> Result<Submitted, AppendError> {
        let (append, index) = prepare(entry)?;
        self.sender()?
            .send(append)
            .await
            .map_err(|_| AppendError::Closed)?;
        Ok(Submitted(index))
    }

    /// Gives several entries their places, in their order, and has them synced together as far as one sync takes
    /// them; of more than wait at a time others may stand between. None has a place where one of them is too large.
    pub async fn submit_all(&self, entries: Vec<Vec<u8>>) -> Result<Vec<Submitted>, AppendError> {
        let prepared: Result<Vec<_>, _> = entries.into_iter().map(prepare).collect();
        let mut prepared = prepared?;
        let sender = self.sender()?;
        let mut submitted = Vec::with_capacity(prepared.len());
        while !prepared.is_empty() {
            // The places are taken before the first is sent: what waits for a place one by one is written one
            // by one, each with a sync of its own.
            let some = prepared.len().min(sender.max_capacity());
            let places = sender.reserve_many(some).await;
            let places = places.map_err(|_| AppendError::Closed)?;
            for (place, (append, index)) in places.zip(prepared.drain(..some)) {
                place.send(append);
                submitted.push(Submitted(index));
            }
        }
        Ok(submitted)
    }

    /// Appends several entries, all or none of which are too large. They are durable when their
    /// indices are returned; other entries may stand between them.
    pub async fn append_all(&self, entries: Vec<Vec<u8>>) -> Result<Vec<u64>, AppendError> {
        let submitted = self.submit_all(entries).await?;
        let mut indices = Vec::with_capacity(submitted.len());
        for one in submitted {
            indices.push(one.durable().await?);
        }
        Ok(indices)
    }

    /// [`Journal::append`] for threads without an async runtime; panics inside of one.
    pub fn append_blocking(&self, entry: Vec<u8>) -> Result<u64, AppendError> {
        let (append, index) = prepare(entry)?;
        self.sender()?
            .blocking_send(append)
            .map_err(|_| AppendError::Closed)?;
        index.blocking_recv().map_err(|_| AppendError::Closed)
    }

    /// [`Journal::append_all`] for threads without an async runtime; panics inside of one.
    pub(crate) fn append_all_blocking(&self, entries: Vec<Vec<u8>>) -> Result<(), AppendError> {
        let prepared: Result<Vec<_>, _> = entries.into_iter().map(prepare).collect();
        let mut waiting = Vec::new();
        for (append, index) in prepared? {
            let sent = self.sender()?.blocking_send(append);
            sent.map_err(|_| AppendError::Closed)?;
            waiting.push(index);
        }
        for index in waiting {
            index.blocking_recv().map_err(|_| AppendError::Closed)?;
        }
        Ok(())
    }

    /// The proof of entry `index`, as soon as a checkpoint covers it: within the publish interval,
    /// or when the checkpoint signer is there again. Nobody publishes for its sake. For an index
    /// that nothing gets, it waits for ever.
    pub async fn receipt(&self, index: u64) -> Result<TlogProof, ReceiptError> {
        self.covered(index, false).await?;
        self.reader.proof_file(index).map_err(ReceiptError::Proof)
    }

    /// The size of a visible checkpoint that covers entry `index`, and that the witness quorum cosigned
    /// where that is asked, as soon as there is one. Nobody publishes for its sake, and it may wait for
    /// ever, as [`Journal::receipt`] does.
    pub async fn covered(&self, index: u64, witnessed: bool) -> Result<u64, ReceiptError> {
        let covers = |published: &Option<Published>| {
            published.as_ref().is_some_and(|published| {
                index < published.checkpoint.size && (published.is_witnessed || !witnessed)
            })
        };
        let mut published = self.published.clone();
        let covered = published.wait_for(covers).await;
        let covered = covered.map_err(|_| ReceiptError::Closed)?;
        let size = covered.as_ref().map(|published| published.checkpoint.size);
        size.ok_or(ReceiptError::Closed)
    }

    /// Publishes a checkpoint that covers everything durable now, and returns it.
    pub async fn publish(&self) -> Result<Published, PublishError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Publish(reply))?;
        answer.await.map_err(|_| PublishError::Closed)?
    }

    /// [`Journal::publish`] for threads without an async runtime; panics inside of one.
    pub fn publish_blocking(&self) -> Result<Published, PublishError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Publish(reply))?;
        answer.blocking_recv().map_err(|_| PublishError::Closed)?
    }

    /// The number of durable entries.
    pub fn size(&self) -> u64 {
        self.pending.size()
    }

    /// The checkpoint that was published last.
    pub fn published(&self) -> Option<Published> {
        self.published.borrow().clone()
    }

    /// The log.
    pub const fn origin(&self) -> &Origin {
        self.reader.origin()
    }

    /// The log as its directory holds it, for proofs, audits and exports up to the checkpoint.
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// One durable entry.
    pub fn read_entry(&self, index: u64) -> Result<Vec<u8>, JournalError> {
        let size = self.size();
        let next = index.saturating_add(1);
        match self.entries(index..next).next() {
            Some(entry) => entry.map(|(_, entry)| entry),
            None => Err(JournalError::OutOfRange { asked: index, size }),
        }
    }

    /// The durable entries of a range, those that are not in tiles yet included.
    pub fn entries(&self, range: Range<u64>) -> Entries {
        // What is in tiles stays there, whatever the publisher does after this moment.
        let now = self.pending.snapshot(range.start, range.end);
        Entries::with_pending(self.reader.clone(), range, now.base, now.start, now.entries)
    }

    pub(super) const fn assemble(
        reader: Reader,
        pending: Arc<Pending>,
        published: watch::Receiver<Option<Published>>,
        appends: mpsc::Sender<Append>,
        commands: std_mpsc::Sender<Command>,
        threads: Threads,
        lock: Box<dyn StorageLock>,
    ) -> Self {
        Self {
            reader,
            pending,
            published,
            appends: Some(appends),
            commands,
            threads: Some(threads),
            _lock: lock,
        }
    }

    fn sender(&self) -> Result<&mpsc::Sender<Append>, AppendError> {
        self.appends.as_ref().ok_or(AppendError::Closed)
    }

    fn command(&self, command: Command) -> Result<(), PublishError> {
        self.commands
            .send(command)
            .map_err(|_| PublishError::Closed)
    }
}

impl Submitted {
    /// The entry's index, once it is durable. Where the future is dropped before that, the entry may be in
    /// the log or not.
    pub async fn durable(self) -> Result<u64, AppendError> {
        self.0.await.map_err(|_| AppendError::Closed)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.appends = None;
        if let Some(threads) = self.threads.take() {
            // A thread that panicked has nothing left to say.
            let _ = threads.committer.join();
            let _ = threads.publisher.join();
            let _ = threads.preparer.join();
        }
    }
}

fn prepare(entry: Vec<u8>) -> Result<(Append, oneshot::Receiver<u64>), AppendError> {
    check_entry(&entry)?;
    let (index, receiver) = oneshot::channel();
    let entry = entry.into();
    Ok((Append { entry, index }, receiver))
}
