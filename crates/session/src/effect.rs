//! What a step asks of its caller.

use chancery_audit::{Entry, Event, Label};
use chancery_types::Timestamp;
use chancery_types::id::{ApprovalId, ExecutionId, SessionId};

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Enrol this entry and wait until it is durable. Entries of one step are enrolled in order;
    /// where one belongs to an instance, [`crate::Event::Enrolled`] follows with its place.
    Enrol {
        /// The time of the entry.
        at: Timestamp,
        /// What it says.
        event: Box<Event>,
    },
    /// Forward the call: its decision is durable.
    Forward(Permit),
    /// Refuse the call: its decision is durable.
    Refuse(ExecutionId),
    /// Put the call before a person: its decision is durable.
    Escalate(ExecutionId),
    /// Show the question to people: it is durable.
    Notify(ApprovalId),
    /// Withdraw what the instance was given for this session.
    Withdraw(Label),
    /// Close everything of the session.
    Close(SessionId),
}

impl Effect {
    /// The entry to be enrolled, if this is one.
    pub fn entry(&self, origin: &Label) -> Option<Entry> {
        match self {
            Self::Enrol { at, event } => Some(Entry {
                origin: origin.clone(),
                at: *at,
                event: event.as_ref().clone(),
            }),
            _ => None,
        }
    }
}

/// The leave to forward one execution once. Made by a session when the decision is durable; not to
/// be cloned.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    execution: ExecutionId,
    instance: Label,
}

impl Permit {
    pub(crate) const fn new(execution: ExecutionId, instance: Label) -> Self {
        Self {
            execution,
            instance,
        }
    }

    /// The execution.
    pub const fn execution(&self) -> ExecutionId {
        self.execution
    }

    /// The SPIFFE ID of the instance.
    pub const fn instance(&self) -> &Label {
        &self.instance
    }
}
