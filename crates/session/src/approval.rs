//! Putting an escalated call before a person, and taking the answer.

use chancery_audit::{ApprovalGrant, ApprovalRequest, Verdict};
use chancery_delegation::Answer;
use chancery_types::Timestamp;

use crate::state::Open;
use crate::{Answered, ApprovalQuestion, Fault};

/// The entry that puts an escalated call before a person.
pub(crate) fn ask(open: &Open, question: &ApprovalQuestion) -> Result<ApprovalRequest, Fault> {
    let escalated = open
        .executions
        .escalated(question.execution)
        .ok_or(Fault::ExecutionUnknown)?;
    Ok(ApprovalRequest {
        approval: question.approval,
        session: open.id(),
        instance: escalated.instance.clone(),
        link: open.joined(escalated.instance.as_str())?.next_link()?,
        execution: question.execution,
        action: escalated.action,
        displayed: question.displayed,
        policy: escalated.policy,
        asks: escalated.asks.clone(),
        expires: question.expires.min(open.opened.entry.expires),
        requester: question.requester,
    })
}

/// The entry of a verified answer, once it is shown to be for what waits.
pub(crate) fn answer(
    open: &Open,
    now: Timestamp,
    answered: &Answered,
) -> Result<ApprovalGrant, Fault> {
    let (statement, verdict) = match &answered.answer {
        Answer::Approved(approval) => (approval.statement(), Verdict::Approve),
        Answer::Denied(denial) => (denial.statement(), Verdict::Deny),
    };
    let pending = open
        .approvals
        .pending()
        .get(&statement.id)
        .ok_or(Fault::ApprovalUnknown)?;
    let same = statement.session == open.id()
        && statement.action == pending.action
        && statement.display == pending.displayed
        && statement.policy == pending.policy;
    if !same {
        return Err(Fault::ApprovalMismatch);
    }
    if now >= statement.expires_at {
        return Err(Fault::ApprovalExpired);
    }
    // No key that acts in the session answers for it.
    let acts = open
        .instances
        .values()
        .any(|instance| instance.agent_key == answered.approver_key);
    if acts {
        return Err(Fault::SelfApproval);
    }
    Ok(ApprovalGrant {
        approval: statement.id,
        session: open.id(),
        instance: pending.instance.clone(),
        link: open.joined(pending.instance.as_str())?.next_link()?,
        action: pending.action,
        verdict,
        approver: answered.approver,
        answer: answered.evidence,
        expires: statement.expires_at.min(open.opened.entry.expires),
    })
}
