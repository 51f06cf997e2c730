use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_crypto::{RandomError, random_bytes};
use chancery_types::{Timestamp, base64url};

/// How long a nonce is good.
const LIFETIME_SECONDS: u64 = 60;

/// Most open nonces of one peer, and of all.
const MOST_PER_PEER: usize = 16;
const MOST: usize = 4_096;

/// Nonces for proofs that open or join sessions: each for the peer that asked, good once and for a
/// minute. So many at once and no more; a peer that takes all of its own locks out nobody else.
#[derive(Debug, Default)]
pub(crate) struct Challenges(Mutex<HashMap<String, Open>>);

#[derive(Debug)]
struct Open {
    peer: Arc<str>,
    until: Timestamp,
}

/// Why no nonce is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChallengeRefusal {
    TooMany,
    NoRandomness,
}

impl From<RandomError> for ChallengeRefusal {
    fn from(_: RandomError) -> Self {
        Self::NoRandomness
    }
}

impl Challenges {
    pub(crate) fn issue(
        &self,
        peer: &Arc<str>,
        now: Timestamp,
    ) -> Result<String, ChallengeRefusal> {
        let nonce = base64url::encode(random_bytes::<32>()?);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, challenge| now < challenge.until);
        let of_peer = open
            .values()
            .filter(|challenge| challenge.peer == *peer)
            .count();
        if open.len() >= MOST || of_peer >= MOST_PER_PEER {
            return Err(ChallengeRefusal::TooMany);
        }
        let until = now.plus_seconds(LIFETIME_SECONDS);
        open.insert(
            nonce.clone(),
            Open {
                peer: Arc::clone(peer),
                until,
            },
        );
        Ok(nonce)
    }

    /// Uses a nonce up. False for one that this peer does not have open.
    pub(crate) fn take(&self, peer: &str, nonce: &str, now: Timestamp) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = |challenge: &Open| *challenge.peer == *peer && now < challenge.until;
        open.get(nonce).is_some_and(good) && open.remove(nonce).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    #[test]
    fn a_nonce_is_good_once_for_its_peer_and_a_minute() {
        let challenges = Challenges::default();
        let peer: Arc<str> = "spiffe://t/a".into();
        let nonce = challenges.issue(&peer, NOW).unwrap();
        assert!(!challenges.take("spiffe://t/b", &nonce, NOW));
        assert!(!challenges.take(&peer, "other", NOW));
        assert!(!challenges.take(&peer, &nonce, NOW.plus_seconds(60)));
        assert!(challenges.take(&peer, &nonce, NOW.plus_seconds(59)));
        assert!(!challenges.take(&peer, &nonce, NOW));
    }

    #[test]
    fn a_flood_harms_its_own_peer_only() {
        let challenges = Challenges::default();
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        for _ in 0..MOST_PER_PEER {
            challenges.issue(&one, NOW).unwrap();
        }
        assert_eq!(challenges.issue(&one, NOW), Err(ChallengeRefusal::TooMany));
        assert!(challenges.issue(&two, NOW).is_ok());
        assert!(challenges.issue(&one, NOW.plus_seconds(60)).is_ok());
    }
}
