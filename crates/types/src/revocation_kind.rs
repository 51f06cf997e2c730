//! What can be revoked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// What can be revoked, by one word each; the same in snapshots, logs, answers and commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationKind {
    /// A root or link, by its `jti`; its descendants die with it.
    Token,
    /// A session, by its id.
    Session,
    /// A mission, by the digest of its bytes: every chain that is for it.
    Mission,
    /// An agent, by its SPIFFE ID: every chain with one of its instances in it.
    Agent,
    /// An instance, by its SPIFFE ID: every chain with it in it.
    Instance,
    /// A person, by their identifier: every chain that is rooted in them.
    Person,
    /// A holder key, by its thumbprint: every chain with it in it.
    Key,
    /// A standing consent, by its id: every chain whose root rests on it, and every further one.
    Consent,
}

impl RevocationKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Token,
        Self::Session,
        Self::Mission,
        Self::Agent,
        Self::Instance,
        Self::Person,
        Self::Key,
        Self::Consent,
    ];

    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::Mission => "mission",
            Self::Agent => "agent",
            Self::Instance => "instance",
            Self::Person => "person",
            Self::Key => "key",
            Self::Consent => "consent",
        }
    }
}

impl fmt::Display for RevocationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is no kind of revocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a kind of revocation: expected token, session, mission, agent, instance, person, key or \
     consent"
)]
pub struct RevocationKindError;

impl FromStr for RevocationKind {
    type Err = RevocationKindError;

    fn from_str(text: &str) -> Result<Self, RevocationKindError> {
        let mut kinds = Self::ALL.into_iter();
        kinds
            .find(|kind| kind.name() == text)
            .ok_or(RevocationKindError)
    }
}

/// A text and nothing else: a derived reader takes an object of the word and null as well.
impl<'de> Deserialize<'de> for RevocationKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_are_those_of_the_wire() {
        for kind in RevocationKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            let wire = serde_json::to_string(&kind).unwrap();
            assert_eq!(wire, format!("\"{kind}\""));
            assert_eq!(
                serde_json::from_str::<RevocationKind>(&wire).ok(),
                Some(kind)
            );
            let object = format!("{{\"{kind}\":null}}");
            assert!(serde_json::from_str::<RevocationKind>(&object).is_err());
        }
        assert_eq!("Token".parse::<RevocationKind>(), Err(RevocationKindError));
    }
}
