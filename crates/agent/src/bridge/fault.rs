use chancery_types::causes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::opening::OpeningError;
use super::{PresentError, SpawnError};
use crate::gateway::GatewayError;
use crate::session::SessionError;

/// JSON-RPC error codes, the same as the gateway's.
pub(super) mod code {
    pub(in crate::bridge) const INVALID_REQUEST: i64 = -32600;
    pub(in crate::bridge) const INVALID_PARAMS: i64 = -32602;
    pub(in crate::bridge) const PENDING: i64 = 4202;
    pub(in crate::bridge) const DENIED: i64 = 4403;
    pub(in crate::bridge) const UNKNOWN: i64 = 4404;
    pub(in crate::bridge) const UNAVAILABLE: i64 = 4503;
}

/// Why the bridge itself answers with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: i64,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
}

#[derive(Serialize)]
struct Response<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    error: RpcError<'a>,
}

#[derive(Serialize)]
struct RpcError<'a> {
    code: i64,
    message: &'a str,
    data: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: Plain<'a>,
}

#[derive(Serialize)]
struct Plain<'a> {
    reason: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
}

impl Fault {
    pub(super) fn new(code: i64, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            remedy: None,
        }
    }

    pub(super) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// As the response to the request of that id.
    pub(super) fn to_response(&self, id: Option<&str>) -> String {
        let error = RpcError {
            code: self.code,
            message: &self.message,
            data: Details {
                reason: &self.reason,
                remedy: self.remedy.as_deref(),
            },
        };
        let id = id.and_then(|id| serde_json::from_str(id).ok());
        line(&Response {
            jsonrpc: "2.0",
            id,
            error,
        })
    }

    /// As the answer to a first line that was no MCP.
    pub(super) fn to_line(&self) -> String {
        let (reason, message) = (self.reason.as_str(), self.message.as_str());
        line(&Refusal {
            error: Plain {
                reason,
                message,
                remedy: self.remedy.as_deref(),
            },
        })
    }
}

/// A document as one line. None of ours can fail to be written.
pub(super) fn line(document: &impl Serialize) -> String {
    serde_json::to_string(document).unwrap_or_default()
}

impl From<&SessionError> for Fault {
    fn from(error: &SessionError) -> Self {
        let code = match error {
            SessionError::Gateway(GatewayError::Refused(_))
            | SessionError::NoDelegation { .. }
            | SessionError::NotJoined
            | SessionError::OtherKey => code::DENIED,
            _ => code::UNAVAILABLE,
        };
        let fault = Self::new(code, error.reason(), causes(error));
        Self {
            remedy: error.remedy().map(str::to_owned),
            ..fault
        }
    }
}

impl From<GatewayError> for Fault {
    fn from(error: GatewayError) -> Self {
        Self::from(&SessionError::Gateway(error))
    }
}

impl From<OpeningError> for Fault {
    fn from(error: OpeningError) -> Self {
        Self::new(code::INVALID_REQUEST, error.reason(), error.to_string())
            .with_remedy(r#"begin with {"chancery":1,"connect":"SERVER"}"#)
    }
}

impl From<PresentError> for Fault {
    fn from(error: PresentError) -> Self {
        let fault = Self::new(code::DENIED, error.reason(), error.to_string());
        Self {
            remedy: error.remedy().map(str::to_owned),
            ..fault
        }
    }
}

impl From<SpawnError> for Fault {
    fn from(error: SpawnError) -> Self {
        let fault = Self::new(code::DENIED, &error.reason, error.message);
        Self {
            remedy: error.remedy,
            ..fault
        }
    }
}
