use std::collections::BTreeMap;

use chancery_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::{BundleDocument, BundleKeys};
use crate::TrustDomain;

/// How many refreshes a new key is told before it signs: enough that a reader may miss one or two
/// (Federation section 4.1).
const ADVANCE_REFRESHES: u64 = 3;

/// What a trust domain publishes of itself: the document, and since when it tells each key. Its
/// sequence rises by one with every change of content and with nothing else
/// (Trust-Domain-and-Bundle section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedBundle {
    document: BundleDocument,
    since: BTreeMap<KeyName, Timestamp>,
}

/// A key of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyName {
    /// An authority of X.509-SVIDs, by the digest of its certificate.
    X509(Digest),
    /// A key of JWT-SVIDs, by its `kid`.
    Jwt(String),
    /// A key of WIT-SVIDs, by its `kid`.
    Wit(String),
}

/// Whether a key may sign for readers elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It is not in the document: nothing that it signs would be verified.
    Unpublished,
    /// It is in the document, and readers may not have seen it before that time.
    Early(Timestamp),
    /// Readers have had the time to see it.
    Ready,
}

impl PublishedBundle {
    /// The first document of a trust domain.
    pub fn first(
        trust_domain: TrustDomain,
        keys: BundleKeys,
        refresh_hint: u64,
        now: Timestamp,
    ) -> Self {
        let names = names(&keys);
        Self {
            document: BundleDocument::new(trust_domain, keys, 1, refresh_hint),
            since: names.into_iter().map(|name| (name, now)).collect(),
        }
    }

    /// What was published before, as it was stored. A key that `since` does not name is told from
    /// `now` on.
    pub fn resume(
        document: BundleDocument,
        since: impl IntoIterator<Item = (KeyName, Timestamp)>,
        now: Timestamp,
    ) -> Self {
        let known: BTreeMap<_, _> = since.into_iter().collect();
        let told = |name: KeyName| {
            let first = known.get(&name).copied().unwrap_or(now);
            (name, first)
        };
        Self {
            since: names(document.keys()).into_iter().map(told).collect(),
            document,
        }
    }

    /// Since when each key is told: what is stored beside the document.
    pub fn since(&self) -> impl Iterator<Item = (&KeyName, Timestamp)> {
        self.since.iter().map(|(name, since)| (name, *since))
    }

    /// The document with other keys or another hint; the same one where nothing changed.
    #[must_use]
    pub fn publish(self, keys: BundleKeys, refresh_hint: u64, now: Timestamp) -> Self {
        let Self { document, since } = self;
        if *document.keys() == keys && document.refresh_hint() == Some(refresh_hint) {
            return Self { document, since };
        }
        let sequence = document.sequence().unwrap_or_default().saturating_add(1);
        let names = names(&keys);
        let told = |name: KeyName| {
            let first = since.get(&name).copied().unwrap_or(now);
            (name, first)
        };
        Self {
            since: names.into_iter().map(told).collect(),
            document: BundleDocument::new(
                document.trust_domain().clone(),
                keys,
                sequence,
                refresh_hint,
            ),
        }
    }

    /// The document.
    pub const fn document(&self) -> &BundleDocument {
        &self.document
    }

    /// Whether that key may sign at `now`.
    pub fn readiness(&self, key: &KeyName, now: Timestamp) -> Readiness {
        let Some(since) = self.since.get(key) else {
            return Readiness::Unpublished;
        };
        let hint = self.document.refresh_hint().unwrap_or_default();
        let ready = since.plus_seconds(hint.saturating_mul(ADVANCE_REFRESHES));
        if now < ready {
            return Readiness::Early(ready);
        }
        Readiness::Ready
    }
}

fn names(keys: &BundleKeys) -> Vec<KeyName> {
    let x509 = keys.x509.authorities().iter();
    let x509 = x509.map(|authority| KeyName::X509(Digest::of(authority.der())));
    let jwt = keys.jwt.keys().map(|(kid, _)| KeyName::Jwt(kid.to_owned()));
    let wit = keys.wit.keys().map(|(kid, _)| KeyName::Wit(kid.to_owned()));
    x509.chain(jwt).chain(wit).collect()
}
