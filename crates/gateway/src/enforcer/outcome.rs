use chancery_types::Digest;

use crate::envelope::{Kind, Message};

/// How a permitted call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The server answered with a result.
    Completed,
    /// The server answered with a result that reports a failure of the tool (`isError`).
    ToolError,
    /// The server wants more input before it completes (`resultType: input_required`).
    InputRequired,
    /// The server answered with a JSON-RPC error.
    Failed {
        /// Its code; zero where it has none.
        code: i64,
    },
    /// The client went away or withdrew the call after it was forwarded.
    Cancelled,
    /// The server was silent for too long.
    TimedOut,
    /// The server ended before it answered.
    Gone,
    /// The call did not reach the server.
    NotForwarded,
}

impl Status {
    /// The status by its name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ToolError => "tool-error",
            Self::InputRequired => "input-required",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed-out",
            Self::Gone => "gone",
            Self::NotForwarded => "not-forwarded",
        }
    }
}

/// The end of one permitted call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// The digest of the raw bytes of the `result` or `error` that the server sent, if it did.
    pub result_digest: Option<Digest>,
    /// How many bytes these were.
    pub result_bytes: u64,
    /// From the decision to the end.
    pub micros: u64,
}

impl Outcome {
    /// The end of a call without an answer.
    pub(crate) const fn unanswered(status: Status, micros: u64) -> Self {
        Self {
            status,
            result_digest: None,
            result_bytes: 0,
            micros,
        }
    }

    /// The end of a call by the server's answer.
    pub(crate) fn answered(response: &Message, micros: u64) -> Self {
        let member = |name| response.body_member(name);
        let status = match response.kind() {
            Kind::Response { is_error: true, .. } => Status::Failed {
                code: member("code")
                    .and_then(|raw| raw.parse().ok())
                    .unwrap_or_default(),
            },
            _ if member("isError") == Some("true") => Status::ToolError,
            _ if member("resultType") == Some("\"input_required\"") => Status::InputRequired,
            _ => Status::Completed,
        };
        let body = response.body().map(|raw| raw.get().as_bytes());
        Self {
            status,
            result_digest: body.map(Digest::of),
            result_bytes: body.map_or(0, |body| body.len() as u64),
            micros,
        }
    }
}
