use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::OwnerListener;
use chancery_api::pb::append::log_append_server::LogAppendServer;
use chancery_api::tls::{TlsError, TlsIdentity, server_config};
use chancery_identity::SpiffeId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use crate::caller::Svid;
use crate::recorder::MOST_BATCH_BYTES;
use crate::service::AppendApi;
use crate::stream::CallerStream;
use crate::{Caller, Recorder};

/// Connections of each kind at a time, those that shake hands among them; more are closed unheard.
const MOST_CONNECTIONS: usize = 128;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long to wait when the system is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Most requests that one connection has open: one stream, and the one that takes its place.
const MOST_STREAMS: u32 = 4;
const MOST_METADATA_BYTES: u32 = 16 << 10;
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Bytes of a connection that are taken before they are asked for: two batches.
const WINDOW_BYTES: u32 = 2 << 20;
const FRAME_BYTES: u32 = 256 << 10;

/// Whose X.509-SVIDs may append.
#[derive(Debug, Default)]
pub struct Admission(BTreeSet<SpiffeId>);

impl Admission {
    /// These and nobody else.
    pub fn of(producers: impl IntoIterator<Item = SpiffeId>) -> Self {
        Self(producers.into_iter().collect())
    }

    /// Whether this one may.
    pub fn admits(&self, producer: &SpiffeId) -> bool {
        self.0.contains(producer)
    }
}

/// Where producers of other users and machines connect: TLS 1.3, both sides by X.509-SVIDs.
#[derive(Debug)]
pub struct TlsSetup {
    /// The socket.
    pub listener: TcpListener,
    /// The own SVID, and the authorities that producers are verified with.
    pub identity: TlsIdentity,
    /// Who may append.
    pub admission: Admission,
}

/// Where a recorder listens.
#[derive(Debug)]
pub struct Listeners {
    /// For processes of its owner.
    pub owner: OwnerListener,
    /// For others.
    pub tls: Option<TlsSetup>,
}

/// Why producers are not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// TLS cannot be configured.
    #[error("mutual TLS cannot be configured")]
    Tls(#[from] TlsError),
    /// The sockets failed.
    #[error("the sockets failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves producers until the future is dropped. Streams that are open then go on until the process ends
/// or [`Recorder::close`] refuses them.
pub async fn serve(recorder: &Arc<Recorder>, listeners: Listeners) -> Result<(), ListenError> {
    let (sender, incoming) = mpsc::channel(1);
    let mut accepting = JoinSet::new();
    accepting.spawn(accept_owner(listeners.owner, sender.clone()));
    if let Some(setup) = listeners.tls {
        let mut config = server_config(&setup.identity)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        accepting.spawn(accept_tls(setup, acceptor, Arc::clone(recorder), sender));
    }
    // One batch, its framing and the sequence.
    let message = MOST_BATCH_BYTES + (64 << 10);
    let service = LogAppendServer::new(AppendApi::new(Arc::clone(recorder)))
        .max_decoding_message_size(message);
    Server::builder()
        .http2_max_header_list_size(MOST_METADATA_BYTES)
        .max_concurrent_streams(MOST_STREAMS)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(HANDSHAKE))
        .add_service(service)
        .serve_with_incoming(ReceiverStream::new(incoming))
        .await?;
    Ok(())
}

type Incoming = mpsc::Sender<io::Result<CallerStream>>;

/// One connection more, while there is room; waits where the system has none.
async fn place<T>(
    accepted: io::Result<T>,
    places: &Arc<Semaphore>,
) -> Option<(T, OwnedSemaphorePermit)> {
    let stream = match accepted {
        Ok(stream) => stream,
        Err(error) => {
            tracing::error!(%error, "accept failed");
            tokio::time::sleep(PAUSE).await;
            return None;
        }
    };
    let place = Arc::clone(places).try_acquire_owned();
    if place.is_err() {
        tracing::warn!("too many connections: one was closed");
    }
    Some((stream, place.ok()?))
}

async fn accept_owner(listener: OwnerListener, sender: Incoming) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    while !sender.is_closed() {
        let accepted = listener.accept_owner().await;
        let Some((stream, place)) = place(accepted, &places).await else {
            continue;
        };
        if sender
            .send(Ok(CallerStream::unix(stream, place)))
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn accept_tls(
    setup: TlsSetup,
    acceptor: TlsAcceptor,
    recorder: Arc<Recorder>,
    sender: Incoming,
) {
    let TlsSetup {
        listener,
        identity,
        admission,
    } = setup;
    let admission = Arc::new(admission);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut shaking = JoinSet::new();
    while !sender.is_closed() {
        while shaking.try_join_next().is_some() {}
        let accepted = listener.accept().await;
        let Some(((stream, peer), place)) = place(accepted, &places).await else {
            continue;
        };
        let (acceptor, identity, admission) =
            (acceptor.clone(), identity.clone(), Arc::clone(&admission));
        let (recorder, sender) = (Arc::clone(&recorder), sender.clone());
        shaking.spawn(async move {
            let shaken = shake_hands(stream, peer, &acceptor).await;
            let known = shaken.and_then(|stream| {
                let chain = stream.get_ref().1.peer_certificates()?;
                let svid = Svid::of(chain, &identity, &admission, recorder.now())?;
                let caller = Caller::Svid(Arc::new(svid));
                Some(CallerStream::tls(stream, caller, place))
            });
            if let Some(stream) = known {
                // Nobody serves any more where that fails.
                let _ = sender.send(Ok(stream)).await;
            }
        });
    }
}

async fn shake_hands(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: &TlsAcceptor,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let _ = stream.set_nodelay(true);
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::info!(%peer, %error, "no producer: mutual TLS failed");
            None
        }
        Err(_) => None,
    }
}
