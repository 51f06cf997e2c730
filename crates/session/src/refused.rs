//! Why the machine does not take a step.

use crate::{Reason, Session};

/// A step that was not taken. The session comes back as it was.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub struct Refused {
    session: Session,
    #[source]
    fault: Fault,
}

impl Refused {
    pub(crate) const fn new(session: Session, fault: Fault) -> Self {
        Self { session, fault }
    }

    /// Why.
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// The session as it was before the step.
    pub fn into_session(self) -> Session {
        self.session
    }
}

/// Why a step was not taken, or why an entry does not follow from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The session is not open yet.
    #[error("the session is not open")]
    NotOpen,
    /// The session was opened before.
    #[error("the session is open already")]
    AlreadyOpen,
    /// The session has ended; nothing follows its end.
    #[error("the session has ended")]
    Ended,
    /// What was said to be left without an outcome is said so again, or to have one.
    #[error("a gap was disclosed for this execution")]
    GapContradicted,
    /// The session cannot be opened or joined with what was presented.
    #[error("refused: {0}")]
    Unfit(Reason),
    /// The session would be over before it is opened.
    #[error("the session would be over already")]
    AlreadyOver,
    /// The manifest binds another policy bundle than the session has.
    #[error("the manifest binds another policy bundle")]
    PolicyMismatch,
    /// The time stands before the last entry.
    #[error("the clock stepped back")]
    ClockSteppedBack,
    /// The entry is of another session, or of no type that sessions have.
    #[error("the entry is not of this session")]
    Foreign,
    /// The instance is not in the session.
    #[error("the instance is not in the session")]
    NotJoined,
    /// The instance joined before.
    #[error("the instance joined the session before")]
    AlreadyJoined,
    /// The instance's last entry is not known to be durable.
    #[error("the instance's last entry is not durable yet")]
    NotDurable,
    /// There is no entry of the instance that waits to become durable.
    #[error("no entry of the instance waits to become durable")]
    NothingToEnrol,
    /// The entry does not have the place in the instance's chain that is next.
    #[error("the entry is not the next one of its instance")]
    WrongPlace,
    /// The session has changed since the call was judged.
    #[error("the session has changed since the call was judged")]
    StaleJudgement,
    /// The delegation was enrolled before, or another has its `jti`.
    #[error("the delegation is enrolled already")]
    DelegationKnown,
    /// The decision rests on a delegation that was not enrolled.
    #[error("the delegation is not enrolled")]
    DelegationUnknown,
    /// The execution was decided before.
    #[error("the execution was decided before")]
    ExecutionKnown,
    /// The execution is not one that runs.
    #[error("the execution does not run")]
    ExecutionUnknown,
    /// Executions of the instance still run.
    #[error("executions of the instance still run")]
    StillRunning,
    /// Instances are still in the session.
    #[error("instances are still in the session")]
    StillJoined,
    /// A decision that does not allow uses up limits or approvals.
    #[error("a decision that does not allow uses up limits or approvals")]
    UsedWithoutAllowing,
    /// The counts are not those of the entries before.
    #[error("the counts differ from the entries")]
    WrongCounts,
    /// The approval is not the one that waits, or was used or answered before.
    #[error("no such approval waits")]
    ApprovalUnknown,
    /// An approval for the same action waits already.
    #[error("an approval for the same action waits already")]
    AlreadyAsked,
    /// The answer is for another action, session, policy or display.
    #[error("the answer is for something else")]
    ApprovalMismatch,
    /// The request or the answer is over.
    #[error("the approval has lapsed")]
    ApprovalExpired,
    /// The one who asks may not answer.
    #[error("the requester cannot be the approver")]
    SelfApproval,
    /// The mission names another person who answers.
    #[error("the mission names another approver")]
    OtherApprover,
    /// A name is not one that a log may carry.
    #[error("a name does not fit a log entry")]
    BadName,
}
