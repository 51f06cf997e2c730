use std::str::FromStr;

use chancery_identity::jwt_svid::DEFAULT_JWT_SVID_SECONDS;
use chancery_identity::wit_svid::DEFAULT_WIT_SVID_SECONDS;

/// How long the SVIDs of instances live; X.509-SVIDs are renewed at half of it. From ten seconds to
/// an hour, in whole seconds; ten minutes where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SvidLifetime(u64);

/// Not from ten seconds to an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an svid lives from {} to {} seconds",
    SvidLifetime::SHORTEST,
    SvidLifetime::LONGEST
)]
pub struct SvidLifetimeError;

impl SvidLifetime {
    const SHORTEST: u64 = 10;
    const LONGEST: u64 = 3_600;

    /// That many seconds.
    pub fn from_seconds(seconds: u64) -> Result<Self, SvidLifetimeError> {
        if (Self::SHORTEST..=Self::LONGEST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(SvidLifetimeError)
        }
    }

    /// The life of an X.509-SVID in seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The life of a JWT-SVID in seconds: the same, and five minutes at most.
    pub fn jwt_seconds(self) -> u64 {
        self.0.min(DEFAULT_JWT_SVID_SECONDS)
    }

    /// The life of a WIT-SVID in seconds: the same, and five minutes at most.
    pub fn wit_seconds(self) -> u64 {
        self.0.min(DEFAULT_WIT_SVID_SECONDS)
    }
}

impl Default for SvidLifetime {
    fn default() -> Self {
        Self(600)
    }
}

impl FromStr for SvidLifetime {
    type Err = SvidLifetimeError;

    fn from_str(text: &str) -> Result<Self, SvidLifetimeError> {
        let seconds = text.parse().map_err(|_| SvidLifetimeError)?;
        Self::from_seconds(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_ten_seconds_to_an_hour() {
        for (text, jwt) in [("10", 10), ("300", 300), ("301", 300), ("3600", 300)] {
            let lifetime: SvidLifetime = text.parse().unwrap();
            assert_eq!(lifetime.seconds().to_string(), text);
            assert_eq!(lifetime.jwt_seconds(), jwt);
            assert_eq!(lifetime.wit_seconds(), jwt);
        }
        for text in [
            "",
            "0",
            "9",
            "3601",
            "-10",
            "10s",
            "1e2",
            "18446744073709551616",
        ] {
            assert_eq!(
                text.parse::<SvidLifetime>(),
                Err(SvidLifetimeError),
                "{text}"
            );
        }
        assert_eq!(SvidLifetime::default().seconds(), 600);
    }
}
