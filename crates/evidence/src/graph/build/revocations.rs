use std::collections::BTreeMap;

use chancery_audit::{EpochRaise, RevocationAdd, RevocationLift};
use chancery_types::id::{ConsentId, SessionId};
use chancery_types::{Digest, RevocationKind, Timestamp};

use crate::graph::{DelegationNode, Revoked, What, Withdrawal};

/// What the server's log revokes, in its order.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    named: BTreeMap<(RevocationKind, String), Vec<Revoked>>,
    raised: Vec<(u64, Revoked)>,
}

/// What a delegation answers to besides its name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// The epoch that its root was signed in; of a root alone.
    pub(super) epoch: Option<u64>,
    /// The standing consent that it rests on; of a root alone.
    pub(super) standing: Option<ConsentId>,
    /// The thumbprint of its holder's key, where its signed form is at hand.
    pub(super) key: Option<Digest>,
}

impl Revocations {
    pub(super) fn add(&mut self, add: &RevocationAdd, at: Timestamp) {
        let revoked = Revoked {
            what: Withdrawal::Revocation(add.kind),
            at,
            by: add.by,
            lifted: None,
        };
        let key = (add.kind, add.id.to_string());
        self.named.entry(key).or_default().push(revoked);
    }

    pub(super) fn lift(&mut self, lift: &RevocationLift, at: Timestamp) {
        let known = self.named.get_mut(&(lift.kind, lift.id.to_string()));
        let known = known.into_iter().flatten();
        for revoked in known.filter(|known| known.at == lift.revoked) {
            revoked.lifted = Some(at);
        }
    }

    pub(super) fn raise(&mut self, raise: &EpochRaise, at: Timestamp) {
        let revoked = Revoked {
            what: Withdrawal::Epoch,
            at,
            by: raise.by,
            lifted: None,
        };
        self.raised.push((raise.epoch, revoked));
    }

    /// What of a node was revoked: by its own name, not by that of something above it.
    pub(super) fn of(
        &self,
        node: &What,
        marks: &BTreeMap<(SessionId, String), Marks>,
    ) -> Vec<Revoked> {
        match node {
            What::Delegation(known) => self.of_delegation(known, marks),
            What::Session(known) => {
                let mut found = self.named(RevocationKind::Session, &known.session.to_string());
                if let Some(mission) = known.mission {
                    found.extend(self.named(RevocationKind::Mission, &mission.to_string()));
                }
                found
            }
            What::Agent { agent, .. } => self.named(RevocationKind::Agent, agent),
            What::Instance(known) => self.named(RevocationKind::Instance, &known.instance),
            What::Person { person, .. } => {
                let person = person.as_deref().unwrap_or_default();
                self.named(RevocationKind::Person, person)
            }
            What::Authority { .. }
            | What::Tool { .. }
            | What::Approval { .. }
            | What::Policy { .. } => Vec::new(),
        }
    }

    fn of_delegation(
        &self,
        known: &DelegationNode,
        marks: &BTreeMap<(SessionId, String), Marks>,
    ) -> Vec<Revoked> {
        let marks = marks.get(&(known.session, known.delegation.clone()));
        let Marks {
            epoch,
            standing,
            key,
        } = marks.copied().unwrap_or_default();
        let mut found = self.named(RevocationKind::Token, &known.delegation);
        if let Some(key) = key {
            found.extend(self.named(RevocationKind::Key, &key.to_string()));
        }
        if let Some(standing) = standing {
            found.extend(self.named(RevocationKind::Consent, &standing.to_string()));
        }
        // The first later epoch ends it; those that follow find nothing to end.
        let mut raised = self.raised.iter();
        let raised = raised.find(|(later, _)| epoch.is_some_and(|epoch| epoch < *later));
        found.extend(raised.map(|(_, revoked)| revoked.clone()));
        found
    }

    fn named(&self, kind: RevocationKind, id: &str) -> Vec<Revoked> {
        let known = self.named.get(&(kind, id.to_owned()));
        known.cloned().unwrap_or_default()
    }
}
