//! From a log back to the state.

use chancery_audit::{Entry, Event, LeafRef};
use chancery_types::id::SessionId;

use crate::state::{Ended, Open};
use crate::{Fault, Session};

/// The entry that does not follow from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: {fault}")]
pub struct ReplayError {
    /// Its index in the log.
    pub index: u64,
    /// Why.
    #[source]
    pub fault: Fault,
}

impl Session {
    /// Folds the entries of a gateway's log, in the order of the log, to the state that live
    /// stepping had. Entries of other sessions are passed over.
    pub fn replay<'a>(
        session: SessionId,
        entries: impl IntoIterator<Item = (&'a LeafRef, &'a Entry)>,
    ) -> Result<Self, ReplayError> {
        let mut state = Self::new(session);
        for (leaf, entry) in entries {
            state = state.fold(leaf, entry)?;
        }
        Ok(state)
    }

    /// Folds one entry: for a verifier that judges each decision in the state before it.
    pub fn fold(self, leaf: &LeafRef, entry: &Entry) -> Result<Self, ReplayError> {
        // Who was refused was never in the session: refusals leave no trace in its state.
        let refused = matches!(entry.event, Event::SessionRefuse(_));
        if refused || entry.event.session() != Some(self.id()) {
            return Ok(self);
        }
        let fail = |fault| ReplayError {
            index: leaf.index,
            fault,
        };
        match (self, &entry.event) {
            (Self::Opening(_), Event::SessionOpen(opened)) => {
                let open = Open::new(entry.at, opened.clone()).map_err(fail)?;
                Ok(Self::Open(Box::new(open)))
            }
            (Self::Opening(_), _) => Err(fail(Fault::NotOpen)),
            (Self::Open(open), Event::SessionEnd(end)) => {
                open.check_end(entry.at, end).map_err(fail)?;
                Ok(Self::Ended(Box::new(Ended {
                    opened: open.opened,
                    entry: end.clone(),
                    at: entry.at,
                })))
            }
            (Self::Open(mut open), event) => {
                open.apply(entry.at, event).map_err(fail)?;
                if let Some((_, instance, _)) = event.instance_link() {
                    open.durable(instance, leaf.clone()).map_err(fail)?;
                }
                Ok(Self::Open(open))
            }
            (Self::Ended(_), _) => Err(fail(Fault::Ended)),
        }
    }
}
