use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How long one SVID lives: from ten seconds to an hour, in whole seconds. The hour is the hard maximum
/// of every deployment and of the signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct SvidSeconds(u64);

/// Not from ten seconds to an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an svid lives from {} to {} seconds",
    SvidSeconds::SHORTEST,
    SvidSeconds::LONGEST
)]
pub struct SvidSecondsError;

impl SvidSeconds {
    /// The shortest life.
    pub const SHORTEST: u64 = 10;
    /// The longest life.
    pub const LONGEST: u64 = 3_600;

    /// That many seconds.
    pub const fn seconds(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for SvidSeconds {
    type Error = SvidSecondsError;

    fn try_from(seconds: u64) -> Result<Self, SvidSecondsError> {
        match (Self::SHORTEST..=Self::LONGEST).contains(&seconds) {
            true => Ok(Self(seconds)),
            false => Err(SvidSecondsError),
        }
    }
}

impl From<SvidSeconds> for u64 {
    fn from(seconds: SvidSeconds) -> Self {
        seconds.0
    }
}

impl FromStr for SvidSeconds {
    type Err = SvidSecondsError;

    fn from_str(text: &str) -> Result<Self, SvidSecondsError> {
        let seconds: u64 = text.parse().map_err(|_| SvidSecondsError)?;
        seconds.try_into()
    }
}

impl fmt::Display for SvidSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_ten_seconds_to_an_hour() {
        for good in ["10", "300", "3600"] {
            assert_eq!(good.parse::<SvidSeconds>().unwrap().to_string(), good);
            let read: SvidSeconds = serde_json::from_str(good).unwrap();
            assert_eq!(read.seconds().to_string(), good);
        }
        for bad in [
            "0",
            "9",
            "3601",
            "18446744073709551616",
            "-10",
            "10.5",
            "\"10\"",
            "null",
            "1e2",
        ] {
            assert!(serde_json::from_str::<SvidSeconds>(bad).is_err(), "{bad}");
            assert_eq!(bad.parse::<SvidSeconds>(), Err(SvidSecondsError), "{bad}");
        }
    }
}
