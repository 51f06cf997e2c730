use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::net::UnixListener;
use tokio::sync::Semaphore;

use super::connection::Connection;
use super::stream::WorkloadStream;
use crate::peer::Peer;
use crate::process::Process;

/// Most connections at a time; more are closed unheard.
const MAX_CONNECTIONS: usize = 1_024;

/// How long to wait when the system is out of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of processes that the kernel can name. Never ends and never fails: what cannot
/// be attested is closed.
pub(super) fn connections(
    listener: UnixListener,
) -> impl Stream<Item = io::Result<WorkloadStream>> {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    unfold((listener, places), async |(listener, places)| {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::error!(%error, "accept failed");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!("too many connections: one was closed");
                continue;
            };
            match Process::of_peer(&stream) {
                Ok(process) => {
                    let peer = Arc::new(Peer::new(process, Connection::new(stream)));
                    let stream = WorkloadStream::new(peer, place);
                    return Some((Ok(stream), (listener, places)));
                }
                Err(error) => tracing::warn!(%error, "peer could not be attested"),
            }
        }
    })
}
