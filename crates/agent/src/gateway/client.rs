use std::sync::Arc;

use bytes::Bytes;
use chancery_api::Problem;
use chancery_api::gateway::{Challenge, EndedSession, Presentation, SessionView};
use chancery_api::oauth::{IssuedToken, TOKEN_PATH, TokenRefusal};
use chancery_types::id::SessionId;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::request::Builder;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::de::DeserializeOwned;

use super::connections::Connections;
use super::{GatewayError, Reply};
use crate::identity::Gateway;
use crate::svid::OwnSvid;

/// Most bytes of an answer that is not MCP's.
const ANSWER_BYTES: usize = 1 << 20;

/// Speaks to one gateway by the instance's X.509-SVID, and to nobody who does not prove to be that
/// gateway. Connections are kept and made anew as needed; copies share them.
#[derive(Debug, Clone)]
pub struct GatewayClient(Arc<Connections>);

/// The headers that mirror an MCP message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct McpHeaders {
    /// `MCP-Protocol-Version`.
    pub version: Option<String>,
    /// `Mcp-Session-Id`.
    pub session: Option<String>,
    /// `Mcp-Method`.
    pub method: Option<String>,
    /// `Mcp-Name`, as it is written in a header.
    pub name: Option<String>,
}

impl GatewayClient {
    /// A client of that gateway.
    pub fn new(gateway: Gateway, svid: OwnSvid) -> Self {
        Self(Arc::new(Connections::new(gateway, svid)))
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.0.gateway
    }

    /// A nonce for one session proof.
    pub async fn challenge(&self) -> Result<Challenge, GatewayError> {
        self.control(Method::POST, "/v1/challenges", Bytes::new())
            .await
    }

    /// Opens the session of the presented root.
    pub async fn open(&self, presentation: &Presentation) -> Result<SessionView, GatewayError> {
        self.control(Method::POST, "/v1/sessions", self.json(presentation)?)
            .await
    }

    /// Joins a session that its root's holder opened.
    pub async fn join(
        &self,
        session: SessionId,
        presentation: &Presentation,
    ) -> Result<SessionView, GatewayError> {
        let path = format!("/v1/sessions/{session}/join");
        self.control(Method::POST, &path, self.json(presentation)?)
            .await
    }

    /// Leaves a session; it goes on for the others.
    pub async fn leave(&self, session: SessionId) -> Result<(), GatewayError> {
        let path = format!("/v1/sessions/{session}/leave");
        self.exchange(Method::POST, &path, Bytes::new())
            .await
            .map(drop)
    }

    /// Ends a session for everybody.
    pub async fn end(&self, session: SessionId) -> Result<EndedSession, GatewayError> {
        let path = format!("/v1/sessions/{session}/end");
        self.control(Method::POST, &path, Bytes::new()).await
    }

    /// What this instance may see of a session.
    pub async fn view(&self, session: SessionId) -> Result<SessionView, GatewayError> {
        let path = format!("/v1/sessions/{session}");
        self.control(Method::GET, &path, Bytes::new()).await
    }

    /// Exchanges a chain for an access token; `form` is what the token endpoint takes.
    pub async fn exchange_token(
        &self,
        form: String,
    ) -> Result<Result<IssuedToken, TokenRefusal>, GatewayError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(TOKEN_PATH)
            .header(HOST, self.0.gateway.address.to_string())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))?;
        let (status, body) = self.send(request).await?;
        if status.is_success() {
            return Ok(Ok(self.read(&body)?));
        }
        match serde_json::from_slice(&body) {
            Ok(refusal) => Ok(Err(refusal)),
            Err(_) => Err(GatewayError::Unexpected {
                address: self.0.gateway.address,
                status,
            }),
        }
    }

    /// Sends one MCP message to a tool server, as it is.
    pub async fn call(
        &self,
        server: &str,
        message: String,
        headers: &McpHeaders,
    ) -> Result<Reply, GatewayError> {
        let mut request = self
            .request(Method::POST, &format!("/mcp/{server}"))
            .header(ACCEPT, "application/json, text/event-stream");
        for (name, value) in [
            ("mcp-protocol-version", &headers.version),
            ("mcp-session-id", &headers.session),
            ("mcp-method", &headers.method),
            ("mcp-name", &headers.name),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(Bytes::from(message)))?;
        let response = self.0.send(request).await?;
        Ok(Reply::new(self.0.gateway.address, response))
    }

    /// Ends an MCP session of the legacy era.
    pub async fn close(&self, server: &str, mcp_session: &str) -> Result<(), GatewayError> {
        let request = self
            .request(Method::DELETE, &format!("/mcp/{server}"))
            .header("mcp-session-id", mcp_session)
            .body(Full::default())?;
        self.0.send(request).await.map(drop)
    }

    async fn control<R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<R, GatewayError> {
        let body = self.exchange(method, path, body).await?;
        self.read(&body)
    }

    fn read<R: DeserializeOwned>(&self, body: &[u8]) -> Result<R, GatewayError> {
        serde_json::from_slice(body).map_err(|error| self.0.broken(error))
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), GatewayError> {
        let response = self.0.send(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await;
        let body = body.map_err(|error| self.0.broken(error))?;
        Ok((status, body.to_bytes()))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, GatewayError> {
        let request: Request<_> = self.request(method, path).body(Full::new(body))?;
        let (status, body) = self.send(request).await?;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(GatewayError::Refused(problem)),
            Err(_) => Err(GatewayError::Unexpected {
                address: self.0.gateway.address,
                status,
            }),
        }
    }

    fn request(&self, method: Method, path: &str) -> Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.0.gateway.address.to_string())
            .header(CONTENT_TYPE, "application/json")
    }

    fn json(&self, value: &impl serde::Serialize) -> Result<Bytes, GatewayError> {
        serde_json::to_vec(value)
            .map(Bytes::from)
            .map_err(|error| self.0.broken(error))
    }
}
