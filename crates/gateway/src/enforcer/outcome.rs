use chancery_types::Digest;

use crate::envelope::{Kind, Message};
use crate::json::part;

/// How a permitted call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The server answered with a result.
    Completed,
    /// The server answered with a result that reports a failure of the tool (`isError`), or that has
    /// more than one reading.
    ToolError,
    /// The server wants more before it completes (`resultType: input_required`, or any other but
    /// `complete`).
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

/// How a call ended by a result. One that some reader could take for a failure, or for no end, is no
/// completion: calls that complete earn trust.
fn of_result(response: &Message) -> Status {
    let Some(result) = response.body_members(&["isError", "resultType"]) else {
        return Status::ToolError;
    };
    let member = |name: &str| result.get(name).copied();
    let kind = member("resultType").map(serde_json::from_str::<String>);
    match (member("isError"), kind) {
        (None | Some("false"), None) => Status::Completed,
        (None | Some("false"), Some(Ok(kind))) if kind == "complete" => Status::Completed,
        (None | Some("false"), Some(Ok(_))) => Status::InputRequired,
        _ => Status::ToolError,
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
        let status = match response.kind() {
            Kind::Response { is_error: true, .. } => Status::Failed {
                code: response
                    .body_member("code")
                    .and_then(|raw| raw.parse().ok())
                    .unwrap_or_default(),
            },
            _ => of_result(response),
        };
        let body = response.body_span();
        let body = body.map(|span| part(response.text(), span).as_bytes());
        Self {
            status,
            result_digest: body.map(Digest::of),
            result_bytes: body.map_or(0, |body| body.len() as u64),
            micros,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(result: &str) -> Status {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        let response = Message::from_server(text.into_bytes()).unwrap();
        Outcome::answered(&response, 0).status
    }

    #[test]
    fn what_some_reader_takes_for_no_completion_is_none() {
        for complete in [
            "{}",
            r#"{"content":[]}"#,
            r#"{"isError":false}"#,
            r#"{"resultType":"compl\u0065te"}"#,
        ] {
            assert_eq!(status(complete), Status::Completed, "{complete}");
        }
        for failed in [
            r#"{"isError":true}"#,
            r#"{"isError":"false"}"#,
            r#"{"isError":null}"#,
            r#"{"isError":false,"isError":true}"#,
            r#"{"IsError":true}"#,
            r#"{"resultType":1}"#,
            "null",
            "[]",
        ] {
            assert_eq!(status(failed), Status::ToolError, "{failed}");
        }
        for waits in [
            r#"{"resultType":"input_required"}"#,
            r#"{"resultType":"input\u005frequired"}"#,
            r#"{"resultType":"task"}"#,
        ] {
            assert_eq!(status(waits), Status::InputRequired, "{waits}");
        }
    }
}
