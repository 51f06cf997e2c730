use std::error::Error;
use std::sync::Arc;

use chancery_types::causes;

use super::pending::{Ended, Pending};
use crate::Storage;

/// How a writer ends after a failed write or sync: nothing that follows could be relied on. The
/// next start recovers from what the disk holds.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) pending: Arc<Pending>,
}

impl Ending {
    /// Says why, and ends the process where the storage is a disk.
    pub(super) fn end(&self, what: &str, error: &dyn Error) -> Ended {
        let reasons = causes(error);
        tracing::error!(reasons, "{what}; ending the process, restart it to recover");
        self.pending.end();
        self.storage.end_process();
        Ended
    }
}
