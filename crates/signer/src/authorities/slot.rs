use std::path::Path;

use chancery_api::authority::{Authority, AuthorityKind, AuthorityState};
use chancery_crypto::{read_private_file, replace_private_file};
use chancery_types::{Digest, Jwk, Timestamp};
use serde::{Deserialize, Serialize};

use super::AuthoritiesError;

/// Most authorities that are kept at a time.
const MAX_SLOTS: usize = 64;

/// An authority, and the name of its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slot {
    pub(super) authority: Authority,
    pub(super) key: String,
}

/// All slots. The count of changes and the number of the newest authority never go back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slots {
    generation: u64,
    numbered: u64,
    slots: Vec<Slot>,
    /// Keys that are to be destroyed, until they are.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    destroying: Vec<String>,
}

/// An authority that signs nothing yet.
pub(super) fn prepared(
    kind: AuthorityKind,
    key: &Jwk,
    number: u64,
    now: Timestamp,
    ends: Timestamp,
) -> Authority {
    Authority {
        kind,
        id: key.thumbprint(),
        number,
        state: AuthorityState::Prepared,
        tainted: false,
        key: *key,
        chain: Vec::new(),
        root: None,
        prepared_at: now,
        active_since: None,
        old_since: None,
        ends,
    }
}

impl Slots {
    /// What the file holds; nothing where there is none. A file that contradicts itself is refused.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, AuthoritiesError> {
        if !path.exists() {
            return Ok(None);
        }
        let text = read_private_file(path).map_err(crate::KeysError::from)?;
        let slots: Self =
            serde_json::from_slice(text.expose()).map_err(|_| AuthoritiesError::Malformed)?;
        slots.check()?;
        Ok(Some(slots))
    }

    fn check(&self) -> Result<(), AuthoritiesError> {
        let of = |kind, state| {
            let all = self.slots.iter().map(|slot| &slot.authority);
            all.filter(|one| one.kind == kind && one.state == state)
                .count()
        };
        let single = AuthorityKind::ALL.iter().all(|kind| {
            of(*kind, AuthorityState::Active) <= 1 && of(*kind, AuthorityState::Prepared) <= 1
        });
        let sound = self.slots.iter().all(|slot| {
            let authority = &slot.authority;
            let name = slot.key.as_str();
            authority.number <= self.numbered
                && authority.id == authority.key.thumbprint()
                && !(authority.tainted && authority.state == AuthorityState::Active)
                && !name.contains(['/', '\\'])
        });
        match single && sound && self.slots.len() <= MAX_SLOTS {
            true => Ok(()),
            false => Err(AuthoritiesError::Malformed),
        }
    }

    /// Replaces the file, durably and whole.
    pub(super) fn write(&self, path: &Path) -> Result<(), AuthoritiesError> {
        self.check()?;
        let text = serde_json::to_vec_pretty(self).map_err(|_| AuthoritiesError::Malformed)?;
        Ok(replace_private_file(path, &text).map_err(crate::KeysError::from)?)
    }

    pub(super) const fn is_new(&self) -> bool {
        self.generation == 0
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// The number of the next authority, which is given once.
    pub(super) const fn reserve(&mut self) -> u64 {
        self.numbered = self.numbered.saturating_add(1);
        self.numbered
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    pub(super) fn active(&self, kind: AuthorityKind) -> Option<&Slot> {
        self.of(kind, AuthorityState::Active)
    }

    pub(super) fn prepared(&self, kind: AuthorityKind) -> Option<&Slot> {
        self.of(kind, AuthorityState::Prepared)
    }

    fn of(&self, kind: AuthorityKind, state: AuthorityState) -> Option<&Slot> {
        let mut slots = self.slots.iter();
        slots.find(|slot| slot.authority.kind == kind && slot.authority.state == state)
    }

    /// Whether none can be added.
    pub(super) fn are_full(&self) -> bool {
        self.slots.len() >= MAX_SLOTS
    }

    pub(super) fn add(&mut self, slot: Slot) {
        self.generation += 1;
        self.slots.push(slot);
    }

    /// Changes an authority; returns it as it is then.
    pub(super) fn change(
        &mut self,
        id: Digest,
        change: impl FnOnce(&mut Authority),
    ) -> Option<Authority> {
        let slot = self.slots.iter_mut().find(|slot| slot.authority.id == id)?;
        change(&mut slot.authority);
        self.generation += 1;
        Some(slot.authority.clone())
    }

    /// Lets go of an authority; its key is to be destroyed.
    pub(super) fn remove(&mut self, id: Digest) {
        let gone = self.slots.iter().filter(|slot| slot.authority.id == id);
        self.destroying.extend(gone.map(|slot| slot.key.clone()));
        self.slots.retain(|slot| slot.authority.id != id);
        self.generation += 1;
    }

    /// The keys that are to be destroyed.
    pub(super) fn destroying(&self) -> &[String] {
        &self.destroying
    }

    /// They are.
    pub(super) fn destroyed(&mut self) {
        self.destroying.clear();
    }
}
