use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chancery_journal::peer_of;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::answer::Served;

/// Connections that an endpoint has at a time.
const CONNECTIONS: usize = 256;

/// Connections that one peer has at a time: an address, of IPv6 a network of 64 bits.
pub(super) const CONNECTIONS_PER_PEER: usize = 16;

/// How long a handshake may take, and the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// How long one connection is kept.
const CONNECTION: Duration = Duration::from_secs(60);

/// How long the system may be short of something before it is asked for a connection again.
const BREATH: Duration = Duration::from_millis(100);

/// Most requests that one connection has open, and bytes of the head of each.
const STREAMS: u32 = 16;
const HEADER_BYTES: u32 = 16 << 10;

/// How many connections each address has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    all: Places,
    peer: IpAddr,
}

impl Places {
    /// One more for whoever has that address; none where they have as many as they may.
    pub(crate) fn take(&self, peer: IpAddr) -> Option<Place> {
        let peer = peer_of(peer);
        let mut counts = self.lock();
        let count = counts.entry(peer).or_default();
        if *count >= CONNECTIONS_PER_PEER {
            return None;
        }
        *count += 1;
        Some(Place {
            all: self.clone(),
            peer,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.all.lock();
        if let Some(count) = counts.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// Takes connections for ever. One that is too many is closed unheard.
pub(super) async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    places: Places,
    served: Served,
) {
    let total = Arc::new(Semaphore::new(CONNECTIONS));
    let served = Arc::new(served);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection is accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Ok(one) = Arc::clone(&total).try_acquire_owned() else {
            continue;
        };
        let Some(place) = places.take(peer.ip()) else {
            tracing::info!(%peer, "an address has too many connections");
            continue;
        };
        let (tls, served) = (tls.clone(), Arc::clone(&served));
        connections.spawn(async move {
            let _places = (one, place);
            if timeout(CONNECTION, serve(stream, tls, served))
                .await
                .is_err()
            {
                tracing::debug!(%peer, "a connection was kept long enough");
            }
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_its_places_whatever_address_of_its_own_it_uses() {
        let places = Places::default();
        let take = |text: &str| places.take(text.parse().unwrap());
        for (first, other, elses) in [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ] {
            let held: Vec<_> = std::iter::from_fn(|| take(first)).collect();
            assert_eq!(held.len(), CONNECTIONS_PER_PEER);
            assert!(take(other).is_none());
            assert!(take(elses).is_some());
            drop(held);
            assert!(take(other).is_some());
            assert!(places.lock().is_empty());
        }
    }
}
