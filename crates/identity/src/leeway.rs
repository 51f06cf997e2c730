//! How far clocks may stand apart.

/// The most seconds of leeway: "at most a couple of minutes" (WIT-SVID section 3.4).
pub const MAX_LEEWAY_SECONDS: u64 = 120;

/// How long after its end, and before its beginning, a token is still taken, for clocks that stand
/// apart: two minutes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Leeway(u64);

/// A leeway is longer than [`MAX_LEEWAY_SECONDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a leeway is at most {MAX_LEEWAY_SECONDS} seconds")]
pub struct LeewayError;

impl Leeway {
    /// No leeway.
    pub const NONE: Self = Self(0);

    /// The seconds.
    pub const fn as_seconds(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Leeway {
    type Error = LeewayError;

    fn try_from(seconds: u64) -> Result<Self, LeewayError> {
        if seconds > MAX_LEEWAY_SECONDS {
            return Err(LeewayError);
        }
        Ok(Self(seconds))
    }
}
