use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chancery_api::tls::client_config;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::GatewayError;
use crate::identity::Gateway;
use crate::svid::OwnSvid;

const CONNECT: Duration = Duration::from_secs(10);
/// A gateway turns a call that takes long into a stream well before that.
const HEAD: Duration = Duration::from_secs(120);
const MOST_KEPT: usize = 16;

/// Connections to one gateway, kept while they are good.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) gateway: Gateway,
    svid: OwnSvid,
    kept: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    generation: u64,
}

impl Connections {
    pub(super) fn new(gateway: Gateway, svid: OwnSvid) -> Self {
        Self {
            gateway,
            svid,
            kept: Mutex::default(),
        }
    }

    /// Sends one request. It is sent again on another connection only when it certainly was not
    /// sent on the first.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, GatewayError> {
        loop {
            let kept = self.take();
            let fresh = kept.is_none();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            match timeout(HEAD, connection.sender.try_send_request(request)).await {
                Ok(Ok(response)) => {
                    self.keep(connection);
                    return Ok(response);
                }
                Ok(Err(mut error)) => match error.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(self.broken(error.into_error())),
                },
                Err(_) => {
                    return Err(GatewayError::Silent {
                        address: self.gateway.address,
                    });
                }
            }
        }
    }

    pub(super) fn broken(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> GatewayError {
        GatewayError::Broken {
            address: self.gateway.address,
            source: source.into(),
        }
    }

    async fn connect(&self) -> Result<Connection, GatewayError> {
        let generation = self.svid.generation();
        let address = self.gateway.address;
        let silent = |_| GatewayError::Silent { address };
        let config = client_config(self.svid.identity(), self.gateway.spiffe_id.clone())?;
        let stream = timeout(CONNECT, TcpStream::connect(address))
            .await
            .map_err(silent)?
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|source| GatewayError::Unreachable { address, source })?;
        let name = ServerName::IpAddress(address.ip().into());
        let stream = timeout(
            CONNECT,
            TlsConnector::from(Arc::new(config)).connect(name, stream),
        )
        .await
        .map_err(silent)?
        .map_err(|source| GatewayError::Handshake { address, source })?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the gateway ended");
            }
        });
        Ok(Connection { sender, generation })
    }

    /// A connection that is idle and of the current SVID.
    fn take(&self) -> Option<Connection> {
        let generation = self.svid.generation();
        let mut kept = self.lock();
        kept.retain(|known| !known.sender.is_closed() && known.generation == generation);
        let idle = kept.iter().position(|known| known.sender.is_ready())?;
        Some(kept.swap_remove(idle))
    }

    /// Its response may still be under way: it is taken again only when it is ready.
    fn keep(&self, connection: Connection) {
        let mut kept = self.lock();
        if kept.len() < MOST_KEPT {
            kept.push(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
