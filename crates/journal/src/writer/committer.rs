use std::path::PathBuf;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_tlog::EntryTooLarge;
use tokio::sync::{mpsc, oneshot};

use super::abort;
use super::pending::Pending;
use super::publisher::Command;
use crate::JournalError;
use crate::wal::{Segment, encode_frame};

/// Most entries of one group.
const MAX_GROUP: usize = 16_384;

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
    pub(super) dir: PathBuf,
    pub(super) segment: Segment,
    pub(super) segment_bytes: u64,
    pub(super) frame_payload: usize,
    pub(super) next: u64,
    pub(super) segments: Arc<Mutex<Vec<u64>>>,
    pub(super) spare: Arc<Mutex<()>>,
    pub(super) pending: Arc<Pending>,
    pub(super) publisher: std_mpsc::Sender<Command>,
}

impl Committer {
    /// Runs until every sender is gone and everything that was sent is durable.
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
            if let Err(error) = self.commit(group) {
                abort("the write-ahead log cannot be written", &error);
            }
        }
    }

    fn commit(&mut self, group: Vec<Append>) -> Result<(), JournalError> {
        let mut frame = self.encode(&group)?;
        if !self.segment.has_room(frame.len()) {
            self.rotate()?;
            // Another segment has another salt.
            frame = self.encode(&group)?;
        }
        self.segment.write(frame)?;
        let first = self.next;
        self.next += group.len() as u64;
        self.pending
            .extend(group.iter().map(|append| Arc::clone(&append.entry)));
        for (index, append) in (first..).zip(group) {
            // Whoever does not wait any more has a durable entry all the same.
            let _ = append.index.send(index);
        }
        Ok(())
    }

    fn encode(&self, group: &[Append]) -> Result<Vec<u8>, JournalError> {
        let entries = group.iter().map(|append| &*append.entry);
        // Lengths are checked before an entry is sent here.
        encode_frame(self.segment.salt(), self.next, entries)
            .map_err(|_| JournalError::Config("an entry that was not checked"))
    }

    fn rotate(&mut self) -> Result<(), JournalError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        self.segment = Segment::create(&self.dir, self.next, self.segment_bytes)?;
        drop(spare);
        self.segments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.next);
        let _ = self.publisher.send(Command::PrepareSpare);
        Ok(())
    }
}
