use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::answer::Served;
use crate::connections::Taken;

/// How long a handshake may take, and the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// How long one connection is kept.
const CONNECTION: Duration = Duration::from_secs(60);

/// Most requests that one connection has open, and bytes of the head of each.
const STREAMS: u32 = 16;
const HEADER_BYTES: u32 = 16 << 10;

/// Serves one connection, for a minute at most.
pub(super) async fn serve_for_a_while(
    stream: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    served: Arc<Served>,
    _taken: Taken,
) {
    if timeout(CONNECTION, serve(stream, tls, served))
        .await
        .is_err()
    {
        tracing::debug!(%peer, "a connection was kept long enough");
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, served: Arc<Served>) {
    let stream = match timeout(HEAD, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake refused");
            return;
        }
        Err(_) => return,
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let served = Arc::clone(&served);
        // Nothing that is answered depends on a body or on who asks.
        let (head, _) = request.into_parts();
        async move { Ok::<_, Infallible>(served.answer(&head).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES);
    if let Err(error) = builder
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "connection ended");
    }
}
