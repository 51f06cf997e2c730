use std::sync::Arc;
use std::time::Duration;

use chancery_delegation::DraftError;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::dialect::Legacy;
use super::fault::{Fault, code};
use super::mcp::Conversation;
use super::message::{Acting, Message, id_key};
use crate::gateway::{GatewayError, McpHeaders, Reply};
use crate::json::{members, part};
use crate::key::AgentKeyError;
use crate::session::{Joined, SessionError};

/// Between attempts to reach a gateway that is just starting again.
const REACH: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
const LEAST_PAUSE: Duration = Duration::from_millis(100);
const MOST_PAUSE: Duration = Duration::from_secs(30);
const PAUSE_SECONDS: u64 = 5;

/// Proofs say whole seconds: this much later one is not older than a gateway that just started.
const NEXT_SECOND: Duration = Duration::from_millis(1_100);

/// One request of a client, until it is answered. Nothing is left of it when it is aborted: the
/// gateway sees the connection close and withdraws the call.
pub(super) struct Errand {
    conversation: Conversation,
    message: Message,
    acting: Option<Acting>,
    deadline: Instant,
    attempts: usize,
    rejoined: bool,
    renewed: bool,
    proven_again: bool,
    /// Whether the chain was sent again in full.
    repeated: bool,
}

/// The response to the request.
struct Response {
    text: String,
    error: Option<RpcError>,
    /// The revision that `initialize` agreed on.
    version: Option<String>,
}

#[derive(Deserialize)]
struct RpcError {
    code: i64,
    #[serde(default)]
    data: Value,
}

/// Why an attempt has no response.
enum Stop {
    Session(SessionError),
    Fault(Fault),
}

impl<E: Into<SessionError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Session(error.into())
    }
}

impl Errand {
    pub(super) fn new(conversation: Conversation, message: Message) -> Self {
        let deadline = Instant::now() + conversation.context.patience.approval;
        Self {
            acting: message.acting(),
            conversation,
            message,
            deadline,
            attempts: 0,
            rejoined: false,
            renewed: false,
            proven_again: false,
            repeated: false,
        }
    }

    pub(super) async fn run(mut self) {
        let line = match self.answer().await {
            Ok(line) => line,
            Err(fault) => fault.to_response(self.message.id()),
        };
        self.conversation.say(line).await;
    }

    async fn answer(&mut self) -> Result<String, Fault> {
        loop {
            let stop = match self.once().await {
                Ok(Some(line)) => return Ok(line),
                Ok(None) => continue,
                Err(stop) => stop,
            };
            match (stop, REACH.get(self.attempts)) {
                // Nothing was sent.
                (
                    Stop::Session(SessionError::Gateway(GatewayError::Unreachable { .. })),
                    Some(pause),
                ) => {
                    self.attempts = self.attempts.saturating_add(1);
                    sleep(*pause).await;
                }
                (Stop::Session(error), _) => return Err(Fault::from(&error)),
                (Stop::Fault(fault), _) => return Err(fault),
            }
        }
    }

    /// The response, or nothing where the request is to be sent again.
    async fn once(&mut self) -> Result<Option<String>, Stop> {
        let context = &self.conversation.context;
        let joined = context.instance.joined(context.patience.delegation).await?;
        let headers = self.conversation.dialect.headers(&self.message);
        let response = self.send(&joined, &headers).await?;
        let presented = joined.presented(self.conversation.presented.as_ref());
        let Some(error) = &response.error else {
            if self.acting.is_some() {
                presented.note(!self.repeated);
            }
            return Ok(Some(response.text));
        };
        let reason = error.data.get("reason").and_then(Value::as_str);
        match error.code {
            code::DENIED if reason == Some("delegation_reference_unknown") && !self.repeated => {
                self.repeated = true;
                presented.note(false);
            }
            code::PENDING => {
                let pause = pause(&error.data);
                if Instant::now() + pause > self.deadline {
                    return Ok(Some(response.text));
                }
                sleep(pause).await;
            }
            code::DENIED if reason == Some("not_joined") && !self.rejoined => {
                self.rejoined = true;
                self.conversation.context.instance.forget(&joined).await;
            }
            // A gateway that started again takes no proof from before: it may have been used there.
            code::DENIED if reason == Some("pop_stale") && !self.proven_again => {
                self.proven_again = true;
                sleep(NEXT_SECOND).await;
            }
            code::UNKNOWN if headers.session.is_some() && !self.renewed => {
                self.renewed = true;
                self.renew(headers.session.as_deref()).await?;
            }
            _ => return Ok(Some(response.text)),
        }
        Ok(None)
    }

    async fn send(&self, joined: &Arc<Joined>, headers: &McpHeaders) -> Result<Response, Stop> {
        let instance = &self.conversation.context.instance;
        let server = &self.conversation.server;
        let proven = match &self.acting {
            Some(acting) => {
                let presented = self.conversation.presented.as_ref();
                let (call, step) = (acting.call(server), self.message.step());
                let added = instance.authority(joined, presented, self.repeated, call, step);
                self.message.with_meta(&added.map_err(unproven)?)
            }
            None => None,
        };
        let text = proven.unwrap_or_else(|| self.message.text().to_owned());
        let reply = instance.gateway().call(server, text, headers).await?;
        let session = reply.session.clone();
        let response = self.response(reply).await?;
        if self.message.method() == Some("initialize")
            && response.error.is_none()
            && let Some(session) = session
        {
            let handshake = self.message.text().to_owned();
            let version = response.version.clone();
            self.conversation.dialect.set_legacy(Legacy {
                session,
                version,
                handshake,
            });
        }
        Ok(response)
    }

    /// Hands on what precedes the response.
    async fn response(&self, mut reply: Reply) -> Result<Response, Stop> {
        let id = self.message.id().unwrap_or("null");
        while let Some(line) = reply.messages.next().await {
            let line = line?;
            match Response::read(&line, id) {
                Some(response) => return Ok(response),
                None => self.conversation.say(line).await,
            }
        }
        Err(Stop::Fault(self.unanswered(reply.status)))
    }

    fn unanswered(&self, status: StatusCode) -> Fault {
        let server = &self.conversation.server;
        match status {
            StatusCode::NOT_FOUND => {
                let text = format!("the gateway has no tool server {server}");
                Fault::new(code::UNKNOWN, "no_such_server", text)
                    .with_remedy("see which servers the session has, or ask the operator for it")
            }
            status if status.is_success() => {
                let text = "the gateway ended the stream before the answer";
                Fault::new(code::UNAVAILABLE, "gateway_broke_off", text)
            }
            status => {
                let text = format!("the gateway answered {status}");
                Fault::new(code::UNAVAILABLE, "gateway_answer", text)
            }
        }
    }

    /// Opens the legacy session again that the gateway has forgotten, as the client opened it.
    async fn renew(&self, stale: Option<&str>) -> Result<(), Stop> {
        let conversation = &self.conversation;
        let _renewing = conversation.renewing.lock().await;
        let Some(legacy) = conversation.dialect.legacy() else {
            return Ok(());
        };
        if Some(legacy.session.as_str()) != stale {
            return Ok(());
        }
        let gateway = conversation.context.instance.gateway();
        let headers = McpHeaders {
            method: Some("initialize".to_owned()),
            ..McpHeaders::default()
        };
        let mut reply = gateway
            .call(&conversation.server, legacy.handshake.clone(), &headers)
            .await?;
        while let Some(line) = reply.messages.next().await {
            line?;
        }
        let Some(session) = reply.session.filter(|_| reply.status.is_success()) else {
            return Ok(());
        };
        conversation
            .dialect
            .set_legacy(Legacy { session, ..legacy });
        let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned();
        if let Ok(message) = Message::parse(told.clone()) {
            let headers = conversation.dialect.headers(&message);
            gateway.call(&conversation.server, told, &headers).await?;
        }
        Ok(())
    }
}

impl Response {
    /// The message, if it is the response to the request of that id. An error that names no request
    /// is one: it came as the answer to this one, and gets its id.
    fn read(line: &str, id: &str) -> Option<Self> {
        let (mut of, mut error, mut result) = (None, None, None);
        for member in members(line, &(0..line.len())).ok()? {
            match member.name.as_ref() {
                "method" => return None,
                "id" => of = Some(member.value),
                "error" => error = Some(part(line, &member.value).to_owned()),
                "result" => result = Some(member.value),
                _ => {}
            }
        }
        let of = of.map(|of| part(line, &of)).filter(|of| *of != "null");
        let text = match (of, &error) {
            (Some(of), _) if id_key(of) == id_key(id) => line.to_owned(),
            (None, Some(error)) => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#),
            _ => return None,
        };
        let error = error.map(|error| {
            let unreadable = RpcError {
                code: 0,
                data: Value::Null,
            };
            serde_json::from_str(&error).unwrap_or(unreadable)
        });
        let version = result.and_then(|result| version(part(line, &result)));
        Some(Self {
            text,
            error,
            version,
        })
    }
}

fn version(result: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialized {
        protocol_version: String,
    }
    serde_json::from_str::<Initialized>(result)
        .ok()
        .map(|result| result.protocol_version)
}

/// How long the gateway says the answer will take.
fn pause(data: &Value) -> Duration {
    let seconds = data.get("retryAfter").or_else(|| data.get("retry_after"));
    let seconds = seconds.and_then(Value::as_u64).unwrap_or(PAUSE_SECONDS);
    Duration::from_secs(seconds).clamp(LEAST_PAUSE, MOST_PAUSE)
}

fn unproven(error: AgentKeyError) -> Stop {
    match error {
        AgentKeyError::Draft(DraftError::Refused(refusal)) => {
            let text = format!("no proof can be made for this call: {}", refusal.reason);
            Stop::Fault(
                Fault::new(code::INVALID_PARAMS, "bad_arguments", text)
                    .with_remedy("send numbers that a double does not hold exactly as strings"),
            )
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_response_ends_a_request() {
        for other in [
            "",
            "[]",
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"}"#,
            r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":"1","result":{}}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
        ] {
            assert!(Response::read(other, "1").is_none(), "{other}");
        }
        let own = r#"{"jsonrpc":"2.0", "id": 1 ,"result":{"x":1.0}}"#;
        assert_eq!(Response::read(own, "1").unwrap().text, own);
    }

    #[test]
    fn an_error_without_an_id_gets_the_requests() {
        let line = r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"m"}}"#;
        let response = Response::read(line, r#""a""#).unwrap();
        assert_eq!(
            response.text,
            r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32600,"message":"m"}}"#
        );
        assert_eq!(response.error.unwrap().code, -32600);
    }

    #[test]
    fn pauses_are_bounded() {
        for (seconds, pause_) in [
            (0, LEAST_PAUSE),
            (7, Duration::from_secs(7)),
            (9999, MOST_PAUSE),
        ] {
            assert_eq!(pause(&serde_json::json!({ "retryAfter": seconds })), pause_);
        }
        assert_eq!(pause(&Value::Null), Duration::from_secs(PAUSE_SECONDS));
    }
}
