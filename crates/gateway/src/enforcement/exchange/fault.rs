use bytes::Bytes;
use chancery_api::oauth::TokenRefusal;
use chancery_types::id::{ApprovalId, ExecutionId};
use http::StatusCode;

use crate::enforcement::reasons::said;
use crate::enforcer::{ControlReply, Pending, Refusal};

/// Why no token is issued: OAuth's code for clients that know nothing of us, and our own.
#[derive(Debug)]
pub(super) struct Fault {
    reason: &'static str,
    text: String,
    execution: Option<ExecutionId>,
    waits: Option<(ApprovalId, u64)>,
}

impl From<&'static str> for Fault {
    fn from(reason: &'static str) -> Self {
        Self {
            reason,
            text: said(reason).to_owned(),
            execution: None,
            waits: None,
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        // The code stands beside the text here.
        let code = format!(" ({})", refusal.reason);
        let text = refusal.text.strip_suffix(&code).unwrap_or(&refusal.text);
        Self {
            reason: refusal.reason,
            text: text.to_owned(),
            execution: refusal.execution,
            waits: None,
        }
    }
}

impl From<Pending> for Fault {
    fn from(pending: Pending) -> Self {
        Self {
            reason: "approval_pending",
            text: "a person is asked to approve this exchange; repeat it to learn the answer"
                .into(),
            execution: Some(pending.execution),
            waits: Some((pending.approval, pending.retry_after_seconds)),
        }
    }
}

impl Fault {
    /// The same with what somebody else said.
    pub(super) fn because(mut self, reason: &str) -> Self {
        self.text = format!("{} ({reason})", self.text);
        self
    }

    /// The same of an execution that is enrolled.
    pub(super) fn under(mut self, execution: ExecutionId) -> Self {
        self.execution = self.execution.or(Some(execution));
        self
    }

    pub(super) fn to_reply(&self) -> ControlReply {
        let (status, error) = error_of(self.reason);
        let refusal = TokenRefusal {
            error: error.to_owned(),
            error_description: self.text.clone(),
            reason: self.reason.to_owned(),
            execution: self.execution.map(|execution| execution.to_string()),
            approval: self.waits.map(|(approval, _)| approval.to_string()),
            interval: self.waits.map(|(_, seconds)| seconds),
        };
        ControlReply {
            status,
            body: Bytes::from(serde_json::to_vec(&refusal).unwrap_or_default()),
        }
    }
}

/// OAuth's code of a reason (RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 9396 section 5).
fn error_of(reason: &str) -> (StatusCode, &'static str) {
    let bad = StatusCode::BAD_REQUEST;
    match reason {
        "exchange_grant_type" => (bad, "unsupported_grant_type"),
        "exchange_scope" => (bad, "invalid_scope"),
        "exchange_details" => (bad, "invalid_authorization_details"),
        "exchange_target" | "not_in_scope" | "not_in_catalog" | "chain_forbid"
        | "policy_no_match" | "policy_forbid" | "policy_error" | "mission_forbid"
        | "approval_denied" | "approval_expired" => (bad, "invalid_target"),
        "exchange_actor"
        | "exchange_form"
        | "exchange_token_type"
        | "malformed"
        | "too_long"
        | "unknown_argument"
        | "ambiguous_argument"
        | "bad_arguments"
        | "delegation_missing" => (bad, "invalid_request"),
        "approval_pending" => (bad, "authorization_pending"),
        "pop_missing"
        | "pop_bad_signature"
        | "pop_mismatch"
        | "pop_stale"
        | "replay"
        | "holder_mismatch"
        | "certificate_invalid"
        | "credential_expired" => (StatusCode::UNAUTHORIZED, "invalid_client"),
        "exchange_unavailable"
        | "snapshot_stale"
        | "snapshot_expired"
        | "snapshot_missing"
        | "catalog_unavailable"
        | "clock_stepped_back"
        | "log_unavailable"
        | "object_store"
        | "mission_unavailable"
        | "random_unavailable" => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        _ => (bad, "invalid_grant"),
    }
}
