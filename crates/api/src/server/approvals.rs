use chancery_delegation::{ApprovalStatement, Assertion, Verdict};
use chancery_types::id::{ApprovalId, ExecutionId, SessionId};
use chancery_types::{CanonicalError, Digest, Timestamp, to_canonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a person is asked to approve, as it is shown to them. The digest of its canonical form is
/// part of what they sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalSubject {
    /// The instance that asks.
    pub instance: String,
    /// The principal on whose behalf it acts.
    pub principal: String,
    /// The tool server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The arguments in full, as text.
    pub arguments: String,
    /// The mission's digest.
    pub mission_s256: String,
    /// The step of the mission that the call cites; empty where it cites none.
    pub step: String,
    /// The policies that ask.
    pub policies: Vec<String>,
    /// What this session has done so far.
    pub session_calls: u64,
    /// What the instance's conduct in this session has earned.
    pub trust: u64,
    /// The untrusted sources whose content reached the session.
    pub taint: Vec<String>,
    /// For how many seconds an approval holds for this tool and resource; without it, for this action
    /// once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_seconds: Option<u64>,
    /// The sums of the session that the operator set limits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<SumView>,
}

impl ApprovalSubject {
    /// The digest of its canonical form.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        to_canonical(self).map(Digest::of)
    }

    /// What a person says who approves: all that their answer lets pass.
    pub fn approval(&self) -> String {
        match self.grant_seconds {
            None => "Approve exactly this, once".to_owned(),
            Some(seconds) => format!("Approve this tool and resource for {seconds} seconds"),
        }
    }
}

/// A sum of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumView {
    /// How a log names the question about it.
    pub name: String,
    /// What was allowed before the call.
    pub total: u64,
    /// What is allowed without a person.
    pub limit: u64,
}

/// The gateway opens a request for approval.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenApproval {
    /// The request.
    pub approval_id: ApprovalId,
    /// The session.
    pub session_id: SessionId,
    /// The execution that waits.
    pub execution_id: ExecutionId,
    /// The digest of the exact action.
    pub action_digest: Digest,
    /// The digest of the policy bundle in force.
    pub policy_digest: Digest,
    /// When the request ends.
    pub expires_at: Timestamp,
    /// What is shown.
    pub subject: ApprovalSubject,
}

impl OpenApproval {
    /// What a person signs who answers exactly this.
    pub fn statement(&self, verdict: Verdict) -> Result<ApprovalStatement, CanonicalError> {
        Ok(ApprovalStatement {
            id: self.approval_id,
            verdict,
            action: self.action_digest,
            display: self.subject.digest()?,
            session: self.session_id,
            policy: self.policy_digest,
            expires_at: self.expires_at,
        })
    }
}

/// A request for approval and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What the gateway asked.
    pub request: OpenApproval,
    /// Where it stands.
    pub state: ApprovalState,
    /// The signed statement, once answered: canonical JSON.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub statement: Option<Value>,
    /// The person's assertion over the statement, once answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub assertion: Option<Assertion>,
}

/// Where a request for approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalState {
    /// Nobody has answered.
    Pending,
    /// A person approved.
    Approved,
    /// A person refused.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// The gateway needs no answer any more: the session or the instance has gone.
    Withdrawn,
}

/// A person's answer. The server relays it; the gateway verifies it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerApproval {
    /// The statement: canonical JSON.
    pub statement: Value,
    /// The assertion over it.
    pub assertion: Assertion,
}

/// Requests for approval, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// Oldest first.
    pub approvals: Vec<Approval>,
}
