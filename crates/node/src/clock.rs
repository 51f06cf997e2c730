use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chancery_types::Timestamp;
use tokio::time::{Instant, sleep};

/// How often whoever waits for a time looks at the clock: a timer of the system does not know that the
/// clock was set, nor that the machine slept.
const LOOK: Duration = Duration::from_secs(2);

/// By how much the clock may differ from what has passed before it counts as set.
const STEP_MICROS: u64 = 1_000_000;

/// The system's time.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = elapsed.map_or(0, |elapsed| elapsed.as_micros());
    Timestamp::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Waits until that time, or until the clock was set or the machine slept, whichever is first: whoever
/// waited looks again at what is due by the clock of now.
pub(crate) async fn until(time: Timestamp) {
    loop {
        let (before, begun) = (now(), Instant::now());
        let left = Duration::from_micros(time.micros_since(before));
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
        if was_set(before, begun.elapsed(), now()) {
            return;
        }
    }
}

/// Whether a clock that said `before` says `now` although another time has passed.
fn was_set(before: Timestamp, passed: Duration, now: Timestamp) -> bool {
    let passed = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
    let expected = Timestamp::from_micros(before.as_micros().saturating_add(passed));
    now.micros_since(expected).max(expected.micros_since(now)) > STEP_MICROS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_told_from_one_that_runs() {
        let before = Timestamp::from_seconds(1_800_000_000);
        let after =
            |micros: i64| Timestamp::from_micros(before.as_micros().saturating_add_signed(micros));
        let passed = Duration::from_secs(2);
        for micros in [2_000_000, 1_999_000, 1_500_000, 2_900_000] {
            assert!(!was_set(before, passed, after(micros)), "{micros}");
        }
        for micros in [0, 900_000, -3_600_000_000, 3_100_000, 3_600_000_000] {
            assert!(was_set(before, passed, after(micros)), "{micros}");
        }
        // The machine slept: its timers did not.
        assert!(was_set(
            before,
            Duration::from_millis(1),
            after(1_800_000_000)
        ));
        assert!(!was_set(
            before,
            Duration::from_secs(1_800),
            after(1_800_000_000)
        ));
    }

    #[tokio::test]
    async fn what_is_past_is_not_waited_for() {
        until(now()).await;
        until(Timestamp::from_seconds(1)).await;
    }
}
