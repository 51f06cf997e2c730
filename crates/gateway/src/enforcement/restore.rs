use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{Entry, EntryError, Event, LeafRef, leaf_hash};
use chancery_evidence::ObjectKind;
use chancery_journal::{ContentError, Journal, JournalError};
use chancery_session::{Commons, Fault, Session};
use chancery_types::id::SessionId;
use chancery_types::{Digest, Timestamp};

use super::dossier::{Dossier, Dossiers};
use super::enrolment::Records;
use super::erasing::Asked;
use super::evidence_index::evidence_index;
use super::indexing::Indexed;
use super::live::Live;
use super::objects::Objects;

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
    /// What a former version kept in clear cannot be sealed.
    #[error("what stands in clear of a session cannot be sealed")]
    Seal(#[source] std::io::Error),
    /// An object of a session cannot be read or sealed.
    #[error("an object that stands in clear cannot be sealed")]
    Object(#[from] ContentError),
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
    /// Where and when each erasure was enrolled, by the server's entry.
    pub(crate) erased: BTreeMap<Asked, (u64, Timestamp)>,
    /// Sessions whose person and objects stand in clear.
    pub(crate) legacy: Vec<Legacy>,
    /// The completeness index over the log.
    pub(crate) indexed: Indexed,
    /// What the sessions share.
    pub(crate) commons: Commons,
}

/// What a gateway that sealed nothing kept of a session.
#[derive(Debug)]
pub(crate) struct Legacy {
    session: SessionId,
    dossier: Dossier,
    /// The objects that are about people.
    objects: Vec<Digest>,
}

impl Legacy {
    fn of(live: &Live, objects: &Objects) -> Self {
        let index = evidence_index(live, objects);
        let personal = index.objects.iter().filter(|object| match object.kind {
            ObjectKind::Manifest | ObjectKind::Wit | ObjectKind::Policy | ObjectKind::Catalog => {
                false
            }
            ObjectKind::Link
            | ObjectKind::Chain
            | ObjectKind::Consent
            | ObjectKind::Mission
            | ObjectKind::Opinion
            | ObjectKind::Proof
            | ObjectKind::SessionProof
            | ObjectKind::Arguments
            | ObjectKind::Display
            | ObjectKind::Approval
            | ObjectKind::Disclosure => true,
        });
        Self {
            session: live.session().id(),
            dossier: live.dossier.clone(),
            objects: personal.map(|object| object.digest).collect(),
        }
    }

    /// Seals what stands in clear of all these sessions, each for its person, and then takes away
    /// what stood in clear. A crash in between leaves something that is sealed the next time.
    pub(crate) fn seal(
        all: &[Self],
        objects: &Objects,
        dossiers: &Dossiers,
    ) -> Result<(), RestoreError> {
        for legacy in all {
            let Some(whose) = legacy.dossier.whose() else {
                continue;
            };
            for digest in &legacy.objects {
                objects.store().seal_clear(&whose, *digest)?;
            }
        }
        let clear = all.iter().flat_map(|legacy| &legacy.objects);
        objects.store().remove_clear(clear.copied())?;
        for legacy in all {
            let kept = dossiers.keep_now(legacy.session, &legacy.dossier);
            kept.map_err(RestoreError::Seal)?;
        }
        Ok(())
    }
}

/// Folds the whole log to the sessions as they were after the last durable entry.
pub(crate) fn restore(
    journal: &Journal,
    dossiers: &Dossiers,
    records: &Records,
    objects: &Objects,
) -> Result<Restored, RestoreError> {
    let (mut clear, mut legacy) = (BTreeSet::new(), Vec::new());
    let mut erased = BTreeMap::new();
    let mut sessions: BTreeMap<SessionId, Live> = BTreeMap::new();
    let mut over = BTreeSet::new();
    let mut latest = Timestamp::from_micros(0);
    let mut adopted = 0;
    let mut indexed = Indexed::default();
    let mut commons = Commons::default();
    for read in journal.entries(0..journal.size()) {
        let (index, bytes) = read?;
        let entry = Entry::parse(&bytes).map_err(|source| RestoreError::Entry { index, source })?;
        latest = latest.max(entry.at);
        let leaf = LeafRef {
            index,
            hash: leaf_hash(&bytes),
        };
        indexed.take(&leaf, &entry.event);
        commons.take(&entry.event);
        if let Event::SnapshotAdopt(adopt) = &entry.event {
            adopted = adopt.sequence;
        }
        if let Event::ErasureDone(done) = &entry.event {
            erased.insert((done.log.clone(), done.erasure), (index, entry.at));
        }
        if matches!(entry.event, Event::LogSucceed(_)) {
            sessions.values_mut().for_each(Live::interrupt);
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
                let (dossier, is_clear) = dossiers
                    .read(session)
                    .ok_or(RestoreError::Dossier { session })?;
                if is_clear {
                    clear.insert(session);
                }
                new.insert(Live::new(session, dossier))
            }
        };
        live.fold(&leaf, &entry)
            .map_err(|fault| RestoreError::Fold { index, fault })?;
        if matches!(live.session(), Session::Ended(_)) && records.knows(session) {
            let ended = sessions.remove(&session);
            legacy.extend(
                ended
                    .filter(|_| clear.remove(&session))
                    .map(|live| Legacy::of(&live, objects)),
            );
            over.insert(session);
        }
    }
    let open = sessions.iter().filter(|(id, _)| clear.contains(*id));
    legacy.extend(open.map(|(_, live)| Legacy::of(live, objects)));
    Ok(Restored {
        erased,
        legacy,
        sessions: sessions.into_values().collect(),
        latest,
        adopted,
        indexed,
        commons,
    })
}
