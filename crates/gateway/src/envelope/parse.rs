use crate::envelope::{DELEGATION, Kind, Message, Meta, OPINION, OWN, PROOF, STEP, unambiguous};
use crate::json::{Flaw, Span, guard, members, part};
use crate::reply::code;
use crate::request_id::RequestId;

const ENVELOPE_MEMBERS: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS_MEMBERS: &[&str] = &["name", "uri", "arguments", "_meta"];

/// Why a message is refused before anybody judges it. The text names the rule, never the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON in UTF-8.
    #[error("not JSON")]
    NotJson,
    /// An array of messages.
    #[error("batches are not accepted: send one message")]
    Batch,
    /// JSON, but not an object.
    #[error("not a JSON-RPC message")]
    NotObject,
    /// A member twice in one object, or one that differs from a known or another member only by
    /// case: parsers would disagree about what was meant.
    #[error("ambiguous member names")]
    Ambiguous,
    /// Nested beyond what is read.
    #[error("nested too deeply")]
    TooDeep,
    /// `jsonrpc` is not `"2.0"`.
    #[error("jsonrpc must be \"2.0\"")]
    Version,
    /// The id is neither an integer nor a string.
    #[error("id must be an integer or a string")]
    Id,
    /// Neither a request nor a notification nor a response.
    #[error("neither a request nor a notification nor a response")]
    Shape,
    /// `params` or a member of it that the gateway must read has the wrong type.
    #[error("params do not fit the method")]
    Params,
}

impl EnvelopeError {
    /// The JSON-RPC error code that says so.
    pub const fn code(self) -> i64 {
        match self {
            Self::NotJson => code::PARSE_ERROR,
            Self::Params => code::INVALID_PARAMS,
            _ => code::INVALID_REQUEST,
        }
    }
}

impl From<Flaw> for EnvelopeError {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Syntax => Self::NotJson,
            Flaw::Duplicate => Self::Ambiguous,
            Flaw::Depth => Self::TooDeep,
        }
    }
}

pub(super) fn from_client(bytes: Vec<u8>) -> Result<Message, EnvelopeError> {
    let text = String::from_utf8(bytes).map_err(|_| EnvelopeError::NotJson)?;
    guard(&text)?;
    envelope(text)
}

pub(super) fn from_server(bytes: Vec<u8>) -> Result<Message, EnvelopeError> {
    envelope(String::from_utf8(bytes).map_err(|_| EnvelopeError::NotJson)?)
}

#[derive(Default)]
struct Parts {
    version: Option<Span>,
    id: Option<Span>,
    method: Option<Span>,
    params: Option<Span>,
    result: Option<Span>,
    error: Option<Span>,
}

fn envelope(text: String) -> Result<Message, EnvelopeError> {
    let whole = 0..text.len();
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {}
        Some(b'[') => return Err(EnvelopeError::Batch),
        Some(_) => return Err(EnvelopeError::NotObject),
        None => return Err(EnvelopeError::NotJson),
    }
    let mut parts = Parts::default();
    for member in unambiguous(&text, &whole, ENVELOPE_MEMBERS)? {
        match member.name.as_ref() {
            "jsonrpc" => parts.version = Some(member.value),
            "id" => parts.id = Some(member.value),
            "method" => parts.method = Some(member.value),
            "params" => parts.params = Some(member.value),
            "result" => parts.result = Some(member.value),
            "error" => parts.error = Some(member.value),
            _ => {}
        }
    }
    let version = parts.version.as_ref().map(|span| string(&text, span));
    if version.flatten().as_deref() != Some("2.0") {
        return Err(EnvelopeError::Version);
    }
    let kind = kind(&text, &parts)?;
    let meta = match &parts.params {
        Some(params) => meta(&text, params)?,
        None => None,
    };
    Ok(Message {
        kind,
        params: parts.params,
        body: parts.result.or(parts.error),
        meta: meta.map(Box::new),
        text,
    })
}

fn kind(text: &str, parts: &Parts) -> Result<Kind, EnvelopeError> {
    let id = |span: &Span| RequestId::from_json(part(text, span)).ok_or(EnvelopeError::Id);
    let Some(method) = &parts.method else {
        let is_error = match (&parts.result, &parts.error, &parts.params) {
            (Some(_), None, None) => false,
            (None, Some(_), None) => true,
            _ => return Err(EnvelopeError::Shape),
        };
        let id = match &parts.id {
            Some(span) if is_error && part(text, span) == "null" => None,
            Some(span) => Some(id(span)?),
            None if is_error => None,
            None => return Err(EnvelopeError::Id),
        };
        return Ok(Kind::Response { id, is_error });
    };
    if parts.result.is_some() || parts.error.is_some() {
        return Err(EnvelopeError::Shape);
    }
    let method = string(text, method).ok_or(EnvelopeError::Shape)?;
    Ok(match &parts.id {
        Some(span) => Kind::Request {
            id: id(span)?,
            method,
        },
        None => Kind::Notification { method },
    })
}

fn meta(text: &str, params: &Span) -> Result<Option<Meta>, EnvelopeError> {
    if !part(text, params).starts_with('{') {
        return Err(EnvelopeError::Params);
    }
    let params = unambiguous(text, params, PARAMS_MEMBERS)?;
    let Some(member) = params.into_iter().find(|member| member.name == "_meta") else {
        return Ok(None);
    };
    let span = member.value;
    if !part(text, &span).starts_with('{') {
        return Err(EnvelopeError::Params);
    }
    let mut meta = Meta::default();
    for member in members(text, &span)? {
        let place = match member.name.as_ref() {
            DELEGATION => &mut meta.delegation,
            PROOF => &mut meta.proof,
            STEP => &mut meta.step,
            OPINION => &mut meta.opinion,
            "io.modelcontextprotocol/protocolVersion" => &mut meta.version,
            "io.modelcontextprotocol/clientCapabilities" => &mut meta.capabilities,
            "io.modelcontextprotocol/subscriptionId" => &mut meta.subscription,
            "progressToken" => &mut meta.progress,
            name if name.starts_with(OWN) => {
                meta.others.push(member.value);
                continue;
            }
            _ => continue,
        };
        *place = Some(member.value);
    }
    meta.span = span;
    Ok(Some(meta))
}

fn string(text: &str, span: &Span) -> Option<Box<str>> {
    serde_json::from_str(part(text, span)).ok()
}
