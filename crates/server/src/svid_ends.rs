//! When the last X.509-SVID of each instance expires, as the roster shows it.
//!
//! Nobody is issued anything by it, so that nobody waits for the tables to have it: it is told at once, written within a
//! second by one task, and what a crash left unwritten is read from the log again, where it was enrolled before it
//! was signed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chancery_api::Problem;
use chancery_audit::{CredentialForm, Entry, Event};
use chancery_identity::InstanceSpiffeId;
use chancery_journal::Journal;
use chancery_store::Store;
use chancery_types::Timestamp;
use chancery_types::id::InstanceId;

use crate::endpoints::stored;
use crate::{Server, ServerError};

/// The setting that says from which entry of the log on the tables may lack what was issued.
const META: &str = "svid_ends";

/// How often what was noted is written.
const WRITE: Duration = Duration::from_secs(1);

/// After how many entries the setting follows the log also where nothing was issued, so that a start reads no more.
const FOLLOW: u64 = 10_000;

/// What was issued and is not in the tables yet.
#[derive(Debug, Default)]
pub(crate) struct SvidEnds(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Kept until they are written, so that whoever looks here first and at the tables second misses none.
    noted: BTreeMap<InstanceId, Timestamp>,
    /// How many issue whose entries begin at that index or later, and may have noted nothing yet.
    issuing: BTreeMap<u64, usize>,
    /// What the setting says.
    written: u64,
}

/// Whoever issues: what is enrolled from then on and not noted is read again after a crash.
#[derive(Debug)]
pub(crate) struct Issuing<'s> {
    ends: &'s SvidEnds,
    from: u64,
}

impl Issuing<'_> {
    /// An SVID of that instance was signed that expires then.
    pub(crate) fn note(&self, instance: InstanceId, expires: Timestamp) {
        self.ends.state().note(instance, expires);
    }
}

impl Drop for Issuing<'_> {
    fn drop(&mut self) {
        let mut state = self.ends.state();
        if let Place::Occupied(mut count) = state.issuing.entry(self.from) {
            match *count.get() {
                0 | 1 => {
                    count.remove();
                }
                more => *count.get_mut() = more - 1,
            }
        }
    }
}

impl State {
    fn note(&mut self, instance: InstanceId, expires: Timestamp) {
        let known = self.noted.entry(instance).or_insert(expires);
        *known = (*known).max(expires);
    }

    /// From which entry on the tables lack something once all that is noted is written.
    fn complete_to(&self, log_size: u64) -> u64 {
        let issuing = self.issuing.keys().next();
        issuing.map_or(log_size, |from| log_size.min(*from))
    }
}

impl SvidEnds {
    /// Reads what the tables lack from the log.
    pub(crate) async fn load(store: &Store, journal: &Journal) -> Result<Self, ServerError> {
        let mut state = State::default();
        let size = journal.size();
        state.written = match store.meta(META).await?.map(|from| from.parse::<u64>()) {
            Some(Ok(from)) if from <= size => from,
            // Tables of before were written by whoever issued; of a log that is shorter they say nothing.
            _ => {
                store.set_meta(META, &size.to_string()).await?;
                size
            }
        };
        for read in journal.entries(state.written..size) {
            let (_, bytes) = read?;
            // What cannot be read here is refused where something depends on it.
            let Ok(entry) = Entry::parse(&bytes) else {
                continue;
            };
            if let Some((instance, expires)) = issued(&entry.event) {
                state.note(instance, expires);
            }
        }
        let ends = Self(Mutex::new(state));
        ends.write(store, size).await?;
        Ok(ends)
    }

    /// Begins to issue what is enrolled at that index or later.
    pub(crate) fn begin(&self, from: u64) -> Issuing<'_> {
        *self.state().issuing.entry(from).or_default() += 1;
        Issuing { ends: self, from }
    }

    /// What the tables may lack, for whoever asks them afterwards.
    pub(crate) fn unwritten(&self) -> BTreeMap<InstanceId, Timestamp> {
        self.state().noted.clone()
    }

    /// Writes what was noted, and then to which entry that is complete.
    async fn write(&self, store: &Store, log_size: u64) -> Result<(), chancery_store::StoreError> {
        let (noted, complete, written) = {
            let state = self.state();
            let noted: Vec<_> = state.noted.iter().map(|(id, at)| (*id, *at)).collect();
            (noted, state.complete_to(log_size), state.written)
        };
        store.note_svids(&noted).await?;
        {
            let mut state = self.state();
            for (instance, expires) in &noted {
                if state.noted.get(instance) == Some(expires) {
                    state.noted.remove(instance);
                }
            }
        }
        let far = complete.saturating_sub(written) >= FOLLOW;
        if complete != written && (far || !noted.is_empty()) {
            store.set_meta(META, &complete.to_string()).await?;
            self.state().written = complete;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of which instance an entry says that an X.509-SVID was issued, and until when.
fn issued(event: &Event) -> Option<(InstanceId, Timestamp)> {
    let Event::IdentityIssue(issue) = event else {
        return None;
    };
    let x509 = issue.credentials.iter();
    let x509 = x509.filter(|one| one.form == CredentialForm::X509Svid);
    let expires = x509.map(|one| one.expires).max()?;
    // Services and nodes are in no roster.
    let instance: InstanceSpiffeId = issue.instance.as_str().parse().ok()?;
    Some((instance.instance(), expires))
}

impl Server {
    /// Writes what was issued to the tables.
    pub(crate) async fn write_svid_ends(&self) -> Result<(), Problem> {
        let written = self.svid_ends.write(&self.store, self.log_size()).await;
        written.map_err(stored)
    }

    /// The same again and again, until the future is dropped.
    pub(crate) async fn follow_svid_ends(self: Arc<Self>) {
        loop {
            tokio::time::sleep(WRITE).await;
            if let Err(error) = self.write_svid_ends().await {
                tracing::warn!(%error, "when SVIDs expire is not written yet");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> InstanceId {
        InstanceId::from_random([number; 16])
    }

    #[test]
    fn what_is_being_issued_is_read_again_until_it_is_noted() {
        let ends = SvidEnds::default();
        let complete_to = |size| ends.state().complete_to(size);
        assert_eq!(complete_to(9), 9);
        let (first, second, third) = (ends.begin(5), ends.begin(5), ends.begin(7));
        assert_eq!(complete_to(9), 5);
        assert_eq!(complete_to(3), 3);
        drop(first);
        assert_eq!(complete_to(9), 5);
        drop(second);
        assert_eq!(complete_to(9), 7);
        third.note(id(1), Timestamp::from_seconds(10));
        drop(third);
        assert_eq!(complete_to(9), 9);
        assert!(ends.state().issuing.is_empty());
    }

    #[test]
    fn the_latest_end_of_each_stays_whatever_comes_first() {
        let ends = SvidEnds::default();
        let issuing = ends.begin(0);
        for (instance, seconds) in [(1, 20), (1, 10), (2, 10), (2, 30)] {
            issuing.note(id(instance), Timestamp::from_seconds(seconds));
        }
        let unwritten = ends.unwritten().into_iter();
        let unwritten: Vec<_> = unwritten.map(|(id, at)| (id, at.as_seconds())).collect();
        assert_eq!(unwritten, [(id(1), 20), (id(2), 30)]);
    }
}
