use std::collections::BTreeMap;

use chancery_audit::{ApprovalGrant, ApprovalRequest, Decision, Outcome, Ruling};
use chancery_types::Timestamp;

use super::{Builder, Call};
use crate::graph::{Called, How, What};

impl Builder<'_> {
    pub(super) fn decide(&mut self, decision: &Decision, at: Timestamp) {
        let instance = self.instance(&decision.instance);
        let request = &decision.request;
        let tool = self.tool(request.server.as_str(), request.kind, request.name.as_str());
        let session = self.session(decision.session, |_| ());
        let policy = self.policy(decision.policy);
        self.edge_once(&policy, &session, How::Governs);
        let leaf = decision.leaf.to_string();
        let call: Call = (decision.session, instance, tool, leaf);
        self.decided.insert(decision.execution, call.clone());
        if !self.calls.contains_key(&call) {
            self.called.push(call.clone());
        }
        let called = self.calls.entry(call).or_insert_with(|| Called {
            session: decision.session,
            delegation: decision.leaf.to_string(),
            allowed: 0,
            unenforced: 0,
            denied: 0,
            escalated: 0,
            denied_for: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            last: at,
        });
        called.last = called.last.max(at);
        match decision.outcome {
            Ruling::Allow => {
                called.allowed = called.allowed.saturating_add(1);
                let unenforced = u64::from(decision.unenforced.is_some());
                called.unenforced = called.unenforced.saturating_add(unenforced);
            }
            Ruling::Escalate => called.escalated = called.escalated.saturating_add(1),
            Ruling::Deny => {
                called.denied = called.denied.saturating_add(1);
                let reason = decision.reason.to_string();
                let count = called.denied_for.entry(reason).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        let call = self.decided.get(&outcome.execution);
        if let Some(called) = call.and_then(|call| self.calls.get_mut(call)) {
            let count = called.outcomes.entry(outcome.status.name()).or_default();
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn ask(&mut self, request: &ApprovalRequest, at: Timestamp) {
        let id = format!("approval:{}", request.approval);
        let (approval, session) = (request.approval, request.session);
        self.node(&id, || What::Approval {
            approval,
            session,
            asked_at: at,
            verdict: None,
        });
        let instance = self.instance(&request.instance);
        let Some((_, _, tool, leaf)) = self.decided.get(&request.execution).cloned() else {
            return;
        };
        let delegation = leaf;
        let asked = How::Asked {
            session,
            delegation,
        };
        self.edge_once(&instance, &id, asked);
        self.edge_once(&id, &tool, How::About);
    }

    pub(super) fn answer(&mut self, grant: &ApprovalGrant, at: Timestamp) {
        let id = format!("approval:{}", grant.approval);
        let place = self.places.get(&id).copied();
        let node = place.and_then(|place| self.nodes.get_mut(place));
        if let Some(What::Approval { verdict, .. }) = node.map(|node| &mut node.what) {
            *verdict = Some(grant.verdict);
            let person = self.person(Some(&grant.approver.to_string()), &[]);
            let verdict = grant.verdict;
            self.edge_once(&person, &id, How::Answered { verdict, at });
        }
    }
}
