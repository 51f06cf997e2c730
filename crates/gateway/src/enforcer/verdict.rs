use chancery_types::id::{ApprovalId, ExecutionId, InstanceId, SessionId};

/// Where an instance sits: in which session it acts. Children are never shared between seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seat {
    /// The session.
    pub session: SessionId,
    /// The instance in it.
    pub instance: InstanceId,
}

/// The leave to forward one call, once. Not cloned: it is given back with the outcome.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    execution: ExecutionId,
    seat: Seat,
    unenforced: bool,
}

impl Permit {
    /// For an enforcer, after the decision is durable.
    pub const fn new(execution: ExecutionId, seat: Seat) -> Self {
        Self {
            execution,
            seat,
            unenforced: false,
        }
    }

    /// The same for a call that policy did not allow and that goes on all the same.
    #[must_use]
    pub const fn unenforced(self) -> Self {
        Self {
            unenforced: true,
            ..self
        }
    }

    /// Whether the call goes on though policy did not allow it.
    pub const fn is_unenforced(&self) -> bool {
        self.unenforced
    }

    /// The execution that decision and outcome share.
    pub const fn execution(&self) -> ExecutionId {
        self.execution
    }

    /// The seat that acts.
    pub const fn seat(&self) -> Seat {
        self.seat
    }
}

/// Why something may not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {text}")]
pub struct Refusal {
    /// One code per reason, for programs.
    pub reason: &'static str,
    /// What was refused and what would help, for people. Never a secret.
    pub text: String,
    /// The execution under which the refusal is enrolled, if it is.
    pub execution: Option<ExecutionId>,
}

impl Refusal {
    /// A refusal that is not enrolled as an execution.
    pub fn new(reason: &'static str, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
            execution: None,
        }
    }
}

/// A call that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The execution under which the escalation is enrolled.
    pub execution: ExecutionId,
    /// What the person is asked about.
    pub approval: ApprovalId,
    /// What to do meanwhile, for people.
    pub text: String,
    /// When repeating the same call makes sense.
    pub retry_after_seconds: u64,
}

/// What is decided about one call.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// May pass; the decision is durable.
    Forward(Permit),
    /// May not pass.
    Deny(Refusal),
    /// May pass when a person approves.
    Pending(Pending),
}
