use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Instant;

use chancery_tlog::EntryTooLarge;
use tokio::sync::{mpsc, oneshot};

use super::ending::Ending;
use super::pending::{Ended, Pending};
use super::publisher::Command;
use crate::JournalError;
use crate::wal::{Segment, WalFiles, encode_frame};

/// Most entries of one group.
const MAX_GROUP: usize = 16_384;

/// So many bytes are worth carrying into tiles before the next checkpoint is due, so that there
/// is less to do then.
const STAGE_BYTES: usize = 1 << 20;

/// So many spare segments are kept ready by a log that has filled one.
const SPARES: usize = 2;

/// Why an entry is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The entry is larger than an entry can be. It got no index.
    #[error(transparent)]
    TooLarge(#[from] EntryTooLarge),
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

/// An entry on its way, and who waits for its index.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) entry: Arc<[u8]>,
    pub(super) index: oneshot::Sender<u64>,
}

/// Makes entries durable, in the order in which they come, in groups: what has come while one
/// group was being synced is the next one.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) segment: Segment,
    pub(super) frame: Vec<u8>,
    pub(super) frame_payload: usize,
    pub(super) next: u64,
    /// Bytes that the publisher was not told of.
    pub(super) untold: usize,
    pub(super) wal: Arc<WalFiles>,
    pub(super) pending: Arc<Pending>,
    pub(super) publisher: std_mpsc::Sender<Command>,
    pub(super) preparer: std_mpsc::Sender<usize>,
    pub(super) ending: Ending,
}

impl Committer {
    /// Runs until every sender is gone and everything that was sent is durable, or the writer
    /// ends.
    pub(super) fn run(mut self, mut appends: mpsc::Receiver<Append>) {
        let mut held = None;
        while let Some(first) = held.take().or_else(|| appends.blocking_recv()) {
            let mut bytes = first.entry.len() + 2;
            let mut group = vec![first];
            while group.len() < MAX_GROUP
                && let Ok(append) = appends.try_recv()
            {
                bytes += append.entry.len() + 2;
                if bytes > self.frame_payload {
                    held = Some(append);
                    break;
                }
                group.push(append);
            }
            if self.pending.is_full() {
                // The publisher lives as long as this thread.
                let _ = self.publisher.send(Command::Integrate);
                self.pending.wait_for_room();
            }
            let begun = Instant::now();
            match self.commit(&group) {
                Ok(Ok(first)) => {
                    metrics::histogram!("chancery_log_commit_seconds").record(begun.elapsed());
                    metrics::counter!("chancery_log_entries_total").increment(group.len() as u64);
                    for (index, append) in (first..).zip(group) {
                        // Whoever does not wait any more has a durable entry all the same.
                        let _ = append.index.send(index);
                    }
                    self.tell(bytes);
                }
                Ok(Err(Ended)) => return,
                Err(error) => {
                    // Nobody hears of it before the process has ended.
                    let Ended = self
                        .ending
                        .end("the write-ahead log cannot be written", &error);
                    return;
                }
            }
        }
    }

    /// Makes a group durable; the index of its first entry.
    fn commit(&mut self, group: &[Append]) -> Result<Result<u64, Ended>, JournalError> {
        self.encode(group)?;
        if self.segment.has_room(self.frame.len()) {
            self.segment.write(&self.frame)?;
        } else {
            self.segment = self.wal.go_on(self.next)?;
            // Another segment has another salt.
            self.encode(group)?;
            self.segment.write(&self.frame)?;
            self.wal.has_begun(self.segment.file(self.next));
            let _ = self.preparer.send(SPARES);
        }
        let entries = group.iter().map(|append| Arc::clone(&append.entry));
        if self.pending.extend(entries).is_err() {
            return Ok(Err(Ended));
        }
        let first = self.next;
        self.next += group.len() as u64;
        Ok(Ok(first))
    }

    fn encode(&mut self, group: &[Append]) -> Result<(), JournalError> {
        let entries = group.iter().map(|append| &*append.entry);
        // Lengths are checked before an entry is sent here.
        encode_frame(&mut self.frame, self.segment.salt(), self.next, entries)
            .map_err(|_| JournalError::Config("an entry that was not checked"))
    }

    fn tell(&mut self, bytes: usize) {
        self.untold += bytes;
        if self.untold >= STAGE_BYTES {
            self.untold = 0;
            let _ = self.publisher.send(Command::Stage);
        }
    }
}
