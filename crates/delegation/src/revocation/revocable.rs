use std::fmt;

use chancery_identity::{AgentId, SpiffeId};
use chancery_types::id::{ConsentId, PersonId, SessionId};
use chancery_types::limits::MAX_ROOT_SECONDS;
use chancery_types::{Digest, RevocationKind, Timestamp, members};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::token::is_id;

/// How long a revocation of what lives an hour at most is kept: the hour, and five minutes for the
/// clocks of those who issue and those who check.
const KEPT_SECONDS: u64 = MAX_ROOT_SECONDS + 300;

/// Something that can be revoked, by its kind and its identifier in the one spelling that the kind
/// has: a `jti`, a `ses_` id, a `sha256:` digest, the SPIFFE ID of an agent or of an instance, a
/// `per_` id, the `cns_` id of a standing consent, the `sha256:` thumbprint of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Revocable {
    kind: RevocationKind,
    id: String,
}

/// Why an identifier names nothing of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{shown:?} names no {kind}: expected {expected}")]
pub struct RevocableError {
    /// The kind.
    pub kind: RevocationKind,
    /// What identifiers of this kind look like.
    pub expected: &'static str,
    /// How it begins.
    pub shown: String,
}

/// How many characters of what is no identifier are shown: enough to see a slip, less than a token has.
const MOST_SHOWN: usize = 64;

impl Revocable {
    /// Checks an identifier.
    pub fn new(kind: RevocationKind, id: &str) -> Result<Self, RevocableError> {
        fn is<T: std::str::FromStr + ToString>(id: &str) -> bool {
            id.parse::<T>().is_ok_and(|read| read.to_string() == id)
        }
        let (holds, expected) = match kind {
            RevocationKind::Token => (is_id(id), "a jti of 1 to 128 visible characters"),
            RevocationKind::Session => (is::<SessionId>(id), "ses_ and 26 characters"),
            RevocationKind::Mission => (is::<Digest>(id), "sha256: and 64 hex digits"),
            RevocationKind::Agent => (is::<AgentId>(id), "the SPIFFE ID of an agent"),
            RevocationKind::Instance => (is::<SpiffeId>(id), "the SPIFFE ID of an instance"),
            RevocationKind::Person => (is::<PersonId>(id), "per_ and 26 characters"),
            RevocationKind::Consent => (is::<ConsentId>(id), "cns_ and 26 characters"),
            RevocationKind::Key => (
                is::<Digest>(id),
                "the key's thumbprint: sha256: and 64 hex digits",
            ),
        };
        if holds {
            Ok(Self {
                kind,
                id: id.to_owned(),
            })
        } else {
            let shown = id.chars().take(MOST_SHOWN).collect();
            Err(RevocableError {
                kind,
                expected,
                shown,
            })
        }
    }

    /// One that was checked before.
    pub(super) const fn checked(kind: RevocationKind, id: String) -> Self {
        Self { kind, id }
    }

    /// What it is.
    pub const fn kind(&self) -> RevocationKind {
        self.kind
    }

    /// Which one.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Revocable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

impl<'de> Deserialize<'de> for Revocable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            kind: RevocationKind,
            id: String,
        }
        let wire: Wire = members::object(deserializer, "an object of kind and id")?;
        Self::new(wire.kind, &wire.id).map_err(D::Error::custom)
    }
}

/// Something that was revoked, and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revocation {
    /// What.
    pub what: Revocable,
    /// When.
    pub at: Timestamp,
}

impl Revocation {
    /// Whether anything can still be alive that it touches. A token, a session and an instance that
    /// is given nothing new end within the hour; everything else stays until it is lifted, since
    /// new authority could name it.
    pub const fn matters(&self, now: Timestamp) -> bool {
        match self.what.kind {
            RevocationKind::Token | RevocationKind::Session | RevocationKind::Instance => {
                now.as_micros() < self.at.plus_seconds(KEPT_SECONDS).as_micros()
            }
            RevocationKind::Mission
            | RevocationKind::Agent
            | RevocationKind::Person
            | RevocationKind::Consent
            | RevocationKind::Key => true,
        }
    }

    /// Whether it can touch chains of the epoch in which it was made and of earlier ones only, so
    /// that a later epoch takes its place.
    pub const fn dies_with_epoch(&self) -> bool {
        matches!(
            self.what.kind,
            RevocationKind::Token | RevocationKind::Session
        )
    }
}

/// The wire form: the members of what was revoked, and `at`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    kind: RevocationKind,
    id: String,
    at: Timestamp,
}

impl Serialize for Revocation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            kind: self.what.kind,
            id: self.what.id.clone(),
            at: self.at,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Revocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire: Wire = members::object(deserializer, "an object of kind, id and at")?;
        Ok(Self {
            what: Revocable::new(wire.kind, &wire.id).map_err(D::Error::custom)?,
            at: wire.at,
        })
    }
}
