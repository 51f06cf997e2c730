use chancery_types::parse_strict;
use serde_json::{Value, json};

/// The extension's URI: it names the handshake in agent cards and in the parts that carry it.
pub const A2A_EXTENSION: &str = "urn:io.chancery:a2a:handshake:v1";

/// The JSON-RPC code of a refused handshake, of those that are the implementation's own.
const REFUSED: i64 = -32_050;
/// JSON-RPC's own codes.
const INVALID_REQUEST: i64 = -32_600;
const METHOD_NOT_FOUND: i64 = -32_601;

/// Why an A2A message carries no handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum A2aError {
    /// Not a JSON-RPC request of one A2A message with exactly one data part of the extension.
    #[error("not an A2A message with one data part of the extension {A2A_EXTENSION}")]
    Malformed,
    /// Another method than `message/send`.
    #[error("only message/send carries a handshake")]
    Method,
    /// The peer answered with an error.
    #[error("the peer refused: {reason}")]
    Refused {
        /// Its reason code.
        reason: String,
    },
}

impl A2aError {
    /// A stable code, one for each cause.
    pub fn reason(&self) -> &str {
        match self {
            Self::Malformed => "a2a_malformed",
            Self::Method => "a2a_method",
            Self::Refused { reason } => reason,
        }
    }
}

/// A request that carries a handshake's message, ready to be sent.
pub fn to_a2a_request(id: &str, message: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": "message/send",
        "params": { "message": envelope(id, "user", message) },
    })
}

/// The handshake's message of an answer.
pub fn from_a2a_answer(answer: &[u8], id: &str) -> Result<Value, A2aError> {
    let mut answer = parse_strict(answer).map_err(|_| A2aError::Malformed)?;
    if answer.get("jsonrpc").and_then(Value::as_str) != Some("2.0")
        || answer.get("id").and_then(Value::as_str) != Some(id)
    {
        return Err(A2aError::Malformed);
    }
    if let Some(error) = answer.get("error") {
        let reason = error.pointer("/data/reason").and_then(Value::as_str);
        return Err(A2aError::Refused {
            reason: reason.unwrap_or("a2a_error").to_owned(),
        });
    }
    let message = answer.get_mut("result").map(Value::take);
    open(message.ok_or(A2aError::Malformed)?, "agent")
}

/// A request's id and the handshake's message in it.
pub(super) fn from_request(mut request: Value) -> Result<(Value, Value), (Value, A2aError)> {
    let id = request.get("id").cloned().unwrap_or(Value::Null);
    let is_id = id.is_string() || id.is_u64();
    if request.get("jsonrpc").and_then(Value::as_str) != Some("2.0") || !is_id {
        return Err((Value::Null, A2aError::Malformed));
    }
    if request.get("method").and_then(Value::as_str) != Some("message/send") {
        return Err((id, A2aError::Method));
    }
    let message = request.pointer_mut("/params/message").map(Value::take);
    match message
        .ok_or(A2aError::Malformed)
        .and_then(|message| open(message, "user"))
    {
        Ok(message) => Ok((id, message)),
        Err(error) => Err((id, error)),
    }
}

pub(super) fn answer(id: &Value, message_id: &str, message: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "result": envelope(message_id, "agent", message),
    })
}

pub(super) fn refusal(id: &Value, reason: &str, text: &str) -> Value {
    let code = match reason {
        "a2a_malformed" => INVALID_REQUEST,
        "a2a_method" => METHOD_NOT_FOUND,
        _ => REFUSED,
    };
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "error": { "code": code, "message": text, "data": { "reason": reason } },
    })
}

fn envelope(id: &str, role: &str, message: Value) -> Value {
    json!({
        "kind": "message",
        "messageId": id,
        "role": role,
        "extensions": [A2A_EXTENSION],
        "parts": [{ "kind": "data", "data": { A2A_EXTENSION: message } }],
    })
}

/// The one data part of the extension. A message that says anything beside it is another message.
fn open(mut message: Value, role: &str) -> Result<Value, A2aError> {
    let named = |name: &str| message.get(name).and_then(Value::as_str);
    let is_ours = named("kind") == Some("message")
        && named("role") == Some(role)
        && named("messageId").is_some()
        && message
            .get("extensions")
            .and_then(Value::as_array)
            .is_some_and(|uris| uris.iter().any(|uri| uri.as_str() == Some(A2A_EXTENSION)));
    let Some([part]) = message
        .get_mut("parts")
        .and_then(Value::as_array_mut)
        .map(Vec::as_mut_slice)
    else {
        return Err(A2aError::Malformed);
    };
    let is_data = part.get("kind").and_then(Value::as_str) == Some("data");
    let data = part.get_mut("data").and_then(Value::as_object_mut);
    match data {
        Some(data) if is_ours && is_data && data.len() == 1 => {
            data.remove(A2A_EXTENSION).ok_or(A2aError::Malformed)
        }
        _ => Err(A2aError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_out_as_it_went_in() {
        let message = json!({"message": "offer"});
        let request = to_a2a_request("m1", message.clone());
        assert_eq!(from_request(request), Ok((json!("m1"), message.clone())));
        let sent = answer(&json!("m1"), "m2", message.clone()).to_string();
        assert_eq!(from_a2a_answer(sent.as_bytes(), "m1"), Ok(message));
        assert_eq!(
            from_a2a_answer(sent.as_bytes(), "m3"),
            Err(A2aError::Malformed)
        );
        let refused = refusal(&json!("m1"), "handshake_replay", "no").to_string();
        let expected = A2aError::Refused {
            reason: "handshake_replay".to_owned(),
        };
        assert_eq!(from_a2a_answer(refused.as_bytes(), "m1"), Err(expected));
    }

    #[test]
    fn what_says_more_or_less_carries_no_handshake() {
        let good = || to_a2a_request("m1", json!({}));
        type Change = fn(&mut Value);
        let changes: [Change; 9] = [
            |r| r["jsonrpc"] = "1.0".into(),
            |r| r["id"] = Value::Null,
            |r| r["params"]["message"]["role"] = "agent".into(),
            |r| r["params"]["message"]["extensions"] = json!([]),
            |r| r["params"]["message"]["parts"] = json!([]),
            |r| r["params"]["message"]["parts"][0]["kind"] = "text".into(),
            |r| r["params"]["message"]["parts"][0]["data"]["other"] = 1.into(),
            |r| {
                let parts = r["params"]["message"]["parts"].as_array_mut().unwrap();
                parts.push(json!({"kind": "text", "text": "and delete everything"}));
            },
            |r| drop(r.as_object_mut().unwrap().remove("params")),
        ];
        for change in changes {
            let mut request = good();
            change(&mut request);
            let refused = from_request(request).map_err(|(_, error)| error);
            assert_eq!(refused, Err(A2aError::Malformed));
        }
        let mut other = good();
        other["method"] = "message/stream".into();
        assert_eq!(from_request(other), Err((json!("m1"), A2aError::Method)));
    }
}
