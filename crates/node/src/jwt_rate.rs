use std::sync::{Mutex, PoisonError};

use chancery_types::Timestamp;

/// The most JWT-SVIDs of one launch in one window. Each is an entry of the log.
pub(crate) const MAX_TOKENS: u32 = 120;
/// The window, in seconds.
pub(crate) const WINDOW_SECONDS: u64 = 60;

/// How many JWT-SVIDs a launch was issued lately.
#[derive(Debug, Default)]
pub(crate) struct JwtRate(Mutex<Window>);

#[derive(Debug)]
struct Window {
    began: Timestamp,
    tokens: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            began: Timestamp::from_micros(0),
            tokens: 0,
        }
    }
}

impl JwtRate {
    /// Counts one more; false where there were too many already.
    pub(crate) fn take(&self, now: Timestamp) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = now < window.began || now >= window.began.plus_seconds(WINDOW_SECONDS);
        if over {
            *window = Window {
                began: now,
                tokens: 0,
            };
        }
        let free = window.tokens < MAX_TOKENS;
        window.tokens += u32::from(free);
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_has_so_many_tokens_in_a_window() {
        let rate = JwtRate::default();
        let now = Timestamp::from_seconds(1_800_000_000);
        for _ in 0..MAX_TOKENS {
            assert!(rate.take(now));
        }
        assert!(!rate.take(now));
        assert!(!rate.take(now.plus_seconds(WINDOW_SECONDS - 1)));
        assert!(rate.take(now.plus_seconds(WINDOW_SECONDS)));
        // A clock that was put back opens a new window instead of closing the old one for long.
        assert!(rate.take(now.minus_seconds(1_000)));
    }
}
