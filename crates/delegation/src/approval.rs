use chancery_types::id::{ApprovalId, SessionId};
use chancery_types::{
    CanonicalError, Digest, SignatureVerifier, StrictJsonError, Timestamp, parse_strict,
    to_canonical,
};
use serde::{Deserialize, Serialize};

use crate::webauthn::{Assertion, AssertionError, Credential, VerifiedAssertion, verify_assertion};

const APPROVAL_TAG: &[u8] = b"chancery/approval/v1\0";

/// What a person signs to answer an escalation (decision 9). A canonical document of ours: it
/// binds one action, what was displayed, one session and one policy, and it expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalStatement {
    /// Drawn at random when the approval was requested; used once.
    pub id: ApprovalId,
    /// The answer.
    pub verdict: Verdict,
    /// The digest of the exact action.
    pub action: Digest,
    /// The digest of what was displayed to the person.
    pub display: Digest,
    /// The session that the action belongs to.
    pub session: SessionId,
    /// The digest of the policy bundle that asked.
    pub policy: Digest,
    /// When the answer is over.
    pub expires_at: Timestamp,
}

/// A person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The action may happen.
    Approve,
    /// It may not.
    Deny,
}

/// Why a statement or its assertion is refused.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// Not strict JSON.
    #[error("approval statement is not strict JSON")]
    Json(#[source] StrictJsonError),
    /// Not an approval statement.
    #[error("not an approval statement")]
    Shape(#[source] serde_json::Error),
    /// The statement has no canonical form, or the bytes are another spelling of it.
    #[error("approval statement is not in canonical form")]
    NotCanonical,
    /// The answer is over.
    #[error("approval has expired")]
    Expired,
    /// The assertion does not stand.
    #[error("the approval's assertion does not stand")]
    Assertion(#[source] AssertionError),
}

/// A verified answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The person approved.
    Approved(Approval),
    /// The person denied.
    Denied(Denial),
}

/// A person's signed approval of one action. Only [`verify_approval`] makes one; the session takes
/// it by value and uses it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    statement: ApprovalStatement,
    assertion: VerifiedAssertion,
}

/// A person's signed denial of one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    statement: ApprovalStatement,
    assertion: VerifiedAssertion,
}

impl Approval {
    /// What was approved.
    pub const fn statement(&self) -> &ApprovalStatement {
        &self.statement
    }

    /// The person's assertion.
    pub const fn assertion(&self) -> &VerifiedAssertion {
        &self.assertion
    }
}

impl Denial {
    /// What was denied.
    pub const fn statement(&self) -> &ApprovalStatement {
        &self.statement
    }

    /// The person's assertion.
    pub const fn assertion(&self) -> &VerifiedAssertion {
        &self.assertion
    }
}

impl Answer {
    /// The person's assertion.
    pub const fn assertion(&self) -> &VerifiedAssertion {
        match self {
            Self::Approved(approval) => approval.assertion(),
            Self::Denied(denial) => denial.assertion(),
        }
    }
}

impl ApprovalStatement {
    /// Reads the canonical bytes; refuses every other spelling.
    pub fn parse(bytes: &[u8]) -> Result<Self, ApprovalError> {
        let value = parse_strict(bytes).map_err(ApprovalError::Json)?;
        let statement: Self = serde_json::from_value(value).map_err(ApprovalError::Shape)?;
        match statement.to_bytes() {
            Ok(again) if again == bytes => Ok(statement),
            _ => Err(ApprovalError::NotCanonical),
        }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical(self)
    }

    /// The challenge of the person's assertion: SHA-256 over a tag, a zero byte and the canonical
    /// bytes.
    pub fn challenge(&self) -> Result<Digest, CanonicalError> {
        let canonical = self.to_bytes()?;
        Ok(Digest::of_parts([APPROVAL_TAG, &canonical]))
    }
}

/// Verifies that `credential` signed this statement and that it is not over. Whether the person
/// may answer, and whether the statement is about the action at hand, is the session's to check
/// against [`Approval::statement`].
pub fn verify_approval(
    statement: ApprovalStatement,
    assertion: &Assertion,
    credential: &Credential<'_>,
    now: Timestamp,
    verifier: &dyn SignatureVerifier,
) -> Result<Answer, ApprovalError> {
    let challenge = statement
        .challenge()
        .map_err(|_| ApprovalError::NotCanonical)?;
    let assertion = verify_assertion(assertion, &challenge, credential, verifier)
        .map_err(ApprovalError::Assertion)?;
    if now >= statement.expires_at {
        return Err(ApprovalError::Expired);
    }
    Ok(match statement.verdict {
        Verdict::Approve => Answer::Approved(Approval {
            statement,
            assertion,
        }),
        Verdict::Deny => Answer::Denied(Denial {
            statement,
            assertion,
        }),
    })
}
