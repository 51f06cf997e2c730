use std::collections::BTreeMap;

use chancery_audit::{Label, SessionJoin, SessionOpen, SessionRefuse};
use chancery_types::Timestamp;
use chancery_types::id::SessionId;

use super::Builder;
use crate::graph::{How, Over, What};

impl Builder<'_> {
    pub(super) fn open(&mut self, open: &SessionOpen, at: Timestamp) {
        let id = self.session(open.session, |node| {
            node.gateway = Some(open.gateway.to_string());
            node.mission = Some(open.mission);
            node.opened_at = Some(at);
        });
        let policy = self.policy(open.policy);
        self.edge_once(&policy, &id, How::Governs);
    }

    pub(super) fn join(&mut self, join: &SessionJoin, at: Timestamp) {
        let instance = self.instance(&join.instance);
        let session = self.session(join.session, |_| ());
        let place = self.places.get(&instance).copied();
        let node = place.and_then(|place| self.nodes.get_mut(place));
        if let Some(What::Instance(node)) = node.map(|node| &mut node.what) {
            node.agent = Some(join.agent.to_string());
            node.attestation_level = Some(join.attestation_level.to_string());
            node.isolation = Some(join.isolation.name());
        }
        let agent = self.agent(&join.agent, join.manifest);
        self.edge_once(&instance, &agent, How::InstanceOf);
        self.edge(&instance, &session, How::Joined { at, left: None });
    }

    pub(super) fn left(&mut self, instance: &Label, session: SessionId, over: Over) {
        let (from, to) = (format!("instance:{instance}"), format!("session:{session}"));
        let joined = self.edges.iter_mut().rev().find(|edge| {
            edge.from == from && edge.to == to && matches!(edge.how, How::Joined { .. })
        });
        if let Some(How::Joined { left, .. }) = joined.map(|edge| &mut edge.how) {
            *left = Some(over);
        }
    }

    /// Somebody stood at the door. Who, where the transport said it.
    pub(super) fn refuse(&mut self, refuse: &SessionRefuse, at: Timestamp) {
        let (Some(instance), Some(session)) = (&refuse.instance, refuse.session) else {
            return;
        };
        let from = self.instance(instance);
        let to = self.session(session, |_| ());
        let reason = refuse.reason.to_string();
        let mut known = self.edges.iter_mut();
        let known = known.find(|edge| {
            edge.from == from && edge.to == to && matches!(edge.how, How::Refused { .. })
        });
        match known.map(|edge| &mut edge.how) {
            Some(How::Refused { reasons, last }) => {
                let count = reasons.entry(reason).or_default();
                *count = count.saturating_add(1);
                *last = at;
            }
            _ => {
                let (reasons, last) = (BTreeMap::from([(reason, 1)]), at);
                self.edge(&from, &to, How::Refused { reasons, last });
            }
        }
    }
}
