use std::io;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::tls::{TlsIdentity, verify_peer};
use futures_util::Stream;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use super::peer::BrokerPeer;
use super::stream::BrokerStream;
use crate::clock::now;
use crate::process::Process;
use crate::procfs::PidNamespace;

/// Most connections at a time, those that shake hands among them; more are closed unheard.
const MAX_CONNECTIONS: usize = 128;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long to wait when the system is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of peers with an X.509-SVID of the trust domain. Never fails: who has none is closed.
pub(super) fn connections(
    listener: UnixListener,
    acceptor: TlsAcceptor,
    identity: TlsIdentity,
) -> impl Stream<Item = io::Result<BrokerStream>> {
    let (sender, receiver) = mpsc::channel(1);
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = sender.closed() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::error!(%error, "accept failed");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!("too many connections of brokers: one was closed");
                continue;
            };
            let (acceptor, identity, sender) = (acceptor.clone(), identity.clone(), sender.clone());
            tokio::spawn(async move {
                if let Some(stream) = shake_hands(stream, &acceptor, &identity, place).await {
                    // Nobody listens any more where that fails.
                    let _ = sender.send(Ok(stream)).await;
                }
            });
        }
    });
    ReceiverStream::new(receiver)
}

async fn shake_hands(
    stream: UnixStream,
    acceptor: &TlsAcceptor,
    identity: &TlsIdentity,
    place: OwnedSemaphorePermit,
) -> Option<BrokerStream> {
    let same_pids = shares_pids(&stream);
    let tls = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => {
            tracing::warn!(%error, "no broker: mutual TLS failed");
            return None;
        }
        Err(_) => return None,
    };
    let chain = tls.get_ref().1.peer_certificates()?;
    let svid = verify_peer(chain, &identity.bundle(), now()).ok()?;
    let peer = BrokerPeer {
        spiffe_id: svid.spiffe_id().clone(),
        not_after: svid.not_after(),
        chain: chain.iter().map(|one| one.to_vec()).collect(),
        same_pids,
    };
    Some(BrokerStream::new(tls, Arc::new(peer), place))
}

/// Whether the process at the other end lives in the node's pid namespace: elsewhere its numbers mean
/// other processes.
fn shares_pids(stream: &UnixStream) -> bool {
    let theirs = Process::of_peer(stream).and_then(|process| process.namespace());
    match (theirs, PidNamespace::own()) {
        (Ok(theirs), Ok(own)) => theirs == own,
        _ => false,
    }
}
