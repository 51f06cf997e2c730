use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{Entry, EntryError, Event, LeafRef, leaf_hash};
use chancery_journal::{Journal, JournalError};
use chancery_session::{Fault, Session};
use chancery_types::Timestamp;
use chancery_types::id::SessionId;

use super::dossier::Dossiers;
use super::enrolment::Records;
use super::live::Live;

/// Why the log does not give the sessions back. The gateway does not start then: nothing is
/// repaired silently.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The log cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An entry is not one of ours.
    #[error("entry {index} of the log cannot be read")]
    Entry {
        /// Its index.
        index: u64,
        /// Why.
        #[source]
        source: EntryError,
    },
    /// An entry does not follow from those before it.
    #[error("entry {index} of the log does not follow from those before it: {fault}")]
    Fold {
        /// Its index.
        index: u64,
        /// Why.
        fault: Fault,
    },
    /// What belongs to a session and stands beside the log is gone.
    #[error(
        "the dossier of session {session} is missing or unreadable; restore the gateway's folder"
    )]
    Dossier {
        /// The session.
        session: SessionId,
    },
}

/// What a log gave back.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Sessions that are open, or ended without a Trust Record.
    pub(crate) sessions: Vec<Live>,
    /// The time of the last entry.
    pub(crate) latest: Timestamp,
    /// The sequence of the last snapshot that was adopted; an older one is not taken any more.
    pub(crate) adopted: u64,
}

/// Folds the whole log to the sessions as they were after the last durable entry.
pub(crate) fn restore(
    journal: &Journal,
    dossiers: &Dossiers,
    records: &Records,
) -> Result<Restored, RestoreError> {
    let mut sessions: BTreeMap<SessionId, Live> = BTreeMap::new();
    let mut over = BTreeSet::new();
    let mut latest = Timestamp::from_micros(0);
    let mut adopted = 0;
    for read in journal.entries(0..journal.size()) {
        let (index, bytes) = read?;
        let entry = Entry::parse(&bytes).map_err(|source| RestoreError::Entry { index, source })?;
        latest = latest.max(entry.at);
        if let Event::SnapshotAdopt(adopt) = &entry.event {
            adopted = adopt.sequence;
        }
        let refused = matches!(entry.event, Event::SessionRefuse(_));
        let Some(session) = entry.event.session().filter(|_| !refused) else {
            continue;
        };
        if over.contains(&session) {
            return Err(RestoreError::Fold {
                index,
                fault: Fault::Ended,
            });
        }
        let live = match sessions.entry(session) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let dossier = dossiers
                    .read(session)
                    .ok_or(RestoreError::Dossier { session })?;
                new.insert(Live::new(session, dossier))
            }
        };
        let leaf = LeafRef {
            index,
            hash: leaf_hash(&bytes),
        };
        live.fold(&leaf, &entry)
            .map_err(|fault| RestoreError::Fold { index, fault })?;
        if matches!(live.session(), Session::Ended(_)) && records.knows(session) {
            sessions.remove(&session);
            over.insert(session);
        }
    }
    Ok(Restored {
        sessions: sessions.into_values().collect(),
        latest,
        adopted,
    })
}
