//! The states of a session, and what can be seen of them.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{Counts, DelegationEnrol, Label, SessionEnd, SessionOpen};
use chancery_types::id::{ApprovalId, ExecutionId, SessionId};
use chancery_types::{Digest, Timestamp};

use super::approvals::Approvals;
use super::executions::Executions;
use super::spending::{Spending, Totals};
use super::{Grant, Instance, Pending, counts};
use crate::{Fault, Rulebook, Visiting};

/// What a session was opened with, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The entry.
    pub entry: SessionOpen,
    /// When.
    pub at: Timestamp,
}

/// An open session. What it permits is what its instances' chains, the policy and the approvals
/// below permit; with no instance in it, that is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub(crate) opened: Opened,
    pub(crate) last_at: Timestamp,
    pub(crate) instances: BTreeMap<Label, Instance>,
    pub(crate) links: BTreeMap<Label, Link>,
    pub(crate) spending: Spending,
    pub(crate) executions: Executions,
    pub(crate) approvals: Approvals,
    pub(crate) counts: Counts,
    /// The untrusted sources whose content reached it.
    pub(crate) taint: BTreeSet<Label>,
    /// The stores that it read.
    pub(crate) reads: BTreeSet<Label>,
    /// Calls denied since one was allowed that policy did not deny.
    pub(crate) denials_in_a_row: u64,
    /// What policy said without being enforced.
    pub(crate) unenforced: NotEnforced,
    pub(crate) revision: u64,
}

/// How often policy said what without being enforced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NotEnforced {
    /// Calls that it denied.
    pub(crate) denied: u64,
    /// Calls that it asks a person about.
    pub(crate) asked: u64,
}

/// An enrolled link of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) token: Digest,
    delegator: Label,
    parent: Option<Label>,
}

impl Link {
    pub(super) fn of(enrol: &DelegationEnrol) -> Self {
        Self {
            token: enrol.link,
            delegator: enrol.delegator.clone(),
            parent: enrol.parent.clone(),
        }
    }
}

/// A session that ended: for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What it was opened with.
    pub opened: Opened,
    /// How it ended.
    pub entry: SessionEnd,
    /// When.
    pub at: Timestamp,
}

impl Open {
    pub(crate) fn new(at: Timestamp, entry: SessionOpen) -> Result<Self, Fault> {
        if at >= entry.expires {
            return Err(Fault::AlreadyOver);
        }
        Ok(Self {
            opened: Opened { entry, at },
            last_at: at,
            instances: BTreeMap::new(),
            links: BTreeMap::new(),
            spending: Spending::default(),
            executions: Executions::default(),
            approvals: Approvals::default(),
            counts: counts::none(),
            taint: BTreeSet::new(),
            reads: BTreeSet::new(),
            denials_in_a_row: 0,
            unenforced: NotEnforced::default(),
            revision: 0,
        })
    }

    /// The session.
    pub const fn id(&self) -> SessionId {
        self.opened.entry.session
    }

    /// What it was opened with.
    pub const fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The time of its last entry.
    pub const fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// What was decided so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The instances that are in it.
    pub fn instances(&self) -> impl Iterator<Item = &Label> {
        self.instances
            .iter()
            .filter(|(_, instance)| !instance.left)
            .map(|(name, _)| name)
    }

    /// The executions of an instance whose outcome is not known.
    pub fn running<'a>(&'a self, instance: &'a Label) -> impl Iterator<Item = ExecutionId> + 'a {
        self.executions.of(instance)
    }

    /// The questions that wait for a person.
    pub fn pending(&self) -> impl Iterator<Item = (ApprovalId, &Pending)> {
        self.approvals
            .pending()
            .iter()
            .map(|(id, pending)| (*id, pending))
    }

    /// The question that waits about an action, if one does at that time: a repeated call attaches
    /// to it.
    pub fn pending_for(&self, action: Digest, now: Timestamp) -> Option<ApprovalId> {
        self.pending()
            .find(|(_, pending)| pending.action == action && now < pending.expires)
            .map(|(id, _)| id)
    }

    /// The untrusted sources whose content reached it.
    pub fn taint(&self) -> impl Iterator<Item = &Label> {
        self.taint.iter()
    }

    /// The trust of each instance that is in it, at a time.
    pub fn trust(&self, now: Timestamp) -> impl Iterator<Item = (&Label, u64)> {
        self.instances
            .iter()
            .filter(|(_, instance)| !instance.left)
            .map(move |(name, instance)| (name, instance.trust.at(now)))
    }

    /// What a visit of a server brings into the session that the session does not have, by the rules
    /// in force: an instance whose requests nobody decides hears from it all the same. None where
    /// there is nothing to enrol.
    pub fn visiting(&self, instance: &str, server: &str, policy: &Rulebook) -> Option<Visiting> {
        let rules = policy.sessions();
        let source = Label::or_digest(&format!("server:{server}"));
        let visiting = Visiting {
            instance: Label::or_digest(instance),
            server: Label::or_digest(server),
            policy: policy.digest(),
            taint: rules
                .is_untrusted(server)
                .then_some(source)
                .into_iter()
                .collect(),
            reads: rules.stores(server).cloned().collect(),
        };
        let known = visiting.taint.iter().all(|one| self.taint.contains(one))
            && visiting.reads.iter().all(|one| self.reads.contains(one));
        (!known).then_some(visiting)
    }

    /// Rows that the allowed calls asked for.
    pub const fn rows(&self) -> u64 {
        self.spending.rows()
    }

    /// Distinct resources that the allowed calls reached.
    pub fn resources(&self) -> u64 {
        self.spending.resources()
    }

    /// The sums of what was allowed.
    pub fn totals(&self) -> Totals {
        Totals {
            calls: self.counts.allowed,
            cost_micros: self.counts.cost_micros,
            rows: self.rows(),
            resources: self.resources(),
        }
    }

    /// What people approved and is not used up.
    pub fn grants(&self) -> impl Iterator<Item = (ApprovalId, &Grant)> {
        self.approvals
            .granted()
            .iter()
            .map(|(id, grant)| (*id, grant))
    }

    /// The levels of those who hold a link above this one and are or were in the session: a fresh
    /// instance does not wash off what its delegator lost.
    pub(super) fn trust_above(&self, leaf: &Label, now: Timestamp) -> Vec<u64> {
        // A link names one enrolled before it, so that this ends.
        std::iter::successors(self.links.get(leaf), |link| {
            self.links.get(link.parent.as_ref()?)
        })
        .filter_map(|link| self.instances.get(&link.delegator))
        .map(|instance| instance.trust.at(now))
        .collect()
    }

    /// The instance, if it is in the session.
    pub(crate) fn joined(&self, instance: &str) -> Result<&Instance, Fault> {
        self.instances
            .get(instance)
            .filter(|instance| !instance.left)
            .ok_or(Fault::NotJoined)
    }
}
