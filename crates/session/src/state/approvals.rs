//! Approvals: asked, granted, used.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{ApprovalGrant, ApprovalRequest, Decision, Label, Verdict};
use chancery_types::id::{ApprovalId, PersonId};
use chancery_types::{Digest, Timestamp};

use super::executions::Escalated;
use super::{Reach, Totals};
use crate::{Fault, limits};

/// The approvals of a session. Each id is asked once, answered once and used once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Approvals {
    known: BTreeSet<ApprovalId>,
    pending: BTreeMap<ApprovalId, Pending>,
    granted: BTreeMap<ApprovalId, Grant>,
}

/// A question that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The SPIFFE ID of the instance that wants the action.
    pub instance: Label,
    /// The digest of the action.
    pub action: Digest,
    /// The digest of what is displayed.
    pub displayed: Digest,
    /// The digest of the policy bundle that asks.
    pub policy: Digest,
    /// Who asks: policies, or `chain:` and a jti.
    pub asks: Vec<Label>,
    /// When it lapses.
    pub expires: Timestamp,
    /// The person who wants it, who may not answer.
    pub requester: Option<PersonId>,
    /// The tool and the resource.
    pub reach: Reach,
    /// For how long an approval holds for them; without it, for the action once.
    pub grant_seconds: Option<u64>,
    /// What the action costs, in millionths.
    pub cost_micros: u64,
    /// The sums of the session that it was asked at.
    pub totals: Totals,
}

/// What a person approved: one execution of one action, and where the operator's rules say so, the same
/// tool on the same resource until it lapses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The SPIFFE ID of the instance that may.
    pub instance: Label,
    /// The digest of the action.
    pub action: Digest,
    /// The digest of the policy bundle that asked; under another one the grant is void.
    pub policy: Digest,
    /// Whose asks it answers.
    pub asks: Vec<Label>,
    /// Who approved it; once that person is revoked the grant is void.
    pub approver: PersonId,
    /// When it lapses.
    pub expires: Timestamp,
    /// The tool and the resource.
    pub reach: Reach,
    /// Whether it holds for them until it lapses.
    pub standing: bool,
    /// Whether the exact action that was asked for was done.
    pub used: bool,
    /// What that action costs, in millionths: what stands covers nothing dearer.
    pub cost_micros: u64,
    /// The sums of the session that it was asked at.
    pub totals: Totals,
}

impl Grant {
    /// Whether it answers all that was asked about this action.
    pub(crate) fn is_for(&self, action: Digest) -> bool {
        self.action == action && !self.used
    }

    /// Whether an ask is answered for what was asked about: a sum that has grown since is another one.
    pub(crate) fn answers(&self, ask: &str, now: Totals) -> bool {
        let then = self.totals;
        match ask {
            limits::BUDGET_CALLS => then.calls == now.calls,
            limits::BUDGET_COST => then.cost_micros == now.cost_micros,
            limits::BUDGET_ROWS => then.rows == now.rows,
            limits::BUDGET_RESOURCES => then.resources == now.resources,
            _ => true,
        }
    }

    /// Whether it holds for this action, on this reach, at this cost.
    fn applies(&self, action: Digest, reach: &Reach, cost_micros: u64) -> bool {
        let covered = self.reach == *reach && cost_micros <= self.cost_micros;
        self.is_for(action) || self.standing && covered
    }
}

impl Approvals {
    pub(crate) fn pending(&self) -> &BTreeMap<ApprovalId, Pending> {
        &self.pending
    }

    pub(crate) fn granted(&self) -> &BTreeMap<ApprovalId, Grant> {
        &self.granted
    }

    /// The grants that hold for an action under a policy at a time.
    pub(crate) fn holding<'a>(
        &'a self,
        (action, reach, cost_micros): (Digest, &'a Reach, u64),
        policy: Digest,
        now: Timestamp,
    ) -> impl Iterator<Item = (ApprovalId, &'a Grant)> {
        self.granted
            .iter()
            .filter(move |(_, grant)| {
                let applies = grant.applies(action, reach, cost_micros);
                applies && grant.policy == policy && now < grant.expires
            })
            .map(|(id, grant)| (*id, grant))
    }

    pub(super) fn check_ask(&self, at: Timestamp, request: &ApprovalRequest) -> Result<(), Fault> {
        let waits = |pending: &Pending| pending.action == request.action && at < pending.expires;
        if self.pending.values().any(waits) {
            return Err(Fault::AlreadyAsked);
        }
        if at >= request.expires {
            return Err(Fault::ApprovalExpired);
        }
        if self.known.contains(&request.approval) {
            return Err(Fault::ApprovalUnknown);
        }
        Ok(())
    }

    pub(super) fn ask(&mut self, request: &ApprovalRequest, escalated: Escalated) {
        self.known.insert(request.approval);
        let pending = Pending {
            instance: request.instance.clone(),
            action: request.action,
            displayed: request.displayed,
            policy: request.policy,
            asks: request.asks.clone(),
            expires: request.expires,
            requester: request.requester,
            reach: escalated.reach,
            grant_seconds: escalated.grant_seconds,
            cost_micros: escalated.cost_micros,
            totals: escalated.totals,
        };
        self.pending.insert(request.approval, pending);
    }

    pub(super) fn check_answer(&self, at: Timestamp, grant: &ApprovalGrant) -> Result<(), Fault> {
        let pending = self
            .pending
            .get(&grant.approval)
            .ok_or(Fault::ApprovalUnknown)?;
        if pending.action != grant.action || pending.instance != grant.instance {
            return Err(Fault::ApprovalMismatch);
        }
        if at >= pending.expires || at >= grant.expires {
            return Err(Fault::ApprovalExpired);
        }
        if pending.requester == Some(grant.approver) {
            return Err(Fault::SelfApproval);
        }
        Ok(())
    }

    pub(super) fn answer(&mut self, at: Timestamp, grant: &ApprovalGrant) {
        let pending = self.pending.remove(&grant.approval);
        if let Some(pending) = pending.filter(|_| grant.verdict == Verdict::Approve) {
            // A signature never holds for longer than it says itself.
            let standing = pending.grant_seconds.map(|it| at.plus_seconds(it));
            let granted = Grant {
                instance: pending.instance,
                action: pending.action,
                policy: pending.policy,
                asks: pending.asks,
                approver: grant.approver,
                expires: standing.map_or(grant.expires, |until| until.min(grant.expires)),
                reach: pending.reach,
                standing: standing.is_some(),
                used: false,
                cost_micros: pending.cost_micros,
                totals: pending.totals,
            };
            self.granted.insert(grant.approval, granted);
        }
    }

    pub(super) fn check_consume(
        &self,
        at: Timestamp,
        decision: &Decision,
        action: Digest,
    ) -> Result<(), Fault> {
        let reach = Reach::of(decision);
        for approval in &decision.approvals {
            let grant = self.granted.get(approval).ok_or(Fault::ApprovalUnknown)?;
            let applies = grant.applies(action, &reach, decision.cost_micros);
            if !applies || grant.policy != decision.policy {
                return Err(Fault::ApprovalMismatch);
            }
            if at >= grant.expires {
                return Err(Fault::ApprovalExpired);
            }
        }
        Ok(())
    }

    /// Uses up what an allowed decision rests on.
    pub(super) fn consume(&mut self, approvals: &[ApprovalId], action: Digest) {
        for approval in approvals {
            match self.granted.get_mut(approval) {
                Some(grant) if grant.standing => grant.used |= grant.action == action,
                _ => {
                    self.granted.remove(approval);
                }
            }
        }
    }

    /// Ends what stands for an instance that acted out of line.
    pub(super) fn distrusted(&mut self, instance: &Label) {
        self.granted
            .retain(|_, grant| !grant.standing || grant.instance != *instance);
    }

    /// Forgets what an instance that left asked for and was granted.
    pub(super) fn left(&mut self, instance: &Label) {
        self.pending
            .retain(|_, pending| pending.instance != *instance);
        self.granted.retain(|_, grant| grant.instance != *instance);
    }
}
