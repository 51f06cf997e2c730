use std::collections::BTreeMap;

use chancery_identity::SpiffeId;
use chancery_types::id::ConsentId;
use chancery_types::limits::MAX_REVOCATIONS;
use chancery_types::{CanonicalError, Digest, Jwk, RevocationKind, Timestamp, to_canonical};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Revocable, Revocation};

/// What is revoked at one moment: bounded, each thing once, written in the order of kind and
/// identifier. One lookup for each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationSet(BTreeMap<RevocationKind, BTreeMap<String, Timestamp>>);

static NOTHING: RevocationSet = RevocationSet(BTreeMap::new());

/// Why a set is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationSetError {
    /// More than may be in force at one time.
    #[error("more than {MAX_REVOCATIONS} revocations; lift those that need not stand any more")]
    TooMany,
    /// The same thing twice, or not in the order of kind and identifier.
    #[error("revocations are not in the order of kind and identifier, each once")]
    Order,
}

/// What a chain says of itself that a revocation may name: of each link, and of the root alone.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named<'a> {
    Link {
        jti: &'a str,
        subject: &'a SpiffeId,
        key: &'a Jwk,
    },
    Root {
        sid: &'a str,
        mission: &'a Digest,
        person: &'a str,
        consent: Option<ConsentId>,
    },
}

impl RevocationSet {
    /// Nothing is revoked.
    pub fn none() -> &'static Self {
        &NOTHING
    }

    /// Whether this is revoked, and since when.
    pub fn since(&self, kind: RevocationKind, id: &str) -> Option<Timestamp> {
        self.0.get(&kind)?.get(id).copied()
    }

    /// Whether the root or link with that `jti` is revoked.
    pub fn has_token(&self, jti: &str) -> bool {
        self.since(RevocationKind::Token, jti).is_some()
    }

    /// Whether the session is revoked.
    pub fn has_session(&self, sid: &str) -> bool {
        self.since(RevocationKind::Session, sid).is_some()
    }

    /// Whether the mission with that digest is revoked.
    pub fn has_mission(&self, mission: &Digest) -> bool {
        let of_kind = self.0.get(&RevocationKind::Mission);
        of_kind.is_some_and(|known| known.contains_key(&mission.to_string()))
    }

    /// Whether the agent with that SPIFFE ID is revoked.
    pub fn has_agent(&self, agent: &str) -> bool {
        self.since(RevocationKind::Agent, agent).is_some()
    }

    /// Whether the instance with that SPIFFE ID is revoked, itself or with its agent.
    pub fn of_instance(&self, instance: &str) -> Option<RevocationKind> {
        // An agent's id never contains the separator (decision 27), so that the first one is it.
        let agent = instance
            .split_once("/instance/")
            .map_or(instance, |(agent, _)| agent);
        if self.since(RevocationKind::Instance, instance).is_some() {
            Some(RevocationKind::Instance)
        } else if self.has_agent(agent) {
            Some(RevocationKind::Agent)
        } else {
            None
        }
    }

    /// Whether the person is revoked.
    pub fn has_person(&self, person: &str) -> bool {
        self.since(RevocationKind::Person, person).is_some()
    }

    /// Whether the standing consent is revoked.
    pub fn has_consent(&self, consent: ConsentId) -> bool {
        let of_kind = self.0.get(&RevocationKind::Consent);
        of_kind.is_some_and(|known| known.contains_key(&consent.to_string()))
    }

    /// Whether the holder key is revoked.
    pub fn has_key(&self, key: &Jwk) -> bool {
        let of_kind = self.0.get(&RevocationKind::Key);
        of_kind.is_some_and(|known| known.contains_key(&key.thumbprint().to_string()))
    }

    /// What of a root or link is revoked: what the chain check asks for every link.
    pub(crate) fn find(&self, named: Named<'_>) -> Option<RevocationKind> {
        if self.0.is_empty() {
            return None;
        }
        let first = |found: &[(bool, RevocationKind)]| {
            let mut found = found.iter();
            found.find(|(holds, _)| *holds).map(|(_, kind)| *kind)
        };
        match named {
            Named::Link { jti, subject, key } => first(&[
                (self.has_token(jti), RevocationKind::Token),
                (self.has_key(key), RevocationKind::Key),
            ])
            .or_else(|| self.of_instance(subject.as_str())),
            Named::Root {
                sid,
                mission,
                person,
                consent,
            } => first(&[
                (self.has_session(sid), RevocationKind::Session),
                (self.has_mission(mission), RevocationKind::Mission),
                (self.has_person(person), RevocationKind::Person),
                (
                    consent.is_some_and(|consent| self.has_consent(consent)),
                    RevocationKind::Consent,
                ),
            ]),
        }
    }

    /// How many things are revoked.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, in the order of kind and identifier.
    pub fn iter(&self) -> impl Iterator<Item = Revocation> {
        self.0.iter().flat_map(|(kind, known)| {
            known.iter().map(|(id, at)| Revocation {
                what: Revocable::checked(*kind, id.clone()),
                at: *at,
            })
        })
    }

    /// Adds one; of two revocations of the same thing the later stands.
    pub fn revoke(&mut self, revocation: &Revocation) -> Result<(), RevocationSetError> {
        let (kind, id) = (revocation.what.kind(), revocation.what.id());
        let known = self.since(kind, id);
        if known.is_none() && self.len() >= MAX_REVOCATIONS {
            return Err(RevocationSetError::TooMany);
        }
        let at = known.map_or(revocation.at, |known| known.max(revocation.at));
        self.0.entry(kind).or_default().insert(id.to_owned(), at);
        Ok(())
    }

    /// Takes exactly this one out; `false` where it is not in force.
    pub fn lift(&mut self, revocation: &Revocation) -> bool {
        let (kind, id) = (revocation.what.kind(), revocation.what.id());
        if self.since(kind, id) != Some(revocation.at) {
            return false;
        }
        self.retain(|known| known != revocation);
        true
    }

    /// Drops what cannot matter any more, by the one rule that server, signer and verifiers share.
    pub fn settle(&mut self, now: Timestamp) {
        self.retain(|known| known.matters(now));
    }

    /// Drops what a later epoch ends anyway.
    pub fn begin_epoch(&mut self) {
        self.retain(|known| !known.dies_with_epoch());
    }

    /// The digest of the canonical form: what gateways enrol of it.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        to_canonical(self).map(Digest::of)
    }

    fn retain(&mut self, keep: impl Fn(&Revocation) -> bool) {
        let kept: Vec<_> = self.iter().filter(keep).collect();
        if kept.len() < self.len() {
            *self = Self::of(kept);
        }
    }

    fn of(all: Vec<Revocation>) -> Self {
        let mut set = Self::default();
        for one in all {
            let of_kind = set.0.entry(one.what.kind()).or_default();
            of_kind.insert(one.what.id().to_owned(), one.at);
        }
        set
    }
}

impl TryFrom<Vec<Revocation>> for RevocationSet {
    type Error = RevocationSetError;

    fn try_from(all: Vec<Revocation>) -> Result<Self, RevocationSetError> {
        if all.len() > MAX_REVOCATIONS {
            return Err(RevocationSetError::TooMany);
        }
        if all.is_sorted_by(|one, next| one.what < next.what) {
            Ok(Self::of(all))
        } else {
            Err(RevocationSetError::Order)
        }
    }
}

impl Serialize for RevocationSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for RevocationSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Revocation>::deserialize(deserializer)?
            .try_into()
            .map_err(D::Error::custom)
    }
}
