use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::ending::Ending;
use super::pending::Ended;
use crate::wal::WalFiles;

/// Has spare segments of the write-ahead log ready before they are needed, so that whoever fills
/// them waits for nothing but their syncs.
#[derive(Debug)]
pub(super) struct Preparer {
    pub(super) wal: Arc<WalFiles>,
    pub(super) ending: Ending,
}

impl Preparer {
    /// Has as many spare segments ready as it is told, until nobody tells it any more or the
    /// writer ends.
    pub(super) fn run(self, counts: Receiver<usize>) {
        while let Ok(count) = counts.recv() {
            if let Err(error) = self.wal.prepare(count) {
                let what = "the write-ahead log cannot be extended";
                let Ended = self.ending.end(what, &error);
                return;
            }
        }
    }
}
