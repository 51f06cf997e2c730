//! Executions: decided, running, ended.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{
    ApprovalRequest, Decision, GapDisclose, Label, Outcome, OutcomeStatus, Ruling,
};
use chancery_types::Digest;
use chancery_types::id::ExecutionId;

use super::{Reach, Totals};
use crate::{Action, Fault};

/// The executions of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Executions {
    known: BTreeSet<ExecutionId>,
    running: BTreeMap<ExecutionId, Running>,
    escalated: BTreeMap<ExecutionId, Escalated>,
    /// The decision of an instance that is not durable yet.
    waiting: BTreeMap<Label, (ExecutionId, Ruling)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Running {
    instance: Label,
    decision: Option<u64>,
    /// Whether a former run left it: then nothing is ever known of it.
    is_left: bool,
    reach: Reach,
    /// Whether policy did not allow it.
    unenforced: bool,
    /// The action, where the call named the step that it serves and policy was enforced.
    relevant: Option<Digest>,
}

/// An escalated call that was not put before a person yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Escalated {
    pub(crate) instance: Label,
    pub(crate) action: Digest,
    pub(crate) policy: Digest,
    pub(crate) asks: Vec<Label>,
    pub(crate) reach: Reach,
    pub(crate) grant_seconds: Option<u64>,
    pub(crate) cost_micros: u64,
    /// The sums of the session that it was asked at.
    pub(crate) totals: Totals,
}

/// A decision that became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) execution: ExecutionId,
    pub(crate) ruling: Ruling,
}

impl Executions {
    pub(crate) fn is_known(&self, execution: ExecutionId) -> bool {
        self.known.contains(&execution)
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn escalated(&self, execution: ExecutionId) -> Option<&Escalated> {
        self.escalated.get(&execution)
    }

    /// The instance of a running execution and the index of its decision.
    pub(crate) fn running(&self, execution: ExecutionId) -> Result<(&Label, u64), Fault> {
        let running = self
            .running
            .get(&execution)
            .ok_or(Fault::ExecutionUnknown)?;
        let decision = running.decision.ok_or(Fault::NotDurable)?;
        Ok((&running.instance, decision))
    }

    /// The running executions of an instance.
    pub(crate) fn of<'a>(&'a self, instance: &'a Label) -> impl Iterator<Item = ExecutionId> + 'a {
        self.running
            .iter()
            .filter(move |(_, running)| running.instance == *instance)
            .map(|(execution, _)| *execution)
    }

    pub(super) fn check_decide(&self, decision: &Decision) -> Result<(), Fault> {
        if self.is_known(decision.execution) {
            return Err(Fault::ExecutionKnown);
        }
        Ok(())
    }

    pub(super) fn decide(&mut self, decision: &Decision, action: Digest, totals: Totals) {
        self.known.insert(decision.execution);
        let instance = decision.instance.clone();
        match decision.outcome {
            Ruling::Allow => {
                let running = Running {
                    instance,
                    decision: None,
                    is_left: false,
                    reach: Reach::of(decision),
                    unenforced: decision.unenforced.is_some(),
                    // What policy did not allow earns nothing.
                    relevant: (decision.step.is_some() && decision.unenforced.is_none())
                        .then_some(action),
                };
                self.running.insert(decision.execution, running);
            }
            Ruling::Escalate => {
                let escalated = Escalated {
                    instance,
                    action,
                    policy: decision.policy,
                    asks: decision.determining.clone(),
                    reach: Reach::of(decision),
                    grant_seconds: decision.facts.as_ref().and_then(|it| it.grant_seconds),
                    cost_micros: decision.cost_micros,
                    totals,
                };
                self.escalated.insert(decision.execution, escalated);
            }
            Ruling::Deny => {}
        }
        self.waiting.insert(
            decision.instance.clone(),
            (decision.execution, decision.outcome),
        );
    }

    /// The last entry of an instance is durable: if it was a decision, which.
    pub(super) fn durable(&mut self, instance: &Label, index: u64) -> Option<Durable> {
        let (execution, ruling) = self.waiting.remove(instance)?;
        if let Some(running) = self.running.get_mut(&execution) {
            running.decision = Some(index);
        }
        Some(Durable { execution, ruling })
    }

    pub(super) fn check_end(&self, outcome: &Outcome) -> Result<(), Fault> {
        let (instance, decision) = self.running(outcome.execution)?;
        if *instance != outcome.instance || decision != outcome.decision {
            return Err(Fault::ExecutionUnknown);
        }
        let running = self.running.get(&outcome.execution);
        let is_left = running.is_some_and(|running| running.is_left);
        match is_left && outcome.status != OutcomeStatus::Unknown {
            true => Err(Fault::GapContradicted),
            false => Ok(()),
        }
    }

    /// Takes that a former run left an execution; once for each.
    pub(super) fn disclose(&mut self, gap: &GapDisclose) -> Result<(), Fault> {
        let running = self.running.get_mut(&gap.execution);
        let running = running.filter(|running| {
            running.instance == gap.instance && running.decision == Some(gap.decision)
        });
        let running = running.ok_or(Fault::ExecutionUnknown)?;
        match std::mem::replace(&mut running.is_left, true) {
            true => Err(Fault::GapContradicted),
            false => Ok(()),
        }
    }

    /// The action, where the call named the step that it serves.
    pub(super) fn end(&mut self, execution: ExecutionId) -> Option<Digest> {
        self.running.remove(&execution)?.relevant
    }

    /// What the running executions are about.
    /// The running ones, what each is about, and whether policy did not allow it.
    pub(super) fn reaches(&self) -> impl Iterator<Item = (ExecutionId, &Reach, bool)> {
        self.running
            .iter()
            .map(|(execution, running)| (*execution, &running.reach, running.unenforced))
    }

    pub(super) fn check_asked(&self, request: &ApprovalRequest) -> Result<(), Fault> {
        let escalated = self
            .escalated
            .get(&request.execution)
            .ok_or(Fault::ExecutionUnknown)?;
        let same = escalated.instance == request.instance
            && escalated.action == request.action
            && escalated.policy == request.policy
            && escalated.asks == request.asks;
        if same {
            Ok(())
        } else {
            Err(Fault::ApprovalMismatch)
        }
    }

    pub(super) fn asked(&mut self, execution: ExecutionId) -> Option<Escalated> {
        self.escalated.remove(&execution)
    }

    /// Forgets what an instance that left could still have asked.
    pub(super) fn left(&mut self, instance: &Label) {
        self.escalated
            .retain(|_, escalated| escalated.instance != *instance);
    }
}

/// The digest of the action that a decision is about.
pub(super) fn action_of(decision: &Decision) -> Result<Digest, Fault> {
    let action = Action {
        session: decision.session,
        instance: decision.instance.clone(),
        server: decision.request.server.clone(),
        kind: decision.request.kind,
        name: decision.request.name.clone(),
        args_digest: decision.request.args_digest,
    };
    action.digest().map_err(|_| Fault::BadName)
}
