use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ALLOW, CONTENT_TYPE};
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use chancery_tlog::{MAX_ADD_CHECKPOINT_BYTES, RecordedSize};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Refusal, Witness};
use crate::accept::serve_each;

const HEADER_BYTES: usize = 16 << 10;
/// How long a connection may rest between requests.
const HEAD: Duration = Duration::from_secs(60);
const BODY: Duration = Duration::from_secs(10);

const TEXT: &str = "text/plain; charset=utf-8";

/// Serves a witness over HTTP/1.1: `POST /add-checkpoint`, and for monitors
/// `GET /<SHA-256 of the origin in hexadecimal>/checkpoint`. Connections are kept open. Whoever can
/// reach it may ask: the signature of the log in the request is what counts.
#[derive(Debug)]
pub struct WitnessServer {
    listener: TcpListener,
    witness: Arc<Witness>,
    clock: fn() -> u64,
}

impl WitnessServer {
    /// Listens; serves once [`WitnessServer::serve`] runs. `clock` says the seconds since the
    /// epoch.
    pub async fn bind(
        address: SocketAddr,
        witness: Arc<Witness>,
        clock: fn() -> u64,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            witness,
            clock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready. No peer takes all places: whoever finds none is dropped.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let serve = |stream| serve_connection(stream, Arc::clone(&self.witness), self.clock);
        serve_each(&self.listener, stop, serve).await;
    }
}

async fn serve_connection(stream: TcpStream, witness: Arc<Witness>, clock: fn() -> u64) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| {
                let witness = Arc::clone(&witness);
                async move { Ok::<_, Infallible>(answer(witness, clock, request).await) }
            }),
        );
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn answer(
    witness: Arc<Witness>,
    clock: fn() -> u64,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    match head.uri.path() {
        "/add-checkpoint" if head.method == Method::POST => {
            add_checkpoint(witness, clock, body).await
        }
        "/add-checkpoint" => not_allowed("POST"),
        path => match monitored(path) {
            Some(folder) if matches!(head.method, Method::GET | Method::HEAD) => {
                match witness.latest(folder) {
                    Some(note) => respond(StatusCode::OK, TEXT, note),
                    None => respond(StatusCode::NOT_FOUND, TEXT, "never cosigned\n"),
                }
            }
            Some(_) => not_allowed("GET, HEAD"),
            None => respond(StatusCode::NOT_FOUND, TEXT, "no such place\n"),
        },
    }
}

/// The folder that a path of a monitor names.
fn monitored(path: &str) -> Option<&str> {
    let folder = path.strip_prefix('/')?.strip_suffix("/checkpoint")?;
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (folder.len() == 64 && folder.bytes().all(hex)).then_some(folder)
}

async fn add_checkpoint(
    witness: Arc<Witness>,
    clock: fn() -> u64,
    body: Incoming,
) -> Response<Full<Bytes>> {
    let reading = Limited::new(body, MAX_ADD_CHECKPOINT_BYTES).collect();
    let body = match timeout(BODY, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = "the request is too long\n";
            return respond(StatusCode::PAYLOAD_TOO_LARGE, TEXT, text);
        }
        Ok(Err(_)) => return respond(StatusCode::BAD_REQUEST, TEXT, "the request broke off\n"),
        Err(_) => {
            let text = "the request took too long\n";
            return respond(StatusCode::REQUEST_TIMEOUT, TEXT, text);
        }
    };
    // A task of its own: a client that goes away cannot cut it off half-way.
    let judged = spawn_blocking(move || witness.add_checkpoint(&body, clock())).await;
    match judged {
        Ok(Ok(lines)) => respond(StatusCode::OK, TEXT, lines.to_string()),
        Ok(Err(refusal)) => refused(&refusal),
        Err(error) => {
            tracing::error!(%error, "a request was not judged");
            respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "not judged\n")
        }
    }
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    let error = refusal as &dyn std::error::Error;
    let status = StatusCode::from_u16(refusal.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        tracing::error!(error, "a checkpoint is not cosigned");
    } else {
        tracing::info!(
            error,
            status = status.as_u16(),
            "a checkpoint is not cosigned"
        );
    }
    if let Refusal::Judged(judged) = refusal
        && let Some(size) = judged.recorded_size()
    {
        return respond(status, RecordedSize::CONTENT_TYPE, size.to_string());
    }
    // What went wrong in here is for the own log alone.
    match status.is_server_error() {
        true => respond(status, TEXT, "the witness does not cosign now\n"),
        false => respond(status, TEXT, format!("{refusal}\n")),
    }
}

fn not_allowed(methods: &'static str) -> Response<Full<Bytes>> {
    let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "not by this method\n");
    let methods = HeaderValue::from_static(methods);
    response.headers_mut().insert(ALLOW, methods);
    response
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
