//! What is permitted at a time: made just in time, for one tool and one resource.

use chancery_audit::{CallKind, CallRecord, Decision, Label};
use chancery_types::id::{ApprovalId, ExecutionId};
use chancery_types::{Digest, Timestamp};

use super::Open;

/// One class of actions on one resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// The SPIFFE ID of the instance that may.
    pub instance: Label,
    /// The server.
    pub server: Label,
    /// What kind of thing is called.
    pub kind: CallKind,
    /// The tool, the prompt or the URI.
    pub name: Label,
    /// The digest of the resource.
    pub resource: Digest,
}

impl Reach {
    /// What a decision is about. Where a former version wrote it, the resource is none that there is.
    pub(super) fn of(decision: &Decision) -> Self {
        let facts = decision.facts.as_ref();
        let resource = facts.map_or_else(|| Digest::of(b""), |facts| facts.resource);
        Self::new(&decision.instance, &decision.request, resource)
    }

    pub(crate) fn new(instance: &Label, request: &CallRecord, resource: Digest) -> Self {
        Self {
            instance: instance.clone(),
            server: request.server.clone(),
            kind: request.kind,
            name: request.name.clone(),
            resource,
        }
    }
}

/// What made a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// The decision that allowed this execution, for as long as it runs.
    Decision(ExecutionId),
    /// The decision by which this execution goes on though policy did not allow it, for as long as it runs.
    Unenforced(ExecutionId),
    /// This approval, once for the exact action that was asked for.
    Approval(ApprovalId),
    /// This approval, for the tool and the resource until it lapses.
    Standing(ApprovalId),
}

/// What an instance may do now and could not do by itself: every one was made in this session, names
/// one class of actions and one resource, and lapses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// Who may do what to which resource.
    pub reach: Reach,
    /// What made it.
    pub basis: Basis,
    /// When it lapses.
    pub expires: Timestamp,
}

impl Open {
    /// Everything that is permitted at a time, in order; nothing when a session opens.
    pub fn permissions(&self, now: Timestamp) -> Vec<Permission> {
        let expires = self.opened.entry.expires;
        let running = self
            .executions
            .reaches()
            .map(|(execution, reach, unenforced)| Permission {
                reach: reach.clone(),
                basis: match unenforced {
                    true => Basis::Unenforced(execution),
                    false => Basis::Decision(execution),
                },
                expires,
            });
        let granted = self.approvals.granted().iter().filter_map(|(id, grant)| {
            let basis = match grant.standing {
                true => Basis::Standing(*id),
                false => Basis::Approval(*id),
            };
            (now < grant.expires).then(|| Permission {
                reach: grant.reach.clone(),
                basis,
                expires: grant.expires,
            })
        });
        let mut all: Vec<_> = running.chain(granted).collect();
        all.sort();
        all
    }
}
