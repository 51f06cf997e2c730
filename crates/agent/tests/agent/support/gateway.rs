//! A gateway that answers as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chancery_api::gateway::{Presentation, SESSION_PROOF_TYP, SessionProof};
use chancery_api::tls::{TlsIdentity, server_config};
use chancery_crypto::AwsLc;
use chancery_types::jws::Compact;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::world::{GATEWAY, session};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// How the gateway answers an MCP message.
pub(crate) enum Say {
    Json(u16, String),
    Open(&'static str, String),
    Stream(Vec<String>),
    Nothing(u16),
    Hang,
}

type Script = Box<dyn Fn(usize, &Seen) -> Say + Send + Sync>;

pub(crate) struct FakeGateway {
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    task: AbortHandle,
}

pub(crate) struct Shared {
    pub(crate) seen: Mutex<Vec<Seen>>,
    /// Calls that hung and whose client went away.
    pub(crate) withdrawn: AtomicUsize,
    /// Connections that were accepted.
    pub(crate) connections: AtomicUsize,
    /// Refuses to open: the session is open already.
    pub(crate) opened: std::sync::atomic::AtomicBool,
    nonces: Mutex<Vec<String>>,
    calls: AtomicUsize,
    script: Script,
}

struct Hanging(Arc<Shared>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.withdrawn.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for FakeGateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeGateway {
    pub(crate) async fn start(
        identity: &TlsIdentity,
        script: impl Fn(usize, &Seen) -> Say + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, identity, script)
    }

    pub(crate) fn on(
        listener: TcpListener,
        identity: &TlsIdentity,
        script: impl Fn(usize, &Seen) -> Say + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server_config(identity).unwrap()));
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            withdrawn: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            opened: false.into(),
            nonces: Mutex::default(),
            calls: AtomicUsize::new(0),
            script: Box::new(script),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&serving));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        })
        .abort_handle();
        Self {
            address,
            shared,
            task,
        }
    }

    pub(crate) fn stop(&self) {
        self.task.abort();
    }

    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.path == path)
            .cloned()
            .collect()
    }

    pub(crate) async fn wait_withdrawn(&self, count: usize) {
        for _ in 0..200 {
            if self.shared.withdrawn.load(Ordering::SeqCst) >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nothing was withdrawn");
    }

    pub(crate) async fn wait_seen(&self, path: &str, count: usize) -> Vec<Seen> {
        for _ in 0..200 {
            let seen = self.seen(path);
            if seen.len() >= count {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} was not asked {count} times");
    }
}

type Reply = Result<Response<Full<Bytes>>, Infallible>;

fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
    Box::pin(async move {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        let seen = Seen {
            path: head.uri.path().to_owned(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        shared.seen.lock().unwrap().push(seen.clone());
        if seen.path.starts_with("/mcp/") && head.method == http::Method::POST {
            return Ok(mcp(&shared, &seen).await);
        }
        let (status, document) = control(&shared, &seen);
        Ok(response(status, "application/json", document.to_string()))
    })
}

async fn mcp(shared: &Arc<Shared>, seen: &Seen) -> Response<Full<Bytes>> {
    let number = shared.calls.fetch_add(1, Ordering::SeqCst);
    match (shared.script)(number, seen) {
        Say::Json(status, text) => response(status, "application/json", text),
        Say::Open(session, text) => {
            let mut response = response(200, "application/json", text);
            response
                .headers_mut()
                .insert("mcp-session-id", session.parse().unwrap());
            response
        }
        Say::Stream(messages) => {
            let events = messages
                .iter()
                .map(|message| format!("event: message\ndata: {message}\n\n"));
            let text = format!(": alive\n\n{}", events.collect::<String>());
            response(200, "text/event-stream", text)
        }
        Say::Nothing(status) => response(status, "text/plain", String::new()),
        Say::Hang => {
            let _hanging = Hanging(Arc::clone(shared));
            std::future::pending().await
        }
    }
}

fn response(status: u16, kind: &str, text: String) -> Response<Full<Bytes>> {
    let builder = Response::builder()
        .status(status)
        .header("content-type", kind);
    builder.body(Full::new(Bytes::from(text))).unwrap()
}

fn control(shared: &Shared, seen: &Seen) -> (u16, Value) {
    let id = session().to_string();
    let view = json!({
        "session": id,
        "policy": chancery_types::Digest::of("policy"),
        "expires_at": 0,
        "servers": ["files"],
        "ended": false,
    });
    let path = seen.path.replace(&id, "ID");
    match path.as_str() {
        "/v1/challenges" => {
            let mut nonces = shared.nonces.lock().unwrap();
            let nonce = format!("nonce-{}", shared.seen.lock().unwrap().len());
            nonces.push(nonce.clone());
            (200, json!({ "nonce": nonce }))
        }
        "/v1/sessions" if shared.opened.load(Ordering::SeqCst) => (
            409,
            json!({"status": 409, "reason": "session_open", "message": "it is open"}),
        ),
        "/v1/sessions" | "/v1/sessions/ID/join" => match check(shared, &seen.body) {
            Some(()) => (200, view),
            None => (
                403,
                json!({"status": 403, "reason": "bad_proof", "message": "no"}),
            ),
        },
        "/v1/sessions/ID/leave" => (200, json!({})),
        "/v1/sessions/ID/end" => (200, json!({"session": id, "log_index": 9})),
        "/v1/sessions/ID" => (200, view),
        _ => (404, json!({})),
    }
}

/// Each nonce is good for one proof by the leaf's key.
fn check(shared: &Shared, body: &str) -> Option<()> {
    let presentation: Presentation = serde_json::from_str(body).ok()?;
    let links: Vec<&str> = presentation.chain.iter().map(String::as_str).collect();
    let tip = chancery_delegation::ChainTip::read(&links).ok()?;
    let proof = Compact::parse(&presentation.proof).ok()?;
    let claims: SessionProof = serde_json::from_value(Value::Object(proof.claims.clone())).ok()?;
    let mut nonces = shared.nonces.lock().unwrap();
    let nonce = nonces.iter().position(|nonce| *nonce == claims.nonce)?;
    nonces.remove(nonce);
    let good = proof.verify(tip.key(), &AwsLc)
        && proof.header.typ == SESSION_PROOF_TYP
        && claims.aud == GATEWAY
        && claims.cth == tip.digest().to_base64url();
    good.then_some(())
}
