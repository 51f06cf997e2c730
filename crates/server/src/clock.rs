//! The clock of issuance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_types::Timestamp;

/// How far a clock may step back before issuance stops: what a time daemon corrects in one step.
const TOLERANCE_MICROS: u64 = 2_000_000;

/// A clock that never goes back: it starts at the time of the last entry of the log, and refuses
/// to tell the time once the machine's clock stands before what was told already.
#[derive(Debug)]
pub struct Clock {
    latest: AtomicU64,
    source: fn() -> Timestamp,
}

/// The machine's clock stepped back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock stepped back: it says {now}, the log was written at {latest}")]
pub struct ClockError {
    /// What the clock says.
    pub now: Timestamp,
    /// The latest time that was told or logged.
    pub latest: Timestamp,
}

impl Clock {
    /// A clock over the machine's, which was last told `latest`.
    pub const fn new(latest: Timestamp) -> Self {
        Self::over(latest, Self::machine)
    }

    /// A clock over `source`.
    pub const fn over(latest: Timestamp, source: fn() -> Timestamp) -> Self {
        Self {
            latest: AtomicU64::new(latest.as_micros()),
            source,
        }
    }

    /// What the machine's clock says.
    pub fn machine() -> Timestamp {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
    }

    /// Now; never earlier than what was told before.
    pub fn now(&self) -> Result<Timestamp, ClockError> {
        let now = (self.source)();
        let latest = self.latest.fetch_max(now.as_micros(), Ordering::AcqRel);
        if now.as_micros().saturating_add(TOLERANCE_MICROS) < latest {
            return Err(ClockError {
                now,
                latest: Timestamp::from_micros(latest),
            });
        }
        Ok(Timestamp::from_micros(latest.max(now.as_micros())))
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
        let clock = Clock::over(Timestamp::from_seconds(103), frozen);
        let refusal = clock.now().unwrap_err();
        assert_eq!(refusal.latest, Timestamp::from_seconds(103));
        assert!(refusal.to_string().contains("stepped back"));
    }

    #[test]
    fn a_small_correction_is_waited_out() {
        let clock = Clock::over(Timestamp::from_seconds(101), frozen);
        assert_eq!(clock.now(), Ok(Timestamp::from_seconds(101)));
        assert_eq!(Clock::over(frozen(), frozen).now(), Ok(frozen()));
    }
}
