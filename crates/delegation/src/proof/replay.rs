use std::collections::{BTreeMap, BTreeSet};

use chancery_types::{Digest, Timestamp};

/// Remembers the proofs that were taken, so that none is taken twice.
pub trait ReplayMemory {
    /// Remembers `jti` of `holder` until `until`, when the proof is too old anyway. Refuses what is
    /// remembered already and what cannot be remembered.
    fn remember(
        &mut self,
        holder: &Digest,
        jti: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), ReplayRefusal>;
}

/// Why a proof cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayRefusal {
    /// It was taken before.
    #[error("seen before")]
    Seen,
    /// It may have been taken before and forgotten since: the clock went back.
    #[error("older than what is remembered")]
    Forgotten,
    /// There is no room for more of this holder, or for one more holder.
    #[error("replay memory is full")]
    Full,
}

/// A replay memory of one process: so many proofs for each of so many holders. A holder that fills
/// its part is refused until its proofs age; no other holder notices.
#[derive(Debug, Clone)]
pub struct BoundedReplayMemory {
    per_holder: usize,
    holders: usize,
    latest: Timestamp,
    seen: BTreeMap<Digest, Seen>,
}

/// The proofs of one holder, by identifier and by the moment that each is forgotten.
#[derive(Debug, Clone, Default)]
struct Seen {
    by_jti: BTreeSet<String>,
    by_time: BTreeSet<(Timestamp, String)>,
}

impl BoundedReplayMemory {
    /// A memory for at most `per_holder` proofs of each of at most `holders` holders.
    pub const fn new(per_holder: usize, holders: usize) -> Self {
        Self {
            per_holder,
            holders,
            latest: Timestamp::from_micros(0),
            seen: BTreeMap::new(),
        }
    }
}

impl Seen {
    fn forget_before(&mut self, now: Timestamp) {
        while let Some((until, _)) = self.by_time.first() {
            if *until >= now {
                return;
            }
            if let Some((_, jti)) = self.by_time.pop_first() {
                self.by_jti.remove(&jti);
            }
        }
    }
}

impl ReplayMemory for BoundedReplayMemory {
    fn remember(
        &mut self,
        holder: &Digest,
        jti: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), ReplayRefusal> {
        // What was forgotten at the latest time stays forgotten when the clock steps back.
        self.latest = self.latest.max(now);
        let latest = self.latest;
        if until < latest {
            return Err(ReplayRefusal::Forgotten);
        }
        if !self.seen.contains_key(holder) && self.seen.len() >= self.holders {
            self.seen.retain(|_, seen| {
                seen.forget_before(latest);
                !seen.by_time.is_empty()
            });
            if self.seen.len() >= self.holders {
                return Err(ReplayRefusal::Full);
            }
        }
        let seen = self.seen.entry(*holder).or_default();
        seen.forget_before(latest);
        if seen.by_jti.contains(jti) {
            return Err(ReplayRefusal::Seen);
        }
        if seen.by_jti.len() >= self.per_holder {
            return Err(ReplayRefusal::Full);
        }
        seen.by_jti.insert(jti.to_owned());
        seen.by_time.insert((until, jti.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn nothing_is_taken_twice_inside_its_window() {
        let (mut memory, one) = (BoundedReplayMemory::new(9, 9), Digest::of("one"));
        assert_eq!(memory.remember(&one, "a", at(160), at(100)), Ok(()));
        for now in [100, 130, 160] {
            assert_eq!(
                memory.remember(&one, "a", at(160), at(now)),
                Err(ReplayRefusal::Seen)
            );
        }
        assert_eq!(
            memory.remember(&Digest::of("two"), "a", at(160), at(100)),
            Ok(())
        );
        assert_eq!(
            memory.remember(&one, "a", at(160), at(161)),
            Err(ReplayRefusal::Forgotten)
        );
    }

    #[test]
    fn a_flood_evicts_nothing_and_harms_nobody_else() {
        let (mut memory, one) = (BoundedReplayMemory::new(2, 9), Digest::of("one"));
        assert_eq!(memory.remember(&one, "a", at(160), at(100)), Ok(()));
        assert_eq!(memory.remember(&one, "b", at(165), at(105)), Ok(()));
        assert_eq!(
            memory.remember(&one, "c", at(165), at(105)),
            Err(ReplayRefusal::Full)
        );
        assert_eq!(
            memory.remember(&one, "a", at(160), at(105)),
            Err(ReplayRefusal::Seen)
        );
        assert_eq!(
            memory.remember(&Digest::of("two"), "a", at(165), at(105)),
            Ok(())
        );
        assert_eq!(memory.remember(&one, "c", at(221), at(161)), Ok(()));
    }

    #[test]
    fn a_clock_that_steps_back_opens_no_window() {
        let (mut memory, one) = (BoundedReplayMemory::new(9, 9), Digest::of("one"));
        assert_eq!(memory.remember(&one, "a", at(160), at(100)), Ok(()));
        assert_eq!(memory.remember(&one, "b", at(260), at(200)), Ok(()));
        assert_eq!(
            memory.remember(&one, "a", at(160), at(100)),
            Err(ReplayRefusal::Forgotten)
        );
    }

    #[test]
    fn holders_are_bounded_and_make_room_when_idle() {
        let mut memory = BoundedReplayMemory::new(1, 2);
        for (holder, now, expected) in [
            ("one", 100, Ok(())),
            ("two", 100, Ok(())),
            ("three", 100, Err(ReplayRefusal::Full)),
            ("three", 161, Ok(())),
        ] {
            assert_eq!(
                memory.remember(&Digest::of(holder), "a", at(now + 60), at(now)),
                expected
            );
        }
    }
}
