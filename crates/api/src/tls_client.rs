//! A client of the server over TLS: what a node on another host speaks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chancery_identity::{CHANNEL_LABEL, NodeChannel};
use http::{Method, Request, header};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ConnectionCommon, SideData};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::read;
use crate::{ClientError, Problem};

/// How long it may take to be connected.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an answer may take: longer than the server lets anybody wait.
const ANSWER: Duration = Duration::from_secs(90);

/// How often an idle connection is asked whether the other side is there still, and how long that may
/// take to be answered.
const ALIVE: Duration = Duration::from_secs(5);

/// Sent as the name of the server; who it is, its SVID says.
const NAME: &str = "chancery";

type Sender = http2::SendRequest<Full<Bytes>>;
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Speaks HTTP/2 and JSON over mutual TLS, all requests on one connection, which is opened again when
/// it breaks.
#[derive(Clone)]
pub struct TlsClient(Arc<Inner>);

struct Inner {
    /// Host and port.
    server: String,
    tls: TlsConnector,
    kept: Mutex<Option<Sender>>,
    /// Why the server does not know this node any more.
    turned_away: watch::Sender<Option<Problem>>,
}

/// What a server says to whoever is no node of its any more, for good.
const TURNED_AWAY: [&str; 2] = ["node_evicted", "node_unknown"];

/// What a TLS connection exports for proofs of nodes.
pub fn node_channel<D: SideData>(
    connection: &ConnectionCommon<D>,
) -> Result<NodeChannel, rustls::Error> {
    let exported = connection.export_keying_material([0; 32], CHANNEL_LABEL.as_bytes(), None)?;
    Ok(NodeChannel::new(exported))
}

/// One connection to the server, for requests that are bound to it. It ends with this value.
pub struct BoundClient {
    server: String,
    channel: NodeChannel,
    sender: http1::SendRequest<Full<Bytes>>,
    connection: JoinHandle<Result<(), hyper::Error>>,
}

impl BoundClient {
    /// Connects to the server at `server` (`HOST:PORT`).
    pub async fn connect(server: &str, config: ClientConfig) -> Result<Self, ClientError> {
        let connecting = async {
            let tls = connector(config, b"http/1.1");
            let stream = to_server(server, &tls).await?;
            let channel = node_channel(stream.get_ref().1)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            Ok((channel, sender, tokio::spawn(connection)))
        };
        let connected = timeout(ANSWER, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err("no answer in time".into()));
        let (channel, sender, connection) = connected.map_err(|source| remote(server, source))?;
        Ok(Self {
            server: server.to_owned(),
            channel,
            sender,
            connection,
        })
    }

    /// What proofs on this connection are bound to.
    pub const fn channel(&self) -> NodeChannel {
        self.channel
    }

    /// Asks with POST.
    pub async fn post<T: Serialize, R: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &T,
    ) -> Result<R, ClientError> {
        let body = serde_json::to_vec(body).map_err(|source| self.failed(source))?;
        let request = request(Method::POST, path, body.into());
        let request = request.map_err(|source| self.failed(source))?;
        let asked = async {
            // The answer before this one may not have been taken in as a whole.
            self.sender.ready().await?;
            Ok::<_, Failure>(self.sender.send_request(request).await?)
        };
        let asked = timeout(ANSWER, asked).await;
        let asked = asked.unwrap_or_else(|_| Err("no answer in time".into()));
        let answer = asked.map_err(|source| self.failed(source))?;
        read(answer, |source| self.failed(source)).await
    }

    fn failed(&self, source: impl Into<Failure>) -> ClientError {
        remote(&self.server, source.into())
    }
}

impl Drop for BoundClient {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl fmt::Debug for BoundClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundClient")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

fn remote(server: &str, source: Failure) -> ClientError {
    ClientError::Remote {
        server: server.to_owned(),
        source,
    }
}

impl TlsClient {
    /// A client of the server at `server` (`HOST:PORT`), with the SVID that the configuration has.
    pub fn new(server: impl Into<String>, config: ClientConfig) -> Self {
        Self(Arc::new(Inner {
            server: server.into(),
            tls: connector(config, b"h2"),
            kept: Mutex::default(),
            turned_away: watch::Sender::new(None),
        }))
    }

    /// Lets go of the connection: the next request opens one, with the SVID of then.
    pub async fn reconnect(&self) {
        self.0.kept.lock().await.take();
    }

    /// Waits until the server says to any request that this is no node of its any more.
    pub async fn turned_away(&self) -> Problem {
        let mut told = self.0.turned_away.subscribe();
        match told.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(problem)) => problem.clone(),
            _ => std::future::pending().await,
        }
    }

    /// Asks with GET.
    pub async fn get<R: DeserializeOwned>(&self, path: &str) -> Result<R, ClientError> {
        self.request(Method::GET, path, Bytes::new()).await
    }

    /// Asks with POST.
    pub async fn post<T: Serialize + Sync, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &T,
    ) -> Result<R, ClientError> {
        let body = serde_json::to_vec(body).map_err(|source| self.0.failed(source))?;
        self.request(Method::POST, path, body.into()).await
    }

    /// Asks once with POST on a connection of its own, with a body that is made for that connection.
    pub async fn post_bound<T: Serialize, R: DeserializeOwned>(
        server: &str,
        config: ClientConfig,
        path: &str,
        body: impl FnOnce(NodeChannel) -> Result<T, Failure>,
    ) -> Result<R, ClientError> {
        let mut bound = BoundClient::connect(server, config).await?;
        let body = body(bound.channel()).map_err(|source| bound.failed(source))?;
        bound.post(path, &body).await
    }

    async fn request<R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<R, ClientError> {
        let asked = async {
            let uri = format!("https://{NAME}{path}");
            let again = request(method.clone(), &uri, body.clone())?;
            let mut sender = self.0.sender().await?;
            match sender.send_request(request(method, &uri, body)?).await {
                // A connection that broke before anything was sent on it.
                Err(error) if error.is_canceled() => {
                    self.reconnect().await;
                    let mut sender = self.0.sender().await?;
                    Ok::<_, Failure>(sender.send_request(again).await?)
                }
                sent => Ok(sent?),
            }
        };
        let asked = timeout(ANSWER, asked).await;
        let answer = asked.unwrap_or_else(|_| Err("no answer in time".into()));
        let answer = answer.map_err(|source| self.0.failed(source))?;
        let read = read(answer, |source| self.0.failed(source)).await;
        if let Err(ClientError::Refused(problem)) = &read
            && TURNED_AWAY.contains(&problem.reason.as_str())
        {
            self.0.turned_away.send_replace(Some(problem.clone()));
        }
        read
    }
}

impl Inner {
    async fn sender(&self) -> Result<Sender, Failure> {
        let mut kept = self.kept.lock().await;
        if let Some(sender) = kept.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = to_server(&self.server, &self.tls).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the server ended");
            }
        });
        *kept = Some(sender.clone());
        Ok(sender)
    }

    fn failed(&self, source: impl Into<Failure>) -> ClientError {
        ClientError::Remote {
            server: self.server.clone(),
            source: source.into(),
        }
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient")
            .field("server", &self.0.server)
            .finish_non_exhaustive()
    }
}

/// What opens connections on which that protocol is spoken.
pub(crate) fn connector(mut config: ClientConfig, protocol: &[u8]) -> TlsConnector {
    config.alpn_protocols = vec![protocol.to_vec()];
    // The server asks for the certificate on every connection.
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// A connection to `server` (`HOST:PORT`), authenticated on both sides.
pub(crate) async fn connect(
    server: &str,
    tls: &TlsConnector,
) -> Result<TlsStream<TcpStream>, Failure> {
    let connected = async {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(NAME).map_err(std::io::Error::other)?;
        tls.connect(name, stream).await
    };
    match timeout(CONNECT, connected).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err("no connection in time".into()),
    }
}

/// The same, to the server that the trust document names.
async fn to_server(server: &str, tls: &TlsConnector) -> Result<TlsStream<TcpStream>, Failure> {
    connect(server, tls).await.map_err(|error| {
        if is_another(&error) {
            return "whoever answers there is not the server that the trust document names; \
                    is this the address of `up --nodes`?"
                .into();
        }
        error
    })
}

/// Whether somebody else of the trust domain answered.
fn is_another(error: &Failure) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    let inner = error.and_then(|error| error.get_ref()?.downcast_ref());
    matches!(
        inner,
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName
        ))
    )
}

fn request(method: Method, uri: &str, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
    let request = Request::builder().method(method).uri(uri);
    let request = match uri.starts_with('/') {
        true => request.header(header::HOST, NAME),
        false => request,
    };
    request
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
}
