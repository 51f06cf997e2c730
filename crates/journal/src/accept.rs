//! Connections of the HTTP servers: so many at a time, and no peer all of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections that are served at a time.
const CONNECTIONS: usize = 256;

/// How long one connection is kept.
const CONNECTION: Duration = Duration::from_secs(600);

/// How long the system may be short of something before it is asked for a connection again.
const BREATH: Duration = Duration::from_millis(100);

/// Has each connection served by `serve`, for ten minutes at most, until `stop` is ready; those
/// that are open then end with it. Who finds no place is dropped: waiting for one would let others
/// take them all.
pub(crate) async fn serve_each<F>(
    listener: &TcpListener,
    stop: impl Future<Output = ()>,
    serve: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Places::new(CONNECTIONS);
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection is accepted");
                sleep(BREATH).await;
                continue;
            }
        };
        let Some(place) = places.take(peer.ip()) else {
            tracing::debug!(%peer, "no place for another connection");
            continue;
        };
        // Without it a small answer waits for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let served = serve(stream);
        connections.spawn(async move {
            let _place = place;
            if timeout(CONNECTION, served).await.is_err() {
                tracing::debug!(%peer, "a connection was kept long enough");
            }
        });
    }
}

/// Places for connections. A peer gets one while it holds fewer than are free: alone it gets half
/// of them, and whoever comes after it half of the rest.
#[derive(Debug, Clone)]
struct Places(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    free: usize,
    by: BTreeMap<IpAddr, usize>,
}

/// A place, until it is dropped.
#[derive(Debug)]
struct Place {
    places: Places,
    peer: IpAddr,
}

impl Places {
    fn new(count: usize) -> Self {
        let by = BTreeMap::new();
        Self(Arc::new(Mutex::new(Held { free: count, by })))
    }

    fn take(&self, peer: IpAddr) -> Option<Place> {
        let peer = peer_of(peer);
        let mut held = self.lock();
        let own = held.by.get(&peer).copied().unwrap_or(0);
        if own >= held.free {
            return None;
        }
        held.free -= 1;
        held.by.insert(peer, own + 1);
        drop(held);
        Some(Place {
            places: self.clone(),
            peer,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        held.free += 1;
        let own = held.by.get(&self.peer).copied().unwrap_or(1);
        if own > 1 {
            held.by.insert(self.peer, own - 1);
        } else {
            held.by.remove(&self.peer);
        }
    }
}

/// Whose an address is: of IPv6 the network, which its user has all addresses of.
pub fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// As many places as this peer still gets.
    fn fill(places: &Places, text: &str) -> Vec<Place> {
        std::iter::from_fn(|| places.take(peer(text))).collect()
    }

    #[test]
    fn one_peer_alone_gets_half_and_others_find_a_place() {
        let places = Places::new(256);
        let taken: Vec<_> = (1..=4)
            .map(|n| fill(&places, &format!("192.0.2.{n}")))
            .collect();
        let counts: Vec<_> = taken.iter().map(Vec::len).collect();
        assert_eq!(counts, [128, 64, 32, 16]);
        assert!(places.take(peer("198.51.100.1")).is_some());
    }

    #[test]
    fn what_ends_makes_room() {
        let places = Places::new(8);
        let held = fill(&places, "192.0.2.1");
        assert_eq!(held.len(), 4);
        drop(held);
        assert!(places.lock().by.is_empty());
        assert_eq!(places.lock().free, 8);
        assert_eq!(fill(&places, "192.0.2.1").len(), 4);
    }

    #[test]
    fn a_peer_is_known_whatever_address_of_its_own_it_uses() {
        let places = Places::new(8);
        let _held = fill(&places, "2001:db8:1:2::1");
        assert!(places.take(peer("2001:db8:1:2:ffff::9")).is_none());
        assert!(places.take(peer("2001:db8:1:3::1")).is_some());
        let places = Places::new(8);
        let _held = fill(&places, "192.0.2.1");
        assert!(places.take(peer("::ffff:192.0.2.1")).is_none());
    }
}
