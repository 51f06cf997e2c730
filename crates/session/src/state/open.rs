//! The states of a session, and what can be seen of them.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{Counts, Label, SessionEnd, SessionOpen};
use chancery_types::id::{ApprovalId, ExecutionId, SessionId};
use chancery_types::{Digest, Timestamp};

use super::approvals::Approvals;
use super::executions::Executions;
use super::spending::Spending;
use super::{Grant, Instance, Pending, counts};
use crate::Fault;

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
    pub(crate) links: BTreeMap<Label, Digest>,
    pub(crate) spending: Spending,
    pub(crate) executions: Executions,
    pub(crate) approvals: Approvals,
    pub(crate) counts: Counts,
    /// The untrusted sources whose content reached it.
    pub(crate) taint: BTreeSet<Label>,
    /// Calls denied since one was allowed.
    pub(crate) denials_in_a_row: u64,
    pub(crate) revision: u64,
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
            denials_in_a_row: 0,
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

    /// Rows that the allowed calls asked for.
    pub const fn rows(&self) -> u64 {
        self.spending.rows()
    }

    /// Distinct resources that the allowed calls reached.
    pub fn resources(&self) -> u64 {
        self.spending.resources()
    }

    /// What people approved and is not used up.
    pub fn grants(&self) -> impl Iterator<Item = (ApprovalId, &Grant)> {
        self.approvals
            .granted()
            .iter()
            .map(|(id, grant)| (*id, grant))
    }

    /// The instance, if it is in the session.
    pub(crate) fn joined(&self, instance: &str) -> Result<&Instance, Fault> {
        self.instances
            .get(instance)
            .filter(|instance| !instance.left)
            .ok_or(Fault::NotJoined)
    }
}
