//! What can happen to a session.

use chancery_audit::{
    Assurance, Commitment, Disclosure, EndReason, Label, LeafRef, LeaveReason, OutcomeStatus,
};
use chancery_delegation::{Answer, Consent, Mission, VerifiedChain};
use chancery_types::id::{ApprovalId, ExecutionId, PersonId};
use chancery_types::{Digest, Timestamp};

use crate::{Judgement, Member};

/// What can happen to a session.
#[derive(Debug)]
pub enum Event {
    /// It is opened.
    Open(Box<Opening>),
    /// An instance joins.
    Join(Box<Joining>),
    /// A call was judged; taken only while the session is as it was when judged.
    Decide(Box<Judgement>),
    /// The last entry of an instance is durable.
    Enrolled {
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// Where it stands.
        leaf: LeafRef,
    },
    /// A permitted execution ended.
    Outcome(ExecutionEnd),
    /// A former run left an execution without an outcome.
    Gap(ExecutionId),
    /// An escalated call is put before a person.
    Ask(ApprovalQuestion),
    /// A person answered.
    Answer(Box<Answered>),
    /// An instance is about to hear from a server.
    Visit(Box<Visiting>),
    /// An instance leaves.
    Leave(Leaving),
    /// The session ends.
    End(Ending),
}

/// Limits of the whole session beside the mission's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Most calls.
    pub max_calls: Option<u64>,
    /// Most cost, in millionths.
    pub max_cost_micros: Option<u64>,
}

/// What a session is opened with.
#[derive(Debug)]
pub struct Opening {
    /// The SPIFFE ID of the home gateway.
    pub gateway: Label,
    /// Who opens it.
    pub member: Member,
    /// The chain that it is opened with.
    pub chain: VerifiedChain,
    /// The mission that the chain names.
    pub mission: Mission,
    /// The person's consent to the root; without one the root is asserted.
    pub consent: Option<Consent>,
    /// The person, for the commitment under [`crate::PRINCIPAL`].
    pub principal: Disclosure,
    /// Who runs the agent.
    pub operator: Commitment,
    /// The digest of the policy bundle in force.
    pub policy: Digest,
    /// The digest of the tool catalog in force.
    pub catalog: Digest,
    /// The version of the trust document in force.
    pub trust: u64,
    /// When the session is over at the latest; the mission may end it earlier.
    pub expires: Timestamp,
    /// The gateway's own limits; the mission's hold beside them.
    pub budgets: Budgets,
}

/// What an instance joins with.
#[derive(Debug)]
pub struct Joining {
    /// Who joins.
    pub member: Member,
    /// The chain that it joins with.
    pub chain: VerifiedChain,
    /// The person, to be compared with the commitment of the session.
    pub principal: Disclosure,
}

/// The end of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionEnd {
    /// The execution.
    pub execution: ExecutionId,
    /// How it ended.
    pub status: OutcomeStatus,
    /// The digest of the answer, if there was one.
    pub result: Option<Digest>,
    /// How many bytes it has.
    pub bytes: u64,
    /// How long it took.
    pub micros: u64,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalQuestion {
    /// The escalated execution.
    pub execution: ExecutionId,
    /// Drawn at random.
    pub approval: ApprovalId,
    /// The digest of what is displayed.
    pub displayed: Digest,
    /// When the question lapses.
    pub expires: Timestamp,
    /// The person who wants the action, where one does; may not answer.
    pub requester: Option<PersonId>,
}

/// A verified answer.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// The person whose credential signed it.
    pub approver: PersonId,
    /// The thumbprint of that credential's key.
    pub approver_key: Digest,
    /// The digest of the signed answer among the objects.
    pub evidence: Digest,
}

/// What an instance hears from a server without a decision. [`crate::Open::visiting`] alone makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visiting {
    pub(crate) instance: Label,
    pub(crate) server: Label,
    pub(crate) policy: Digest,
    pub(crate) taint: Vec<Label>,
    pub(crate) reads: Vec<Label>,
}

/// An instance that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// Its SPIFFE ID.
    pub instance: Label,
    /// Why.
    pub reason: LeaveReason,
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: EndReason,
    /// What was revoked of its root, where that is why.
    pub cause: Option<Label>,
    /// The digest of the index of its evidence, where it is known.
    pub evidence: Option<Digest>,
}

/// What a root rests on, from whether the person's consent to it was verified.
pub(crate) const fn assurance(consent: Option<&Consent>) -> Assurance {
    match consent {
        Some(consent) if consent.standing().is_some() => Assurance::Standing,
        Some(_) => Assurance::Consent,
        None => Assurance::Asserted,
    }
}
