//! Taking entries, live and in replay alike.

use chancery_audit::{
    ApprovalGrant, ApprovalRequest, Decision, Event, Label, LeafRef, Outcome, Ruling, SessionEnd,
    SessionJoin, SessionLeave,
};
use chancery_types::Timestamp;

use super::executions::action_of;
use super::open::Link;
use super::{Durable, Instance, Open, counts};
use crate::{Fault, trust};

impl Open {
    /// Takes all of these entries or none.
    pub(crate) fn apply_all(&mut self, at: Timestamp, events: &[Event]) -> Result<(), Fault> {
        if let [event] = events {
            return self.apply(at, event);
        }
        let mut next = self.clone();
        for event in events {
            next.apply(at, event)?;
        }
        *self = next;
        Ok(())
    }

    /// Takes an entry; refuses one that does not follow from those before it, and is as before
    /// then. The end is [`Open::check_end`]'s.
    pub(crate) fn apply(&mut self, at: Timestamp, event: &Event) -> Result<(), Fault> {
        if event.session().is_some_and(|session| session != self.id()) {
            return Err(Fault::Foreign);
        }
        // Who was refused was never here.
        if matches!(event, Event::SessionRefuse(_)) {
            return Ok(());
        }
        if at < self.last_at {
            return Err(Fault::ClockSteppedBack);
        }
        match event {
            Event::SessionJoin(join) => self.join(at, join)?,
            Event::SessionLeave(leave) => self.leave(leave)?,
            Event::DelegationEnrol(enrol) => {
                if self.links.contains_key(&enrol.delegation) {
                    return Err(Fault::DelegationKnown);
                }
                let parent = enrol.parent.as_ref();
                if parent.is_some_and(|parent| !self.links.contains_key(parent)) {
                    return Err(Fault::DelegationUnknown);
                }
                self.links.insert(enrol.delegation.clone(), Link::of(enrol));
            }
            Event::Decision(decision) => self.decide(at, decision)?,
            Event::Outcome(outcome) => self.outcome(at, outcome)?,
            Event::SessionVisit(visit) => {
                self.joined(visit.instance.as_str())?;
                self.taint.extend(visit.taint.iter().cloned());
                self.reads.extend(visit.reads.iter().cloned());
            }
            Event::GapDisclose(gap) => self.executions.disclose(gap)?,
            Event::ApprovalRequest(request) => self.ask(at, request)?,
            Event::ApprovalGrant(grant) => self.answer(at, grant)?,
            Event::SessionOpen(_) => return Err(Fault::AlreadyOpen),
            Event::SessionRefuse(_)
            | Event::SessionEnd(_)
            | Event::TrustChange(_)
            | Event::PolicyPublish(_)
            | Event::ManifestRegister(_)
            | Event::IdentityIssue(_)
            | Event::IdentityEnd(_)
            | Event::DelegationRoot(_)
            | Event::ConsentStanding(_)
            | Event::Erasure(_)
            | Event::ErasureDone(_)
            | Event::LogSucceed(_)
            | Event::IndexRoot(_)
            | Event::FederationAdd(_)
            | Event::FederationBundle(_)
            | Event::FederationRemove(_)
            | Event::AuthorityChange(_)
            | Event::NodeToken(_)
            | Event::NodeAuthority(_)
            | Event::NodeTpm(_)
            | Event::NodeJoin(_)
            | Event::NodeEvict(_)
            | Event::BrokerAllow(_)
            | Event::BrokerRemove(_)
            | Event::InstanceOpen(_)
            | Event::BrakeSet(_)
            | Event::BrakeRelease(_)
            | Event::ObserveSet(_)
            | Event::ObserveEnd(_)
            | Event::AgentRetire(_)
            | Event::ApprovalAnswer(_)
            | Event::CheckpointEnrol(_)
            | Event::RecordEnrol(_)
            | Event::RevocationAdd(_)
            | Event::RevocationLift(_)
            | Event::EpochRaise(_)
            | Event::SnapshotAdopt(_)
            | Event::ProducerEntry(_) => return Err(Fault::Foreign),
        }
        self.last_at = at;
        self.revision = self.revision.saturating_add(1);
        Ok(())
    }

    /// The last entry of an instance is durable; says which decision that was, if it was one.
    pub(crate) fn durable(
        &mut self,
        instance: &Label,
        leaf: LeafRef,
    ) -> Result<Option<Durable>, Fault> {
        let index = leaf.index;
        self.instances
            .get_mut(instance)
            .ok_or(Fault::NotJoined)?
            .durable(leaf)?;
        Ok(self.executions.durable(instance, index))
    }

    /// Whether this end follows from the entries before it.
    pub(crate) fn check_end(&self, at: Timestamp, end: &SessionEnd) -> Result<(), Fault> {
        if end.session != self.id() {
            return Err(Fault::Foreign);
        }
        if at < self.last_at {
            return Err(Fault::ClockSteppedBack);
        }
        if self.instances().next().is_some() {
            return Err(Fault::StillJoined);
        }
        if end.counts != self.counts || end.instances != self.instances.len() as u64 {
            return Err(Fault::WrongCounts);
        }
        Ok(())
    }

    fn join(&mut self, at: Timestamp, join: &SessionJoin) -> Result<(), Fault> {
        if !self.links.contains_key(&join.leaf) {
            return Err(Fault::DelegationUnknown);
        }
        if self.instances.contains_key(&join.instance) {
            return Err(Fault::AlreadyJoined);
        }
        let above = self.trust_above(&join.leaf, at);
        let instance = Instance::joined(at, join, above)?;
        self.instances.insert(join.instance.clone(), instance);
        Ok(())
    }

    fn leave(&mut self, leave: &SessionLeave) -> Result<(), Fault> {
        if self.running(&leave.instance).next().is_some() {
            return Err(Fault::StillRunning);
        }
        let instance = self.joined_mut(&leave.instance)?;
        instance.check_next(&leave.link)?;
        if leave.entries != instance.entries_with_next() || leave.counts != instance.counts {
            return Err(Fault::WrongCounts);
        }
        instance.advance();
        instance.left = true;
        self.approvals.left(&leave.instance);
        self.executions.left(&leave.instance);
        Ok(())
    }

    fn decide(&mut self, at: Timestamp, decision: &Decision) -> Result<(), Fault> {
        let allowed = decision.outcome == Ruling::Allow;
        let uses = !decision.charges.is_empty() || !decision.approvals.is_empty();
        if uses && !allowed {
            return Err(Fault::UsedWithoutAllowing);
        }
        // A chain that is not for this session is denied and not enrolled.
        if decision.outcome != Ruling::Deny && !self.links.contains_key(&decision.leaf) {
            return Err(Fault::DelegationUnknown);
        }
        let action = action_of(decision)?;
        self.executions.check_decide(decision)?;
        self.approvals.check_consume(at, decision, action)?;
        let instance = self.joined_mut(&decision.instance)?;
        instance.check_next(&decision.link)?;
        instance.advance();
        instance.trust.decided(at, decision);
        counts::decided(&mut instance.counts, decision);
        counts::decided(&mut self.counts, decision);
        let unenforced = decision.unenforced.as_ref().map(|said| said.outcome);
        match unenforced {
            Some(Ruling::Deny) => self.unenforced.denied = self.unenforced.denied.saturating_add(1),
            Some(Ruling::Escalate) => {
                self.unenforced.asked = self.unenforced.asked.saturating_add(1);
            }
            Some(Ruling::Allow) | None => {}
        }
        self.denials_in_a_row = match decision.outcome {
            // What policy denies ends no row of denials.
            Ruling::Allow if unenforced == Some(Ruling::Deny) => self.denials_in_a_row,
            Ruling::Allow => 0,
            Ruling::Deny => self.denials_in_a_row.saturating_add(1),
            Ruling::Escalate => self.denials_in_a_row,
        };
        self.executions.decide(decision, action, self.totals());
        if allowed {
            self.approvals.consume(&decision.approvals, action);
            self.spending.charge(decision);
            if let Some(facts) = &decision.facts {
                self.taint.extend(facts.taint.iter().cloned());
                self.reads.extend(facts.reads.iter().cloned());
            }
        }
        if decision.outcome == Ruling::Deny && trust::is_anomaly(decision.reason.as_str()) {
            self.approvals.distrusted(&decision.instance);
        }
        Ok(())
    }

    fn outcome(&mut self, at: Timestamp, outcome: &Outcome) -> Result<(), Fault> {
        self.executions.check_end(outcome)?;
        let instance = self.joined_mut(&outcome.instance)?;
        instance.check_next(&outcome.link)?;
        instance.advance();
        counts::ended(&mut instance.counts);
        counts::ended(&mut self.counts);
        let relevant = self.executions.end(outcome.execution);
        let instance = self.joined_mut(&outcome.instance)?;
        instance.trust.ended(at, outcome.status, relevant);
        Ok(())
    }

    fn ask(&mut self, at: Timestamp, request: &ApprovalRequest) -> Result<(), Fault> {
        self.executions.check_asked(request)?;
        self.approvals.check_ask(at, request)?;
        let instance = self.joined_mut(&request.instance)?;
        instance.check_next(&request.link)?;
        instance.advance();
        let escalated = self.executions.asked(request.execution);
        let escalated = escalated.ok_or(Fault::ExecutionUnknown)?;
        self.approvals.ask(request, escalated);
        Ok(())
    }

    fn answer(&mut self, at: Timestamp, grant: &ApprovalGrant) -> Result<(), Fault> {
        self.approvals.check_answer(at, grant)?;
        let approver = self.opened.entry.approver;
        if approver.is_some_and(|approver| approver != grant.approver) {
            return Err(Fault::OtherApprover);
        }
        let instance = self.joined_mut(&grant.instance)?;
        instance.check_next(&grant.link)?;
        instance.advance();
        instance.trust.answered(at, grant);
        self.approvals.answer(at, grant);
        Ok(())
    }

    fn joined_mut(&mut self, instance: &Label) -> Result<&mut Instance, Fault> {
        self.instances
            .get_mut(instance)
            .filter(|instance| !instance.left)
            .ok_or(Fault::NotJoined)
    }
}
