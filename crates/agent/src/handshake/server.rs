use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chancery_api::Problem;
use chancery_api::tls::server_config;
use chancery_identity::SpiffeId;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::channel::Channel;
use super::connections::{Connections, MOST_PER_ADDRESS, MOST_PER_PEER};
use super::error::HandshakeError;
use super::service::{ChannelMemory, HandshakeService, refuse};
use super::wire::MESSAGE_BYTES;
use crate::svid::OwnSvid;

const CONNECTIONS: usize = 256;
const HEADER_BYTES: usize = 48 << 10;
const TLS: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(10);
/// A handshake takes a minute at most; what lives longer is not one.
const CONNECTION: Duration = Duration::from_secs(300);

/// Serves handshakes on an address, by mutual TLS with the instance's X.509-SVID.
#[derive(Debug)]
pub struct HandshakeServer {
    listener: TcpListener,
    svid: OwnSvid,
    service: Arc<HandshakeService>,
    connections: Connections<SpiffeId>,
}

impl HandshakeServer {
    /// Listens; serves once [`HandshakeServer::serve`] runs.
    pub async fn bind(
        address: SocketAddr,
        svid: OwnSvid,
        service: Arc<HandshakeService>,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            svid,
            service,
            connections: Connections::new(MOST_PER_PEER),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready. Fails when the own SVID cannot be used.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), HandshakeError> {
        let mut config = server_config(self.svid.identity())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = TlsAcceptor::from(Arc::new(config));
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let addresses = Connections::new(MOST_PER_ADDRESS);
        tokio::pin!(stop);
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return Ok(()),
                accepted = self.listener.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::error!(%error, "accept failed");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            while tasks.try_join_next().is_some() {}
            // Before TLS nobody is known but by the address.
            let Some(counted) = addresses.count(&address.ip().to_canonical()) else {
                continue;
            };
            // Who finds no place is dropped: waiting for one would let others take them all.
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                continue;
            };
            let connection = Connection {
                tls: tls.clone(),
                svid: self.svid.clone(),
                service: Arc::clone(&self.service),
                connections: self.connections.clone(),
            };
            tasks.spawn(async move {
                let _place = (place, counted);
                let served = timeout(CONNECTION, connection.serve(stream)).await;
                if served.is_err() {
                    tracing::debug!("a connection lived too long");
                }
            });
        }
    }
}

struct Connection {
    tls: TlsAcceptor,
    svid: OwnSvid,
    service: Arc<HandshakeService>,
    connections: Connections<SpiffeId>,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let stream = match timeout(TLS, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::info!(%error, "a peer was refused by TLS");
                return;
            }
            Err(_) => return,
        };
        let channel = match Channel::of(stream.get_ref().1, self.svid.identity()) {
            Ok(channel) => channel,
            Err(error) => {
                tracing::info!(%error, "a peer was refused");
                return;
            }
        };
        let Some(_counted) = self.connections.count(channel.peer()) else {
            tracing::info!(peer = %channel.peer(), "a peer has too many connections");
            return;
        };
        let memory = ChannelMemory::default();
        let (service, channel, memory) = (&self.service, &channel, &memory);
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| async move {
                    Ok::<_, Infallible>(answer(service, channel, memory, request).await)
                }),
            );
        if let Err(error) = serving.await {
            tracing::debug!(%error, "a connection ended");
        }
    }
}

async fn answer(
    service: &HandshakeService,
    channel: &Channel,
    memory: &ChannelMemory,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let reading = Limited::new(body, MESSAGE_BYTES).collect();
    let body = match timeout(BODY, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return refuse(&Problem::new(
                status,
                "too_large",
                "the message is too long",
            ));
        }
        Err(_) => {
            let status = StatusCode::REQUEST_TIMEOUT;
            return refuse(&Problem::new(
                status,
                "timeout",
                "the message took too long",
            ));
        }
    };
    service
        .answer(channel, memory, Request::from_parts(head, body))
        .await
}
