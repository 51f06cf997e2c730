//! Refusals on the wire.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// A refusal: what went wrong, as a code for programs and a sentence for people, and what to do
/// about it. Internal detail stays in the log of the process that refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({reason})")]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable code, one for each cause.
    pub reason: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<String>,
}

impl Problem {
    /// A refusal with that status and code.
    pub fn new(status: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            reason: reason.to_owned(),
            message: message.into(),
            remedy: None,
        }
    }

    /// The caller sent something unacceptable.
    pub fn bad_request(reason: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, message)
    }

    /// The caller may not.
    pub fn forbidden(reason: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, reason, message)
    }

    /// There is no such thing.
    pub fn not_found(reason: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason, message)
    }

    /// The state does not admit it.
    pub fn conflict(reason: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, reason, message)
    }

    /// Something that is needed is out of reach.
    pub fn unavailable(reason: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason, message)
    }

    /// Something failed inside; `detail` goes to the log and not to the caller.
    pub fn internal(reason: &str, detail: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(reason, error = detail, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            reason,
            "internal error; see the process's log",
        )
    }

    /// This refusal with a remedy.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self)).into_response()
    }
}
