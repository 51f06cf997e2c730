use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use serde_json::Value;

use super::tls::connect;

/// An HTTP/1 client with a certificate, one request at a time.
pub(crate) struct Client(SendRequest<Full<Bytes>>);

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    /// The error code of the answer.
    pub(crate) fn code(&self) -> i64 {
        self.json()["error"]["code"].as_i64().unwrap_or_default()
    }

    /// The data of the events in the answer.
    pub(crate) fn events(&self) -> Vec<Value> {
        assert_eq!(self.headers["content-type"], "text/event-stream");
        let data = self
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }
}

pub(crate) const BOTH: (&str, &str) = ("accept", "application/json, text/event-stream");
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":"p"}"#;

/// The parameters of a stateless request.
pub(crate) fn params(members: &str) -> String {
    format!("{{{members}{META}}}")
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let stream = connect(address, config).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn start(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost");
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        self.0.ready().await.unwrap();
        self.0.send_request(request).await.unwrap()
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let (head, body) = self.start(method, path, headers, body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Calls a tool in the stateless era.
    pub(crate) async fn call(&mut self, server: &str, tool: &str) -> Reply {
        let members = format!(r#""name":"{tool}","arguments":{{}},"#);
        self.stateless(server, "tools/call", Some(tool), &params(&members))
            .await
    }

    pub(crate) async fn stateless(
        &mut self,
        server: &str,
        method: &str,
        name: Option<&str>,
        params: &str,
    ) -> Reply {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let mut headers = vec![
            BOTH,
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        headers.extend(name.map(|name| ("mcp-name", name)));
        let path = format!("/mcp/{server}");
        self.send("POST", &path, &headers, body).await
    }

    /// Opens a session of the legacy era.
    pub(crate) async fn initialize(&mut self, server: &str) -> String {
        let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let path = format!("/mcp/{server}");
        let reply = self.send("POST", &path, &[BOTH], body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        let id = reply.headers["mcp-session-id"].to_str().unwrap().to_owned();
        let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let reply = self.legacy(server, &id, told).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED);
        id
    }

    pub(crate) async fn legacy(&mut self, server: &str, session: &str, body: &str) -> Reply {
        let headers = [
            BOTH,
            ("mcp-protocol-version", "2025-11-25"),
            ("mcp-session-id", session),
        ];
        let path = format!("/mcp/{server}");
        self.send("POST", &path, &headers, body.to_owned()).await
    }
}
