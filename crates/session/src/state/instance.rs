//! One instance in a session.

use chancery_audit::{Counts, InstanceLink, Isolation, Label, LeafRef, SessionJoin};
use chancery_identity::AttestationLevel;
use chancery_types::{Digest, Timestamp};
use serde_json::Value;

use super::counts;
use crate::Fault;
use crate::trust::Trust;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) agent: Label,
    pub(crate) manifest: Digest,
    pub(crate) agent_key: Digest,
    pub(crate) level: AttestationLevel,
    pub(crate) isolation: Isolation,
    pub(crate) trust: Trust,
    pub(super) counts: Counts,
    pub(super) left: bool,
    entries: u64,
    place: Place,
}

/// Whether the last entry is durable, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Waiting,
    Durable(LeafRef),
}

impl Instance {
    /// `above` are the levels of those who delegated to it and are or were in the session.
    pub(super) fn joined(
        at: Timestamp,
        join: &SessionJoin,
        above: impl IntoIterator<Item = u64>,
    ) -> Result<Self, Fault> {
        if join.link.seq != 0 || join.link.prev.is_some() {
            return Err(Fault::WrongPlace);
        }
        let level = Value::from(join.attestation_level.as_str());
        Ok(Self {
            agent: join.agent.clone(),
            manifest: join.manifest,
            agent_key: join.agent_key,
            level: serde_json::from_value(level).map_err(|_| Fault::BadName)?,
            isolation: join.isolation,
            trust: Trust::new(at, above),
            counts: counts::none(),
            left: false,
            entries: 1,
            place: Place::Waiting,
        })
    }

    pub(crate) const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The place of the next entry; none before the last one is durable.
    pub(crate) fn next_link(&self) -> Result<InstanceLink, Fault> {
        match &self.place {
            Place::Waiting => Err(Fault::NotDurable),
            Place::Durable(leaf) => Ok(InstanceLink {
                seq: self.entries,
                prev: Some(leaf.clone()),
            }),
        }
    }

    /// How many entries there will be with the next one.
    pub(crate) const fn entries_with_next(&self) -> u64 {
        self.entries.saturating_add(1)
    }

    pub(super) fn check_next(&self, link: &InstanceLink) -> Result<(), Fault> {
        if self.next_link()? == *link {
            Ok(())
        } else {
            Err(Fault::WrongPlace)
        }
    }

    pub(super) fn advance(&mut self) {
        self.entries = self.entries_with_next();
        self.place = Place::Waiting;
    }

    pub(super) fn durable(&mut self, leaf: LeafRef) -> Result<(), Fault> {
        if self.place != Place::Waiting {
            return Err(Fault::NothingToEnrol);
        }
        self.place = Place::Durable(leaf);
        Ok(())
    }
}
