use chancery_types::Timestamp;

use super::Relationship;
use crate::bundle::{IgnoredKeyReason, MAX_BUNDLE_BYTES};
use crate::{BundleDocument, BundleDocumentError, BundleKeys, Incubating, ProfileError};

/// How long after a fetch the next one is made where the bundle does not say, in seconds
/// (Trust-Domain-and-Bundle section 6.1).
pub const DEFAULT_REFRESH_SECONDS: u64 = 300;

/// The shortest time between two fetches, whatever a bundle says, in seconds.
pub const MIN_REFRESH_SECONDS: u64 = 60;

/// The longest time between two fetches, whatever a bundle says, in seconds: a key that was taken
/// back is trusted no longer than that.
pub const MAX_REFRESH_SECONDS: u64 = 86_400;

/// What is known of one foreign trust domain, and when to ask again. A bundle that was taken stays
/// until a later one replaces it or the relationship ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignBundle {
    relationship: Relationship,
    latest: Option<BundleDocument>,
    next_fetch: Timestamp,
}

/// Why a relationship cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The endpoint authenticates by an X.509-SVID of the very trust domain that it serves, and
    /// nothing is known of that one (Federation section 5.2.2.2).
    #[error("a self-serving endpoint needs a first bundle with an x509-svid authority")]
    NoFirstBundle,
    /// The bundle at hand is of another trust domain, or holds an authority of one.
    #[error("the first bundle belongs to another trust domain")]
    WrongTrustDomain,
    /// It could not be read again: its own text is longer than [`MAX_BUNDLE_BYTES`].
    #[error("the first bundle's own text has more than {MAX_BUNDLE_BYTES} bytes")]
    TooLong,
}

/// What a bundle that was taken changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing: its keys are those that were known.
    None,
    /// The keys.
    Keys,
    /// All keys are gone: every SVID of the trust domain is untrusted from now on.
    Emptied,
}

/// Why a bundle that was fetched is not taken. What was known before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchRefusal {
    /// Not a bundle document.
    #[error("what was fetched is no bundle")]
    Document(#[from] BundleDocumentError),
    /// An older bundle than the one that is known (Federation section 4.2).
    #[error("bundle has sequence {fetched}, and {known} is known")]
    Rollback {
        /// The sequence of the one that is known.
        known: u64,
        /// Its own.
        fetched: u64,
    },
    /// Other content under the sequence that is known: which is the later one cannot be told
    /// (Trust-Domain-and-Bundle section 4.1.1).
    #[error("bundle has other keys under the same sequence {0}")]
    SameSequence(u64),
    /// The bundle that is known has a sequence and this one has none: it could be any older one.
    #[error("bundle has no sequence, and {0} is known")]
    NoSequence(u64),
    /// An authority in it is named like another trust domain: the endpoint serves somebody else's
    /// bundle, or has merged several (sections 3 and 4.2).
    #[error("bundle holds an authority of another trust domain")]
    WrongTrustDomain,
    /// A key of one's own is among those of the foreign trust domain
    /// (Trust-Domain-and-Bundle section 6.2).
    #[error("bundle holds a key of our own trust domain")]
    OwnKey,
}

impl FetchRefusal {
    /// The one code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Document(BundleDocumentError::TooLong) => "bundle_too_long",
            Self::Document(_) => "bundle_malformed",
            Self::Rollback { .. } => "bundle_rollback",
            Self::SameSequence(_) => "bundle_same_sequence",
            Self::NoSequence(_) => "bundle_no_sequence",
            Self::WrongTrustDomain => "bundle_wrong_domain",
            Self::OwnKey => "bundle_own_key",
        }
    }
}

impl ForeignBundle {
    /// Begins a relationship, with the bundle that an operator gave for a first connection. A fetch
    /// is due at once.
    pub fn start(
        relationship: Relationship,
        known: Option<BundleDocument>,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        if let Some(known) = &known {
            belongs(known, &relationship)?;
            if !is_readable_again(known) {
                return Err(StartError::TooLong);
            }
        }
        let authorities = known.as_ref().map(|known| known.keys().x509.authorities());
        if relationship.is_self_serving() && authorities.is_none_or(<[_]>::is_empty) {
            return Err(StartError::NoFirstBundle);
        }
        Ok(Self::resume(relationship, known, now))
    }

    /// Takes up a relationship that began before, with the bundle that was stored: one without
    /// keys, or none, is as good as any. A fetch is due at once.
    pub(super) const fn resume(
        relationship: Relationship,
        known: Option<BundleDocument>,
        now: Timestamp,
    ) -> Self {
        Self {
            relationship,
            latest: known,
            next_fetch: now,
        }
    }

    /// Nothing of the trust domain is trusted until a bundle is taken again.
    pub(super) fn forget(&mut self) {
        self.latest = None;
    }

    /// The parameters.
    pub const fn relationship(&self) -> &Relationship {
        &self.relationship
    }

    /// The bundle that is in force, and that is to be stored. None before the first was taken.
    pub const fn latest(&self) -> Option<&BundleDocument> {
        self.latest.as_ref()
    }

    /// When the next fetch is made.
    pub const fn next_fetch(&self) -> Timestamp {
        self.next_fetch
    }

    /// Whether a fetch is to be made now: its time has come, or lies further ahead than any that
    /// was set, because the clock was put back.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.next_fetch || now.plus_seconds(MAX_REFRESH_SECONDS) < self.next_fetch
    }

    /// How long after a fetch the next one is made, in seconds: what the bundle in force says,
    /// within bounds.
    pub fn refresh_seconds(&self) -> u64 {
        let hint = self.latest.as_ref().and_then(BundleDocument::refresh_hint);
        hint.unwrap_or(DEFAULT_REFRESH_SECONDS)
            .clamp(MIN_REFRESH_SECONDS, MAX_REFRESH_SECONDS)
    }

    /// A fetch failed: the next one is made when it would have been made anyway, and no sooner
    /// (Federation section 6.2).
    pub fn failed(&mut self, now: Timestamp) {
        self.next_fetch = now.plus_seconds(self.refresh_seconds());
    }

    /// Judges what a fetch brought, and takes it where it is later than what is known.
    pub(super) fn fetched(
        &mut self,
        body: &[u8],
        own: &BundleKeys,
        incubating: Incubating,
        now: Timestamp,
    ) -> Result<Change, FetchRefusal> {
        let outcome = self.judge(body, own, incubating);
        let change = outcome.map(|document| {
            let before = self.latest.replace(document);
            self.change(before.as_ref())
        });
        self.failed(now);
        change
    }

    fn judge(
        &self,
        body: &[u8],
        own: &BundleKeys,
        incubating: Incubating,
    ) -> Result<BundleDocument, FetchRefusal> {
        let trust_domain = self.relationship.trust_domain().clone();
        let document = BundleDocument::parse(trust_domain, body, incubating)?;
        if names_another(&document) {
            return Err(FetchRefusal::WrongTrustDomain);
        }
        if let Some(latest) = &self.latest
            && let Some(known) = latest.sequence()
        {
            match document.sequence() {
                None => return Err(FetchRefusal::NoSequence(known)),
                Some(fetched) if fetched < known => {
                    return Err(FetchRefusal::Rollback { known, fetched });
                }
                Some(fetched) if fetched == known && document.keys() != latest.keys() => {
                    return Err(FetchRefusal::SameSequence(known));
                }
                Some(_) => {}
            }
        }
        if document.keys().shares_a_key_with(own) {
            return Err(FetchRefusal::OwnKey);
        }
        // What is stored is this text, which names more of a key than what was fetched has to.
        if !is_readable_again(&document) {
            return Err(BundleDocumentError::TooLong.into());
        }
        Ok(document)
    }

    fn change(&self, before: Option<&BundleDocument>) -> Change {
        let Some(after) = &self.latest else {
            return Change::None;
        };
        if before.is_some_and(|before| before.keys() == after.keys()) {
            return Change::None;
        }
        if after.keys().is_empty() {
            return Change::Emptied;
        }
        Change::Keys
    }
}

/// Whether a bundle is of the relationship's trust domain and of no other.
pub(super) fn belongs(
    known: &BundleDocument,
    relationship: &Relationship,
) -> Result<(), StartError> {
    if known.trust_domain() != relationship.trust_domain() || names_another(known) {
        return Err(StartError::WrongTrustDomain);
    }
    Ok(())
}

/// Whether the document's own text is one that is read.
fn is_readable_again(document: &BundleDocument) -> bool {
    let text = document.to_json();
    text.is_ok_and(|text| text.len() <= MAX_BUNDLE_BYTES)
}

/// Whether an authority was left out because it is named like another trust domain.
fn names_another(document: &BundleDocument) -> bool {
    let another = IgnoredKeyReason::Certificate(ProfileError::WrongTrustDomain);
    let mut ignored = document.ignored().iter();
    ignored.any(|ignored| ignored.reason == another)
}
