//! Connections that strangers open: so many at a time, and no peer all of them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chancery_journal::peer_of;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Connections that a listener has at a time.
const CONNECTIONS: usize = 256;

/// Connections that one peer has at a time: an address, of IPv6 a network of 64 bits.
const CONNECTIONS_PER_PEER: usize = 16;

/// How long the system may be short of something before it is asked for a connection again.
const BREATH: Duration = Duration::from_millis(100);

/// What a connection takes up until this is dropped: one of all, and one of its address.
#[derive(Debug)]
pub(crate) struct Taken {
    _one: OwnedSemaphorePermit,
    _place: Place,
}

/// Takes connections for ever, and has each served together with what it takes up. One that is too many
/// is closed unheard.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    places: Places,
    serve: impl Fn(TcpStream, SocketAddr, Taken) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let total = Arc::new(Semaphore::new(CONNECTIONS));
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
        let taken = Taken {
            _one: one,
            _place: place,
        };
        connections.spawn(serve(stream, peer, taken));
    }
}

/// How many connections each address has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that is counted until this is dropped.
#[derive(Debug)]
struct Place {
    all: Places,
    peer: IpAddr,
}

impl Places {
    /// One more for whoever has that address; none where they have as many as they may.
    fn take(&self, peer: IpAddr) -> Option<Place> {
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
