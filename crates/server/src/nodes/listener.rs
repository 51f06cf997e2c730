use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::{Extension, Router};
use chancery_api::tls::{open_server_config, verify_peer};
use chancery_api::{Problem, node_channel};
use chancery_identity::{NodeChannel, NodeSpiffeId, SpiffeId, VerifiedX509Svid};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::presented::Presented;
use super::tpm::Asked;
use crate::Server;
use crate::connections::{Places, Taken, accept};
use crate::endpoints::node_router;
use crate::own_svid::authorities;

/// Connections of nodes at a time.
const NODES: usize = 4_096;

/// How long a handshake may take, and the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// How long whoever is no node yet is heard.
const STRANGER: Duration = Duration::from_secs(30);

/// Most requests that a node has open: an instance that waits for a delegation has one.
const STREAMS: u32 = 1_040;
const HEADER_BYTES: u32 = 16 << 10;

/// How often it is asked whether a node is there still, and whether the own certificate is due.
const ALIVE: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_secs(5);

/// How long a node that was put out may take to read so.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where the instances of nodes on other hosts are at home.
#[derive(Debug, Clone)]
pub struct NodeHome {
    /// Where other hosts reach the gateway.
    pub gateway_address: SocketAddr,
    /// The gateway's SPIFFE ID.
    pub gateway_spiffe_id: SpiffeId,
}

/// Where nodes on other hosts join and speak to the server: TLS 1.3, the server by its X.509-SVID
/// `spiffe://<trust domain>/service/server`, a node by its own.
#[derive(Debug)]
pub struct NodeListener {
    server: Arc<Server>,
    listener: TcpListener,
    own: Arc<Presented>,
    home: NodeHome,
}

/// Why nodes are not listened to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeListenerError {
    /// The address cannot be listened on.
    #[error("node listener {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The signer made no X.509-SVID for the listener.
    #[error("no x509-svid for the node listener")]
    Svid(#[source] Problem),
    /// The TLS library refused the configuration.
    #[error(transparent)]
    Tls(#[from] chancery_api::tls::TlsError),
}

/// One connection, as its endpoints see it.
#[derive(Debug)]
pub(crate) struct NodeConnection {
    /// The SVID that was shown; verified when the connection was made.
    pub(crate) svid: Option<VerifiedX509Svid>,
    /// What it was verified from, and the version of the trust document that did last.
    chain: Vec<CertificateDer<'static>>,
    trust_version: AtomicU64,
    /// What proofs are bound to.
    pub(crate) channel: NodeChannel,
    /// Whose connection it is.
    pub(crate) address: IpAddr,
    /// Whether a join was asked for on it.
    pub(crate) asked: AtomicBool,
    /// Whether a TPM asked to be challenged on it, and what it was asked.
    pub(crate) challenged: AtomicBool,
    /// Whether that was counted, so that the join which follows is not.
    pub(crate) counted: AtomicBool,
    pub(super) tpm: Mutex<Option<Asked>>,
}

impl NodeConnection {
    /// Whether what was shown is believed by the trust document in force, also where that is another
    /// one than when the connection was made.
    pub(super) fn is_trusted(&self, server: &Server) -> Result<bool, Problem> {
        let version = server.trust().version;
        if version == self.trust_version.load(Ordering::Acquire) {
            return Ok(true);
        }
        let bundle = authorities(server)?;
        let trusted = verify_peer(&self.chain, &bundle, server.now()?).is_ok();
        if trusted {
            self.trust_version.store(version, Ordering::Release);
        }
        Ok(trusted)
    }
}

/// What every connection is served with.
struct Context {
    server: Arc<Server>,
    tls: TlsAcceptor,
    router: Router,
    nodes: Semaphore,
}

impl NodeListener {
    /// Listens on the address, with an SVID of the server.
    pub async fn bind(
        server: Arc<Server>,
        address: SocketAddr,
        home: NodeHome,
    ) -> Result<Self, NodeListenerError> {
        let own = Presented::issue(&server).await;
        let own = Arc::new(own.map_err(NodeListenerError::Svid)?);
        let listen = |source| NodeListenerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        Ok(Self {
            server,
            listener,
            own,
            home,
        })
    }

    /// The address that is listened on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped; connections end with it.
    pub async fn serve(self) -> Result<(), NodeListenerError> {
        let config = open_server_config(&self.own.identity)?;
        let context = Arc::new(Context {
            tls: TlsAcceptor::from(Arc::new(config)),
            router: node_router(&self.server).layer(Extension(self.home)),
            nodes: Semaphore::new(NODES),
            server: Arc::clone(&self.server),
        });
        let (own, server) = (self.own, self.server);
        let renewing = async {
            loop {
                tokio::time::sleep(LOOK).await;
                own.renew(&server).await;
            }
        };
        let serve = move |stream, peer, taken| serve(stream, peer, Arc::clone(&context), taken);
        tokio::select! {
            () = accept(self.listener, Places::default(), serve) => Ok(()),
            () = renewing => Ok(()),
        }
    }
}

/// One connection. Whoever shows that it is a node gives up the place of a stranger.
async fn serve(stream: TcpStream, peer: SocketAddr, context: Arc<Context>, stranger: Taken) {
    let _ = stream.set_nodelay(true);
    let stream = match timeout(HEAD, context.tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::info!(%peer, %error, "TLS handshake refused");
            return;
        }
        Err(_) => return,
    };
    let Some(connection) = identify(&context.server, &stream, peer.ip()) else {
        tracing::info!(%peer, "peer refused");
        return;
    };
    let node = connection.svid.as_ref();
    let node = node.and_then(|svid| NodeSpiffeId::try_from(svid.spiffe_id()).ok());
    let router = context.router.clone();
    let router = router.layer(Extension(Arc::new(connection)));
    let Some(node) = node.map(|node| node.node()) else {
        let served = serve_http(stream, router, 1);
        let _ = timeout(STRANGER, served).await;
        return;
    };
    let Ok(_one) = context.nodes.try_acquire() else {
        tracing::warn!(%peer, "there are too many connections of nodes");
        return;
    };
    let Some(_place) = context.server.nodes.quota.connect(node) else {
        tracing::warn!(%peer, %node, "a node has too many connections");
        return;
    };
    drop(stranger);
    let served = serve_http(stream, router, STREAMS);
    let put_out = async {
        context.server.nodes.evicted(node).await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        () = served => {}
        () = put_out => tracing::info!(%node, "a connection of a node that was put out is closed"),
    }
}

async fn serve_http(stream: TlsStream<TcpStream>, router: Router, streams: u32) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE)
        .keep_alive_timeout(HEAD)
        .max_concurrent_streams(streams)
        .max_header_list_size(HEADER_BYTES);
    let service = TowerToHyperService::new(router);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "connection ended");
    }
}

/// Who stands at the other end, by the authorities that are in force now.
fn identify(
    server: &Server,
    stream: &TlsStream<TcpStream>,
    address: IpAddr,
) -> Option<NodeConnection> {
    let (_, session) = stream.get_ref();
    // Before the authorities are read, so that a later document is never taken for an older one.
    let trust_version = server.trust().version;
    let chain = session.peer_certificates().unwrap_or_default();
    let svid = match chain {
        [] => None,
        chain => {
            let bundle = authorities(server).ok()?;
            Some(verify_peer(chain, &bundle, server.now().ok()?).ok()?)
        }
    };
    Some(NodeConnection {
        svid,
        chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
        trust_version: AtomicU64::new(trust_version),
        channel: node_channel(session).ok()?,
        address,
        asked: AtomicBool::new(false),
        challenged: AtomicBool::new(false),
        counted: AtomicBool::new(false),
        tpm: Mutex::new(None),
    })
}
