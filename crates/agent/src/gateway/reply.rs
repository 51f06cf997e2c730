use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::GatewayError;
use super::events::Events;

/// Most bytes of one message from the gateway.
const MESSAGE_BYTES: usize = 17 << 20;
/// A gateway shows every few seconds that a call is alive.
const SILENCE: Duration = Duration::from_secs(120);

/// The gateway's answer to one MCP message.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// `Mcp-Session-Id`, where the answer opens a session of the legacy era.
    pub session: Option<String>,
    /// What it says.
    pub messages: Messages,
}

/// The JSON-RPC messages of an answer, one after the other: one where the answer is JSON, any number
/// where it is a stream. Dropping it before its end withdraws the call.
#[derive(Debug)]
pub struct Messages {
    address: SocketAddr,
    body: Incoming,
    form: Form,
    ready: VecDeque<Vec<u8>>,
    ended: bool,
}

#[derive(Debug)]
enum Form {
    Stream(Events),
    Json(Vec<u8>),
    /// A body that is not MCP's.
    Other,
}

impl Reply {
    pub(super) fn new(address: SocketAddr, response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let session = head
            .headers
            .get("mcp-session-id")
            .and_then(|value| value.to_str().ok());
        Self {
            status: head.status,
            session: session.map(str::to_owned),
            messages: Messages {
                address,
                body,
                form: Form::of(&head.headers),
                ready: VecDeque::new(),
                ended: false,
            },
        }
    }
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        match essence {
            Some(kind) if kind.eq_ignore_ascii_case("text/event-stream") => {
                Self::Stream(Events::default())
            }
            Some(kind) if kind.eq_ignore_ascii_case("application/json") => Self::Json(Vec::new()),
            _ => Self::Other,
        }
    }
}

impl Messages {
    /// The next message as one line of text; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<String, GatewayError>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(self.line(message));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.read().await {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    async fn read(&mut self) -> Result<(), GatewayError> {
        let address = self.address;
        let frame = timeout(SILENCE, self.body.frame())
            .await
            .map_err(|_| GatewayError::Silent { address })?;
        let Some(frame) = frame else {
            self.ended = true;
            if let Form::Json(body) = &mut self.form
                && !body.is_empty()
            {
                self.ready.push_back(std::mem::take(body));
            }
            return Ok(());
        };
        let frame = frame.map_err(|source| GatewayError::Broken {
            address,
            source: source.into(),
        })?;
        let Ok(data) = frame.into_data() else {
            return Ok(());
        };
        let too_large = || GatewayError::TooLarge { address };
        match &mut self.form {
            Form::Stream(events) => {
                let ready = &mut self.ready;
                let fed = events.feed(&data, MESSAGE_BYTES, |event| ready.push_back(event));
                fed.map_err(|_| too_large())
            }
            Form::Json(body) if body.len().saturating_add(data.len()) > MESSAGE_BYTES => {
                Err(too_large())
            }
            Form::Json(body) => {
                body.extend_from_slice(&data);
                Ok(())
            }
            Form::Other => Ok(()),
        }
    }

    /// Line ends between the tokens of a message become spaces: a line is one message.
    fn line(&self, message: Vec<u8>) -> Result<String, GatewayError> {
        let address = self.address;
        let text = String::from_utf8(message).map_err(|source| GatewayError::Broken {
            address,
            source: source.into(),
        })?;
        let blank = |letter: char| {
            if matches!(letter, '\n' | '\r') {
                ' '
            } else {
                letter
            }
        };
        Ok(text.chars().map(blank).collect())
    }
}
