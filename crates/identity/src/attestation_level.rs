//! What an identity rests on, in words that tokens and evidence share (decision 17).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What vouches for an instance, weakest first. Derived from evidence and never set. What rests on
/// software alone says so in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttestationLevel {
    /// The kernel's facts about a process that our node did not start.
    Process,
    /// Our launch: the node holds the process by its pidfd.
    Launch,
    /// A TPM's quote over the host.
    Tpm,
    /// An AMD SEV-SNP report over the machine.
    SevSnp,
    /// An Intel TDX quote over the machine.
    Tdx,
}

/// Whether an instance was fenced in when it started; fenced in is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// It runs as any process of its user, and evidence says so.
    Unisolated,
    /// It runs in namespaces of its own.
    Isolated,
}

/// Why a text names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an attestation level: expected one of {}", AttestationLevel::ALL.map(AttestationLevel::name).join(", "))]
pub struct AttestationLevelError;

impl AttestationLevel {
    /// Every level, weakest first.
    pub const ALL: [Self; 5] = [
        Self::Process,
        Self::Launch,
        Self::Tpm,
        Self::SevSnp,
        Self::Tdx,
    ];

    /// The name on the wire and in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "software-only/process",
            Self::Launch => "software-only/launch",
            Self::Tpm => "tpm",
            Self::SevSnp => "sev-snp",
            Self::Tdx => "tdx",
        }
    }

    /// The place in the order, for policies: larger is stronger.
    pub const fn rank(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for AttestationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AttestationLevel {
    type Err = AttestationLevelError;

    fn from_str(text: &str) -> Result<Self, AttestationLevelError> {
        let mut levels = Self::ALL.into_iter();
        levels
            .find(|level| level.name() == text)
            .ok_or(AttestationLevelError)
    }
}

impl Serialize for AttestationLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for AttestationLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Isolated => "isolated",
            Self::Unisolated => "unisolated",
        })
    }
}

/// A text and nothing else: a derived reader takes an object of the word and null as well.
impl<'de> Deserialize<'de> for Isolation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "isolated" => Ok(Self::Isolated),
            "unisolated" => Ok(Self::Unisolated),
            other => Err(serde::de::Error::unknown_variant(
                other,
                &["isolated", "unisolated"],
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_says_so_and_names_round_trip() {
        for level in AttestationLevel::ALL {
            assert_eq!(level.name().parse(), Ok(level));
        }
        assert!(AttestationLevel::ALL.is_sorted());
        assert!(
            AttestationLevel::Launch
                .name()
                .starts_with("software-only/")
        );
        for bad in [
            "",
            "launch",
            "software-only",
            "software-only/launch ",
            "TPM",
        ] {
            assert_eq!(
                bad.parse::<AttestationLevel>(),
                Err(AttestationLevelError),
                "{bad:?}"
            );
        }
    }
}
