use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::enforcer::Seat;
use crate::peer::Peer;
use crate::server_name::ServerName;
use crate::transport_id::TransportId;

/// The transport sessions of the legacy era. A session works for the peer that opened it, on the
/// server it opened it with, and for nobody else: to all others it does not exist.
#[derive(Debug, Default)]
pub(super) struct TransportSessions(Mutex<HashMap<TransportId, TransportSession>>);

#[derive(Debug)]
struct TransportSession {
    peer: Arc<str>,
    server: ServerName,
    seat: Seat,
    used: Instant,
}

impl TransportSession {
    fn is_of(&self, peer: &Peer, server: &ServerName) -> bool {
        self.peer == *peer.name() && self.server == *server
    }
}

impl TransportSessions {
    /// Opens `id`. False when the peer has as many as it may.
    pub(super) fn open(
        &self,
        id: TransportId,
        peer: &Peer,
        server: &ServerName,
        seat: Seat,
        most: usize,
    ) -> bool {
        let mut sessions = self.lock();
        let of_peer = sessions
            .values()
            .filter(|session| session.peer == *peer.name());
        if of_peer.count() >= most {
            return false;
        }
        let session = TransportSession {
            peer: Arc::clone(peer.name()),
            server: server.clone(),
            seat,
            used: Instant::now(),
        };
        sessions.insert(id, session);
        true
    }

    /// The seat that a session was opened from, for its own peer.
    pub(super) fn find(&self, id: &TransportId, peer: &Peer, server: &ServerName) -> Option<Seat> {
        let mut sessions = self.lock();
        let session = sessions.get_mut(id)?;
        session.is_of(peer, server).then(|| {
            session.used = Instant::now();
            session.seat
        })
    }

    /// Closes a session of this peer. False where there is none.
    pub(super) fn close(&self, id: &TransportId, peer: &Peer, server: &ServerName) -> bool {
        let mut sessions = self.lock();
        let ours = sessions
            .get(id)
            .is_some_and(|session| session.is_of(peer, server));
        ours && sessions.remove(id).is_some()
    }

    /// Closes what nobody used for `idle`.
    pub(super) fn expire(&self, idle: Duration) -> Vec<TransportId> {
        self.lock()
            .extract_if(|_, session| session.used.elapsed() >= idle)
            .map(|(id, _)| id)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TransportId, TransportSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chancery_types::id::{InstanceId, SessionId};

    use super::*;

    fn peer(name: &str) -> Peer {
        Peer::new(name.into(), Vec::new(), ([127, 0, 0, 1], 1).into())
    }

    #[test]
    fn a_session_is_its_owners_alone() {
        let seat = Seat {
            session: SessionId::from_random([1; 16]),
            instance: InstanceId::from_random([2; 16]),
        };
        let (ours, theirs) = (peer("spiffe://t/a"), peer("spiffe://t/b"));
        let (server, other): (ServerName, ServerName) =
            ("one".parse().unwrap(), "two".parse().unwrap());
        let sessions = TransportSessions::default();
        let id = TransportId::random().unwrap();
        assert!(sessions.open(id.clone(), &ours, &server, seat, 1));
        assert!(!sessions.open(TransportId::random().unwrap(), &ours, &server, seat, 1));
        assert_eq!(sessions.find(&id, &ours, &server), Some(seat));
        assert_eq!(sessions.find(&id, &theirs, &server), None);
        assert_eq!(sessions.find(&id, &ours, &other), None);
        assert!(!sessions.close(&id, &theirs, &server));
        assert!(!sessions.close(&id, &ours, &other));
        assert!(sessions.expire(Duration::from_secs(60)).is_empty());
        assert!(sessions.close(&id, &ours, &server));
        assert_eq!(sessions.find(&id, &ours, &server), None);
    }
}
