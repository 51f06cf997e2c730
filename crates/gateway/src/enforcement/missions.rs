use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_delegation::Mission;
use chancery_journal::Subject;
use chancery_types::Digest;

use super::objects::Objects;

/// Most missions that are remembered as read.
const MOST: usize = 1_024;

/// The missions of sessions, by digest. What is not remembered is read from the objects again, so
/// that a restart forgets nothing.
#[derive(Debug, Default)]
pub(crate) struct Missions(Mutex<HashMap<Digest, Arc<Mission>>>);

impl Missions {
    /// The mission of that digest. None where its bytes are gone: nothing is decided then.
    pub(crate) fn find(
        &self,
        digest: Digest,
        whose: &Subject,
        objects: &Objects,
    ) -> Option<Arc<Mission>> {
        if let Some(known) = self.lock().get(&digest) {
            return Some(Arc::clone(known));
        }
        let mission = Arc::new(Mission::parse(objects.get(Some(whose), digest)?).ok()?);
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(digest, Arc::clone(&mission));
        Some(mission)
    }

    /// Forgets all.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Mission>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
