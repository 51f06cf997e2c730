use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chancery_crypto::{AwsLc, RandomError, random_bytes};
use chancery_types::{CredentialCrypto as _, Digest, Secret, Timestamp};

/// How long a challenge can be answered.
const LIFETIME_SECONDS: u64 = 300;

/// Most answered challenges that are remembered at a time. Each stands for a person's touch, so that a
/// stranger fills nothing.
const MOST_ANSWERED: usize = 65_536;

/// What a challenge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    SignIn,
    Enrol,
}

/// Challenges of this server, each good once and for five minutes. None is kept until it was answered:
/// a challenge carries its own time, and whether it is ours is told by a key that nobody else has.
#[derive(Debug)]
pub(super) struct Challenges {
    key: Secret,
    answered: Mutex<BTreeMap<Digest, Timestamp>>,
}

/// Why a challenge is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChallengeFault {
    Unknown,
    Expired,
    Reused,
}

impl Challenges {
    /// With a fresh key: what was asked before is unknown.
    pub(super) fn new() -> Result<Self, RandomError> {
        Ok(Self {
            key: Secret::new(random_bytes::<32>()?.to_vec()),
            answered: Mutex::default(),
        })
    }

    /// A fresh one: its end, eight random bytes, and the authenticator of both.
    pub(super) fn make(&self, purpose: Purpose, now: Timestamp) -> Result<Digest, RandomError> {
        let end = now.plus_seconds(LIFETIME_SECONDS).as_micros();
        Ok(self.seal(purpose, end, random_bytes()?))
    }

    /// Whether it is ours, for this, and neither over nor answered before.
    pub(super) fn check(
        &self,
        purpose: Purpose,
        challenge: &Digest,
        now: Timestamp,
    ) -> Result<(), ChallengeFault> {
        let end = self.end_of(purpose, challenge)?;
        if end <= now {
            return Err(ChallengeFault::Expired);
        }
        match self.answered().contains_key(challenge) {
            true => Err(ChallengeFault::Reused),
            false => Ok(()),
        }
    }

    /// Uses it up. Of two who answer it at once, one is refused.
    pub(super) fn use_up(
        &self,
        purpose: Purpose,
        challenge: &Digest,
        now: Timestamp,
    ) -> Result<(), ChallengeFault> {
        let end = self.end_of(purpose, challenge)?;
        let mut answered = self.answered();
        answered.retain(|_, end| *end > now);
        if end <= now || answered.len() >= MOST_ANSWERED {
            return Err(ChallengeFault::Expired);
        }
        match answered.insert(*challenge, end) {
            Some(_) => Err(ChallengeFault::Reused),
            None => Ok(()),
        }
    }

    fn end_of(&self, purpose: Purpose, challenge: &Digest) -> Result<Timestamp, ChallengeFault> {
        let unknown = ChallengeFault::Unknown;
        let (end, rest) = challenge.as_bytes().split_first_chunk().ok_or(unknown)?;
        let (nonce, _) = rest.split_first_chunk().ok_or(unknown)?;
        let end = u64::from_be_bytes(*end);
        let own = self.seal(purpose, end, *nonce);
        own.ct_eq(challenge)
            .then(|| Timestamp::from_micros(end))
            .ok_or(unknown)
    }

    fn seal(&self, purpose: Purpose, end: u64, nonce: [u8; 8]) -> Digest {
        let end = end.to_be_bytes();
        let purpose = match purpose {
            Purpose::SignIn => &b"sign-in"[..],
            Purpose::Enrol => b"enrol",
        };
        let tag = AwsLc.hmac_sha256(self.key.expose(), &[&end, &nonce, purpose]);
        let bytes = end.into_iter().chain(nonce).chain(tag);
        let mut challenge = [0; 32];
        (challenge.iter_mut().zip(bytes)).for_each(|(place, byte)| *place = byte);
        Digest::from_bytes(challenge)
    }

    fn answered(&self) -> std::sync::MutexGuard<'_, BTreeMap<Digest, Timestamp>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_good_once_for_one_purpose_and_for_five_minutes() {
        use ChallengeFault::{Expired, Reused, Unknown};
        let ours = Challenges::new().unwrap();
        let now = Timestamp::from_seconds(1_000);
        let one = ours.make(Purpose::SignIn, now).unwrap();
        assert_eq!(ours.check(Purpose::SignIn, &one, now), Ok(()));
        assert_eq!(ours.check(Purpose::Enrol, &one, now), Err(Unknown));
        assert_eq!(ours.use_up(Purpose::Enrol, &one, now), Err(Unknown));
        let late = now.plus_seconds(LIFETIME_SECONDS);
        assert_eq!(ours.check(Purpose::SignIn, &one, late), Err(Expired));
        assert_eq!(ours.use_up(Purpose::SignIn, &one, late), Err(Expired));
        assert_eq!(ours.use_up(Purpose::SignIn, &one, now), Ok(()));
        assert_eq!(ours.use_up(Purpose::SignIn, &one, now), Err(Reused));
        assert_eq!(ours.check(Purpose::SignIn, &one, now), Err(Reused));
        let others = Challenges::new().unwrap();
        assert_eq!(others.check(Purpose::SignIn, &one, now), Err(Unknown));
        for place in 0..32 {
            let mut bytes = *ours.make(Purpose::SignIn, now).unwrap().as_bytes();
            bytes[place] ^= 1;
            let changed = Digest::from_bytes(bytes);
            assert_eq!(ours.check(Purpose::SignIn, &changed, now), Err(Unknown));
        }
    }

    #[test]
    fn what_was_answered_is_forgotten_once_it_is_over() {
        let ours = Challenges::new().unwrap();
        for minute in 0..20 {
            let now = Timestamp::from_seconds(1_000 + 60 * minute);
            let one = ours.make(Purpose::SignIn, now).unwrap();
            assert_eq!(ours.use_up(Purpose::SignIn, &one, now), Ok(()));
        }
        assert!(ours.answered().len() <= 5);
    }
}
