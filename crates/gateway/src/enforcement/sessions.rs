use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use chancery_audit::Label;
use chancery_types::id::SessionId;
use tokio::sync::Mutex;

use super::live::Live;

/// One session. Whoever holds the lock is the only one who takes steps; what a step says is durable
/// before the lock is let go.
pub(crate) type Home = Arc<Mutex<Live>>;

/// All sessions of this gateway that have not ended for good, and who sits in which.
#[derive(Debug, Default)]
pub(crate) struct Sessions(RwLock<Seats>);

#[derive(Debug, Default)]
struct Seats {
    homes: BTreeMap<SessionId, Home>,
    by_instance: HashMap<Label, BTreeSet<SessionId>>,
}

impl Sessions {
    pub(crate) fn new(restored: Vec<Live>) -> Self {
        let sessions = Self::default();
        for live in restored {
            let id = live.session().id();
            let joined: Vec<_> = live.joined().cloned().collect();
            for instance in joined
                .into_iter()
                .filter(|name| live.seated(name.as_str()).is_some())
            {
                sessions.seat(instance, id);
            }
            sessions
                .write()
                .homes
                .insert(id, Arc::new(Mutex::new(live)));
        }
        sessions
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<Home> {
        self.read().homes.get(&session).cloned()
    }

    /// Adds a session. False where there is one of this id.
    pub(crate) fn add(&self, session: SessionId, home: Home) -> bool {
        let mut seats = self.write();
        if seats.homes.contains_key(&session) {
            return false;
        }
        seats.homes.insert(session, home);
        true
    }

    /// Takes a session out that was never opened.
    pub(crate) fn withdraw(&self, session: SessionId) {
        self.write().homes.remove(&session);
    }

    pub(crate) fn all(&self) -> Vec<(SessionId, Home)> {
        let seats = self.read();
        seats
            .homes
            .iter()
            .map(|(id, home)| (*id, Arc::clone(home)))
            .collect()
    }

    /// Notes that an instance is in a session.
    pub(crate) fn seat(&self, instance: Label, session: SessionId) {
        self.write()
            .by_instance
            .entry(instance)
            .or_default()
            .insert(session);
    }

    /// Notes that an instance is no longer in a session.
    pub(crate) fn unseat(&self, instance: &str, session: SessionId) {
        let mut seats = self.write();
        if let Some(sessions) = seats.by_instance.get_mut(instance) {
            sessions.remove(&session);
            if sessions.is_empty() {
                seats.by_instance.remove(instance);
            }
        }
    }

    /// Whether an instance is in a session.
    pub(crate) fn is_in(&self, instance: &str, session: SessionId) -> bool {
        let seats = self.read();
        seats
            .by_instance
            .get(instance)
            .is_some_and(|sessions| sessions.contains(&session))
    }

    /// The sessions that an instance is in.
    pub(crate) fn of(&self, instance: &str) -> Vec<SessionId> {
        let seats = self.read();
        seats
            .by_instance
            .get(instance)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Seats> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Seats> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
