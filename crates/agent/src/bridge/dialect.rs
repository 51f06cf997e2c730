use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::message::Message;
use crate::gateway::McpHeaders;

/// The first revision of MCP without protocol sessions.
const FIRST_STATELESS: &str = "2026-07-28";

/// What a connection's client speaks, as far as headers must say it.
#[derive(Debug, Default)]
pub(super) struct Dialect(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    legacy: Option<Legacy>,
    /// The stateless revision that the client named last.
    stateless: Option<String>,
}

/// An MCP session of the legacy era.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Legacy {
    /// `Mcp-Session-Id`.
    pub(super) session: String,
    /// The revision that was agreed on.
    pub(super) version: Option<String>,
    /// The client's `initialize`, to be said again when the gateway has forgotten the session.
    pub(super) handshake: String,
}

impl Dialect {
    pub(super) fn legacy(&self) -> Option<Legacy> {
        self.lock().legacy.clone()
    }

    pub(super) fn set_legacy(&self, legacy: Legacy) {
        self.lock().legacy = Some(legacy);
    }

    /// The headers that go with a message.
    pub(super) fn headers(&self, message: &Message) -> McpHeaders {
        let method = message.method();
        let mut headers = McpHeaders {
            method: method.and_then(plain),
            name: method
                .and_then(mirrored)
                .and_then(|name| message.param_text(name))
                .map(|name| written(&name)),
            ..McpHeaders::default()
        };
        if method == Some("initialize") {
            return headers;
        }
        let mut state = self.lock();
        if let Some(version) = message.version().and_then(plain) {
            if version.as_str() >= FIRST_STATELESS {
                state.stateless = Some(version.clone());
            }
            headers.version = Some(version);
            return headers;
        }
        match (&state.legacy, &state.stateless) {
            (Some(legacy), _) => {
                headers.session = Some(legacy.session.clone());
                headers.version.clone_from(&legacy.version);
            }
            (None, Some(version)) => headers.version = Some(version.clone()),
            (None, None) => {}
        }
        headers
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The member of `params` that `Mcp-Name` mirrors.
fn mirrored(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

fn plain(text: &str) -> Option<String> {
    is_plain(text).then(|| text.to_owned())
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// A value as a header can carry it: what is not plain ASCII, or looks as if it were encoded, is
/// encoded.
fn written(text: &str) -> String {
    if is_plain(text) && !text.starts_with("=?base64?") {
        text.to_owned()
    } else {
        format!("=?base64?{}?=", BASE64_STANDARD.encode(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(method: &str, params: &str) -> Message {
        Message::parse(format!(
            r#"{{"id":1,"method":"{method}","params":{{{params}}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_stateless_message_is_mirrored() {
        let dialect = Dialect::default();
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        let call = message("tools/call", &format!(r#""name":"grüße",{meta}"#));
        let headers = dialect.headers(&call);
        assert_eq!(headers.version.as_deref(), Some("2026-07-28"));
        assert_eq!(headers.method.as_deref(), Some("tools/call"));
        assert_eq!(headers.name.as_deref(), Some("=?base64?Z3LDvMOfZQ==?="));
        assert_eq!(headers.session, None);
        let told = dialect.headers(&message("notifications/progress", ""));
        assert_eq!(told.version.as_deref(), Some("2026-07-28"));
    }

    #[test]
    fn a_legacy_session_is_kept() {
        let dialect = Dialect::default();
        assert_eq!(dialect.headers(&message("initialize", "")).version, None);
        dialect.set_legacy(Legacy {
            session: "s".to_owned(),
            version: Some("2025-11-25".to_owned()),
            handshake: String::new(),
        });
        let headers = dialect.headers(&message("tools/list", ""));
        assert_eq!(headers.session.as_deref(), Some("s"));
        assert_eq!(headers.version.as_deref(), Some("2025-11-25"));
        assert_eq!(dialect.headers(&message("initialize", "")).session, None);
    }

    #[test]
    fn no_header_carries_what_it_cannot() {
        for text in ["", " a", "a\n", "é", "=?base64?YQ==?=", "a\u{7f}"] {
            assert!(written(text).starts_with("=?base64?"), "{text:?}");
        }
        assert_eq!(written("a b"), "a b");
        let headers = Dialect::default().headers(&message(r"a\r\nHost: b", ""));
        assert_eq!(headers.method, None);
    }
}
