use std::sync::atomic::{AtomicU64, Ordering};

use chancery_types::Timestamp;

/// How far a clock may step back before nothing is decided any more: what a time daemon corrects
/// in one step.
const TOLERANCE_MICROS: u64 = 2_000_000;

/// A clock that never goes back: it starts at the time of the last entry of the log, and refuses
/// to tell the time once its source stands before what was told already.
#[derive(Debug)]
pub(crate) struct Clock {
    latest: AtomicU64,
    source: fn() -> Timestamp,
}

/// The clock stands before what was told or logged already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SteppedBack;

impl Clock {
    pub(crate) const fn new(latest: Timestamp, source: fn() -> Timestamp) -> Self {
        Self {
            latest: AtomicU64::new(latest.as_micros()),
            source,
        }
    }

    /// Now; never earlier than what was told before.
    pub(crate) fn now(&self) -> Result<Timestamp, SteppedBack> {
        let now = (self.source)();
        let latest = self.latest.fetch_max(now.as_micros(), Ordering::AcqRel);
        if now.as_micros().saturating_add(TOLERANCE_MICROS) < latest {
            return Err(SteppedBack);
        }
        Ok(Timestamp::from_micros(latest.max(now.as_micros())))
    }

    /// The latest time that is known, for what must be written even when the clock is wrong.
    pub(crate) fn latest(&self) -> Timestamp {
        self.now()
            .unwrap_or(Timestamp::from_micros(self.latest.load(Ordering::Acquire)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frozen() -> Timestamp {
        Timestamp::from_seconds(100)
    }

    #[test]
    fn a_step_back_stops_the_clock() {
        let late = Timestamp::from_seconds(103);
        let clock = Clock::new(late, frozen);
        assert_eq!(clock.now(), Err(SteppedBack));
        assert_eq!(clock.latest(), late);
        let corrected = Timestamp::from_seconds(101);
        assert_eq!(Clock::new(corrected, frozen).now(), Ok(corrected));
    }
}
