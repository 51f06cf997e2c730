//! Escalations: the question, the answer, what it grants.

use chancery_types::id::{ApprovalId, ExecutionId, PersonId, SessionId};
use chancery_types::{Digest, Timestamp};

use crate::{InstanceLink, Label, Verdict};

body! {
    /// A person is asked whether one exact action may happen.
    pub struct ApprovalRequest = "approval.request" in Gateway {
        /// The request.
        approval: ApprovalId,
        /// The session.
        session: SessionId,
        /// The SPIFFE ID of the instance that wants it.
        instance: Label,
        /// The place in the instance's chain.
        link: InstanceLink,
        /// The execution that was escalated.
        execution: ExecutionId,
        /// The digest of the action.
        action: Digest,
        /// The digest of what is displayed.
        displayed: Digest,
        /// The digest of the policy bundle that asked.
        policy: Digest,
        /// Who asks: policies, or `chain:` and a jti.
        asks: Vec<Label>,
        /// When the request lapses.
        expires: Timestamp,
        [optional]
        /// The person who wants the action, where one does; may not answer.
        requester: PersonId,
    }
}

body! {
    /// A person answered. The signature is among the objects.
    pub struct ApprovalAnswer = "approval.answer" in Server {
        /// The request.
        approval: ApprovalId,
        /// The session.
        session: SessionId,
        /// The digest of the action.
        action: Digest,
        /// The digest of what was displayed.
        displayed: Digest,
        /// The digest of the policy bundle that asked.
        policy: Digest,
        /// What was answered.
        verdict: Verdict,
        /// The person, by a pseudonymous id.
        approver: PersonId,
        /// The digest of the signed answer.
        answer: Digest,
        /// When it lapses.
        expires: Timestamp,
    }
}

body! {
    /// The gateway verified an answer. An approval admits one execution of
    /// exactly the action that was asked for.
    pub struct ApprovalGrant = "approval.grant" in Gateway {
        /// The request.
        approval: ApprovalId,
        /// The session.
        session: SessionId,
        /// The SPIFFE ID of the instance that asked.
        instance: Label,
        /// The place in the instance's chain.
        link: InstanceLink,
        /// The digest of the action.
        action: Digest,
        /// What was answered.
        verdict: Verdict,
        /// The person, by a pseudonymous id.
        approver: PersonId,
        /// The digest of the signed answer.
        answer: Digest,
        /// When it lapses.
        expires: Timestamp,
    }
}
