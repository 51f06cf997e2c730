use std::collections::BTreeMap;

use chancery_identity::SpiffeId;
use chancery_types::Timestamp;

use super::{Accepting, HandshakeRefusal, Nonce};

/// The open handshakes of one accepting side: so many for each of so many peers. A peer that opens
/// all of its own locks out nobody else; one that was used is remembered until it would be too old.
#[derive(Debug)]
pub struct OpenHandshakes {
    per_peer: usize,
    peers: usize,
    latest: Timestamp,
    open: BTreeMap<SpiffeId, BTreeMap<Nonce, Slot>>,
}

#[derive(Debug)]
struct Slot {
    offer: Nonce,
    until: Timestamp,
    state: Option<Box<Accepting>>,
}

impl OpenHandshakes {
    /// Room for `per_peer` handshakes of each of `peers` peers, the used ones of the last minute
    /// among them.
    pub const fn new(per_peer: usize, peers: usize) -> Self {
        Self {
            per_peer,
            peers,
            latest: Timestamp::from_micros(0),
            open: BTreeMap::new(),
        }
    }

    /// Keeps a handshake of this peer. Refuses an offer that was heard before.
    pub fn open(
        &mut self,
        peer: &SpiffeId,
        accepting: Accepting,
        now: Timestamp,
    ) -> Result<(), HandshakeRefusal> {
        // A clock that steps back brings nothing back.
        self.latest = self.latest.max(now);
        let latest = self.latest;
        // What is over is forgotten a while later only, so that it is called stale and not unknown.
        let kept = |slot: &Slot| latest <= slot.until.plus_seconds(super::HANDSHAKE_SECONDS);
        if !self.open.contains_key(peer) && self.open.len() >= self.peers {
            self.open.retain(|_, slots| {
                slots.retain(|_, slot| kept(slot));
                !slots.is_empty()
            });
            if self.open.len() >= self.peers {
                return Err(HandshakeRefusal::TooMany);
            }
        }
        let slots = self.open.entry(peer.clone()).or_default();
        slots.retain(|_, slot| kept(slot));
        let (offer, nonce) = (accepting.offer().nonce, *accepting.nonce());
        if slots.values().any(|slot| slot.offer == offer) {
            return Err(HandshakeRefusal::Replay);
        }
        if slots.len() >= self.per_peer {
            return Err(HandshakeRefusal::TooMany);
        }
        let slot = Slot {
            offer,
            until: accepting.until(),
            state: Some(Box::new(accepting)),
        };
        slots.insert(nonce, slot);
        Ok(())
    }

    /// Uses up the handshake of that nonce. Only the peer that it is with can do so.
    pub fn take(
        &mut self,
        peer: &SpiffeId,
        nonce: &Nonce,
        now: Timestamp,
    ) -> Result<Accepting, HandshakeRefusal> {
        self.latest = self.latest.max(now);
        let slot = self
            .open
            .get_mut(peer)
            .and_then(|slots| slots.get_mut(nonce))
            .ok_or(HandshakeRefusal::UnknownNonce)?;
        let state = slot.state.take().ok_or(HandshakeRefusal::Replay)?;
        if self.latest > slot.until {
            return Err(HandshakeRefusal::StaleNonce);
        }
        Ok(*state)
    }
}
