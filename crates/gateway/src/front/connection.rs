use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Context;
use super::body::read;
use super::outlet::Body;
use super::routes::{Endpoint, Found, Parameters, find};
use super::{headers, hosts, mcp};
use crate::enforcer::ControlRequest;
use crate::peer::Peer;

const STREAMS: u32 = 64;
const HEADER_BYTES: u32 = 16 << 10;

/// One connection, from its handshake to its end.
pub(super) struct Connection {
    pub(super) context: Arc<Context>,
    pub(super) tls: TlsAcceptor,
    pub(super) address: SocketAddr,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Connection {
    pub(super) async fn serve(mut self, stream: TcpStream) {
        // Without it a small answer waits for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let limits = &self.context.limits;
        let stream = match timeout(limits.handshake, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::info!(address = %self.address, %error, "TLS handshake refused");
                return;
            }
            Err(_) => return,
        };
        let Some(peer) = self.identify(&stream) else {
            return;
        };
        let most = self.context.limits.connections_per_peer;
        let Some(_place) = self.context.places.take(peer.name(), most) else {
            tracing::info!(peer = %peer.name(), "a peer has too many connections");
            return;
        };
        let context = Arc::clone(&self.context);
        let service = service_fn(move |request| {
            let (context, peer) = (Arc::clone(&context), Arc::clone(&peer));
            async move { Ok::<_, Infallible>(answer(context, peer, request).await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.context.limits.head);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADER_BYTES);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop(&mut self.stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(address = %self.address, %error, "connection ended");
        }
    }

    fn identify(&self, stream: &TlsStream<TcpStream>) -> Option<Arc<Peer>> {
        let (_, session) = stream.get_ref();
        let certificates: Vec<CertificateDer<'static>> = session
            .peer_certificates()
            .filter(|chain| !chain.is_empty())?
            .iter()
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        match self.context.enforcer.identify(&certificates) {
            Ok(name) => Some(Arc::new(Peer::new(name, certificates, self.address))),
            Err(refusal) => {
                tracing::info!(address = %self.address, %refusal, "peer refused");
                None
            }
        }
    }
}

async fn stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which ends its connections as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn answer(
    context: Arc<Context>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    if !context.hosts.admit(&head) {
        return mcp::empty(StatusCode::FORBIDDEN);
    }
    let (endpoint, parameters) = match find(&head.method, head.uri.path()) {
        Found::Endpoint(endpoint, parameters) => (endpoint, parameters),
        Found::Nothing => return mcp::empty(StatusCode::NOT_FOUND),
        Found::Methods(methods) => {
            let mut response = mcp::empty(StatusCode::METHOD_NOT_ALLOWED);
            if let Ok(methods) = HeaderValue::try_from(methods) {
                response.headers_mut().insert(ALLOW, methods);
            }
            return response;
        }
    };
    let server = parameters.get("server").map(String::as_str);
    let server = server.unwrap_or_default();
    match endpoint {
        Endpoint::McpPost => mcp::post(context, peer, server, head, body).await,
        Endpoint::McpDelete => mcp::delete(context, peer, server, &head).await,
        _ => control(context, peer, endpoint, parameters, &head, body).await,
    }
}

/// Serves an endpoint beside MCP as a task of its own: a client that goes away cannot cut it off
/// half-way.
async fn control(
    context: Arc<Context>,
    peer: Arc<Peer>,
    endpoint: Endpoint,
    parameters: Parameters,
    head: &Parts,
    body: Incoming,
) -> Response<Body> {
    let is_form = headers::is_form(&head.headers);
    let host = hosts::addressed(head).unwrap_or_default().to_owned();
    let body = match read(body, &context.limits).await {
        Ok(body) => body,
        Err(status) => return mcp::empty(status),
    };
    let request = ControlRequest {
        endpoint,
        parameters,
        body,
        is_form,
        host,
    };
    let (answer, answered) = oneshot::channel();
    let enforcer = Arc::clone(&context.enforcer);
    context.tasks.spawn(async move {
        let reply = enforcer.control(&peer, request).await;
        // Fails when the client went away; what was done is done.
        let _ = answer.send(reply);
    });
    match answered.await {
        Ok(reply) => {
            let mut response = mcp::json(reply.status, reply.body);
            let value = HeaderValue::from_static("no-store");
            response.headers_mut().insert(CACHE_CONTROL, value);
            response
        }
        Err(_) => mcp::empty(StatusCode::SERVICE_UNAVAILABLE),
    }
}
