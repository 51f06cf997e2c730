//! JSON-RPC errors that the gateway itself answers with.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::enforcer::{Pending, Refusal};
use crate::envelope::{Kind, Message};
use crate::request_id::RequestId;

/// Error codes. Our own lie outside of what JSON-RPC and MCP reserve.
pub mod code {
    /// The body is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The body is not one unambiguous message.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The method is not known.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters do not fit the method.
    pub const INVALID_PARAMS: i64 = -32602;
    /// A header contradicts the body, or is missing.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// A capability that the call needs was not declared.
    pub const MISSING_CAPABILITY: i64 = -32021;
    /// The protocol version is not supported.
    pub const UNSUPPORTED_VERSION: i64 = -32022;
    /// Waits for a person's approval.
    pub const PENDING: i64 = 4202;
    /// Denied; `data.reason` says why.
    pub const DENIED: i64 = 4403;
    /// The transport session is not known.
    pub const UNKNOWN_SESSION: i64 = 4404;
    /// The client withdrew the call.
    pub const CANCELLED: i64 = 4499;
    /// What the server answered may not be passed on.
    pub const WITHHELD: i64 = 4502;
    /// The server could not be started, or ended before it answered.
    pub const UNAVAILABLE: i64 = 4503;
    /// The server was silent for too long.
    pub const TIMED_OUT: i64 = 4504;

    /// What the gateway alone says. Clients act on it: they repeat a call, or join again.
    pub(crate) const OWN: [i64; 7] = [
        PENDING,
        DENIED,
        UNKNOWN_SESSION,
        CANCELLED,
        WITHHELD,
        UNAVAILABLE,
        TIMED_OUT,
    ];
}

/// Whether a server's answer is an error that some reader could take for one of the gateway's own: a
/// client would wait for a person whom nobody asked, and repeat a call that was carried out.
pub(crate) fn claims_to_be_ours(answer: &Message) -> bool {
    let Kind::Response { is_error: true, .. } = answer.kind() else {
        return false;
    };
    let Some(error) = answer.body_members(&["code", "message", "data"]) else {
        return true;
    };
    let Some(code) = error.get("code").copied() else {
        return false;
    };
    let text = serde_json::from_str::<String>(code);
    let number = text.as_deref().unwrap_or(code).trim().parse::<f64>();
    let number = number.map(|number| number.trunc().to_string());
    number.is_ok_and(|number| code::OWN.iter().any(|own| number == own.to_string()))
}

/// An error response without further data.
pub(crate) fn error(id: Option<&RequestId>, code: i64, message: &str) -> Bytes {
    response(id, json!({"code": code, "message": message}))
}

/// A refusal as an error response.
pub(crate) fn denied(id: Option<&RequestId>, refusal: &Refusal) -> Bytes {
    let mut data = json!({"reason": refusal.reason});
    if let (Some(execution), Some(data)) = (refusal.execution, data.as_object_mut()) {
        data.insert("execution".to_owned(), execution.to_string().into());
    }
    response(
        id,
        json!({"code": code::DENIED, "message": refusal.text, "data": data}),
    )
}

/// The answer to a call that waits for a person.
pub(crate) fn pending(id: Option<&RequestId>, pending: &Pending) -> Bytes {
    let data = json!({
        "reason": "approval-pending",
        "execution": pending.execution.to_string(),
        "approval": pending.approval.to_string(),
        "retryAfter": pending.retry_after_seconds,
    });
    response(
        id,
        json!({"code": code::PENDING, "message": pending.text, "data": data}),
    )
}

fn response(id: Option<&RequestId>, error: Value) -> Bytes {
    let mut response = json!({"jsonrpc": "2.0", "error": error});
    if let (Some(id), Some(members)) = (id, response.as_object_mut()) {
        members.insert("id".to_owned(), id.to_value());
    }
    Bytes::from(response.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(error: &str) -> bool {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
        claims_to_be_ours(&Message::from_server(text.into_bytes()).unwrap())
    }

    #[test]
    fn a_server_says_nothing_that_is_the_gateways_to_say() {
        for own in code::OWN {
            assert!(
                claims(&format!(r#"{{"code":{own},"message":"m"}}"#)),
                "{own}"
            );
        }
        for hidden in [
            r#"{"code":4202.0}"#,
            r#"{"code":42.02e2}"#,
            r#"{"code":"4202"}"#,
            r#"{"c\u006fde":4202}"#,
            r#"{"code":1,"code":4202}"#,
            r#"{"code":1,"CODE":4202}"#,
            r#"{"code":1,"Data":{"reason":"not_joined"}}"#,
            "4202",
            "[4202]",
            "null",
        ] {
            assert!(claims(hidden), "{hidden}");
        }
        for other in [
            r#"{"code":-32000,"message":"m","data":{"code":4202}}"#,
            r#"{"code":42020}"#,
            r#"{"code":-4202}"#,
            r#"{"message":"4202"}"#,
            "{}",
        ] {
            assert!(!claims(other), "{other}");
        }
        let result = br#"{"jsonrpc":"2.0","id":1,"result":{"code":4202}}"#.to_vec();
        assert!(!claims_to_be_ours(&Message::from_server(result).unwrap()));
    }
}
