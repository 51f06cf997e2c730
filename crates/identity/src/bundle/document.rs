use std::collections::{BTreeMap, BTreeSet};

use chancery_types::{SvidKey, parse_strict_with_floats};
use serde_json::{Map, Value};

use super::element::{Element, IgnoredKey, IgnoredKeyReason, key_names, x509_element};
use crate::{Incubating, JwtBundle, TrustDomain, WitSvidBundle, X509Authority, X509Bundle};

/// The most bytes of a document that is read.
pub const MAX_BUNDLE_BYTES: usize = 1 << 20;

/// The most elements of `keys`, those that are left out among them.
pub const MAX_BUNDLE_KEYS: usize = 512;

/// The keys of one trust domain, each kind for its own SVIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleKeys {
    /// What X.509-SVIDs are verified with.
    pub x509: X509Bundle,
    /// What JWT-SVIDs are verified with.
    pub jwt: JwtBundle,
    /// What WIT-SVIDs are verified with.
    pub wit: WitSvidBundle,
}

/// A SPIFFE bundle document of one trust domain. The document does not say whose it is: who reads
/// one must know (Federation section 7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleDocument {
    trust_domain: TrustDomain,
    keys: BundleKeys,
    sequence: Option<u64>,
    refresh_hint: Option<u64>,
    ignored: Vec<IgnoredKey>,
}

/// Why a text is no bundle document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleDocumentError {
    /// More than [`MAX_BUNDLE_BYTES`].
    #[error("a bundle has {MAX_BUNDLE_BYTES} bytes at most")]
    TooLong,
    /// Not strict JSON: a name stands twice in one object, for example.
    #[error("bundle is not JSON that has one reading")]
    Json(#[source] chancery_types::StrictJsonError),
    /// Not a JSON object.
    #[error("bundle is not a JSON object")]
    NoObject,
    /// `keys` is missing or no list (Trust-Domain-and-Bundle section 4.1.3).
    #[error("bundle has no list of keys")]
    NoKeys,
    /// More than [`MAX_BUNDLE_KEYS`].
    #[error("a bundle has {MAX_BUNDLE_KEYS} keys at most")]
    TooManyKeys,
    /// `spiffe_sequence` is there and no integer of 64 bits.
    #[error("spiffe_sequence is not an integer of 64 bits")]
    Sequence,
    /// `spiffe_refresh_hint` is there and no integer of 64 bits.
    #[error("spiffe_refresh_hint is not an integer of 64 bits")]
    RefreshHint,
    /// An authority's key has no form in JSON.
    #[error("an authority's key has no form as a JSON web key")]
    Unwritable,
}

impl BundleKeys {
    /// No keys: nothing of the trust domain is trusted.
    pub fn none(trust_domain: &TrustDomain) -> Self {
        Self {
            x509: X509Bundle::of_authorities(trust_domain.clone(), Vec::new()),
            jwt: JwtBundle::new(trust_domain.clone(), []),
            wit: WitSvidBundle::new(trust_domain.clone(), []),
        }
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.x509.authorities().is_empty()
            && self.jwt.keys().len() == 0
            && self.wit.keys().len() == 0
    }

    /// Whether a key of `other`'s is among these, in whatever role.
    pub fn shares_a_key_with(&self, other: &Self) -> bool {
        let names: BTreeSet<String> = self.names().into_iter().collect();
        other.names().iter().any(|name| names.contains(name))
    }

    fn names(&self) -> Vec<String> {
        let keys = self.jwt.keys().chain(self.wit.keys());
        let keys = keys.map(|(_, key)| key.clone());
        key_names(self.x509.authorities(), keys)
    }
}

impl BundleDocument {
    /// A document of keys of one's own.
    pub fn new(
        trust_domain: TrustDomain,
        keys: BundleKeys,
        sequence: u64,
        refresh_hint: u64,
    ) -> Self {
        Self {
            trust_domain,
            keys,
            sequence: Some(sequence),
            refresh_hint: Some(refresh_hint),
            ignored: Vec::new(),
        }
    }

    /// Reads the document of `trust_domain`. Keys that are of an unknown type or use, or malformed,
    /// are left out and told; parameters that are unknown are ignored.
    pub fn parse(
        trust_domain: TrustDomain,
        bytes: &[u8],
        incubating: Incubating,
    ) -> Result<Self, BundleDocumentError> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleDocumentError::TooLong);
        }
        let value = parse_strict_with_floats(bytes).map_err(BundleDocumentError::Json)?;
        Self::of_value(trust_domain, &value, incubating)
    }

    pub(super) fn of_value(
        trust_domain: TrustDomain,
        value: &Value,
        incubating: Incubating,
    ) -> Result<Self, BundleDocumentError> {
        let members = value.as_object().ok_or(BundleDocumentError::NoObject)?;
        let elements = members.get("keys").and_then(Value::as_array);
        let elements = elements.ok_or(BundleDocumentError::NoKeys)?;
        if elements.len() > MAX_BUNDLE_KEYS {
            return Err(BundleDocumentError::TooManyKeys);
        }
        let integer = |name: &str, error| match members.get(name) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or(error),
        };
        let sequence = integer("spiffe_sequence", BundleDocumentError::Sequence)?;
        let refresh_hint = integer("spiffe_refresh_hint", BundleDocumentError::RefreshHint)?;
        let mut reading = Reading::default();
        for (position, element) in elements.iter().enumerate() {
            let taken = Element::read(element, &trust_domain, incubating)
                .and_then(|element| reading.take(position, element));
            if let Err(reason) = taken {
                reading.ignored.push(IgnoredKey { position, reason });
            }
        }
        let (keys, ignored) = reading.finish(&trust_domain);
        Ok(Self {
            trust_domain,
            keys,
            sequence,
            refresh_hint,
            ignored,
        })
    }

    /// The document's text: `keys` with what the specifications name and nothing beyond, then the
    /// refresh hint and the sequence.
    pub fn to_json(&self) -> Result<String, BundleDocumentError> {
        let mut members = self.members()?;
        if let Some(hint) = self.refresh_hint {
            members.insert("spiffe_refresh_hint".to_owned(), hint.into());
        }
        if let Some(sequence) = self.sequence {
            members.insert("spiffe_sequence".to_owned(), sequence.into());
        }
        Ok(Value::Object(members).to_string())
    }

    /// As in a map of bundles, which says itself when it is read again.
    pub(super) fn to_map_entry(&self) -> Result<Value, BundleDocumentError> {
        let mut members = self.members()?;
        if let Some(sequence) = self.sequence {
            members.insert("spiffe_sequence".to_owned(), sequence.into());
        }
        Ok(Value::Object(members))
    }

    fn members(&self) -> Result<Map<String, Value>, BundleDocumentError> {
        let x509 = self.keys.x509.authorities().iter();
        let x509: Option<Vec<Value>> = x509.map(x509_element).collect();
        let mut keys = x509.ok_or(BundleDocumentError::Unwritable)?;
        keys.extend(self.keys.jwt.to_elements());
        keys.extend(self.keys.wit.to_elements());
        Ok(Map::from_iter([("keys".to_owned(), Value::Array(keys))]))
    }

    /// Whose document this is.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The keys. Where there are none, every SVID of the trust domain is untrusted.
    pub const fn keys(&self) -> &BundleKeys {
        &self.keys
    }

    /// The number that rises with every change, where the publisher tells one.
    pub const fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// After how many seconds the publisher wants to be asked again.
    pub const fn refresh_hint(&self) -> Option<u64> {
        self.refresh_hint
    }

    /// The keys that were left out.
    pub fn ignored(&self) -> &[IgnoredKey] {
        &self.ignored
    }
}

/// The keys of a document while it is read.
#[derive(Default)]
struct Reading {
    x509: Vec<X509Authority>,
    tokens: BTreeMap<String, Token>,
    /// Names that more than one key has.
    shared: BTreeSet<String>,
    ignored: Vec<IgnoredKey>,
}

struct Token {
    position: usize,
    key: SvidKey,
    is_wit: bool,
}

impl Reading {
    fn take(&mut self, position: usize, element: Element) -> Result<(), IgnoredKeyReason> {
        let (kid, key, is_wit) = match element {
            Element::X509(authority) => {
                if self.x509.contains(&authority) {
                    return Err(IgnoredKeyReason::Repeated);
                }
                self.x509.push(authority);
                return Ok(());
            }
            Element::Jwt(kid, key) => (kid, key, false),
            Element::Wit(kid, key) => (kid, key, true),
        };
        match self.tokens.get(&kid) {
            None => {
                let token = Token {
                    position,
                    key,
                    is_wit,
                };
                self.tokens.insert(kid, token);
                Ok(())
            }
            Some(known) if known.key == key && known.is_wit == is_wit => {
                Err(IgnoredKeyReason::Repeated)
            }
            Some(_) => {
                self.shared.insert(kid);
                Err(IgnoredKeyReason::SharedKeyId)
            }
        }
    }

    fn finish(mut self, trust_domain: &TrustDomain) -> (BundleKeys, Vec<IgnoredKey>) {
        // Which of them the name means is anybody's guess.
        for kid in &self.shared {
            if let Some(token) = self.tokens.remove(kid) {
                self.ignored.push(IgnoredKey {
                    position: token.position,
                    reason: IgnoredKeyReason::SharedKeyId,
                });
            }
        }
        self.ignored.sort_by_key(|ignored| ignored.position);
        let (mut jwt, mut wit) = (BTreeMap::new(), BTreeMap::new());
        for (kid, token) in self.tokens {
            let keys = if token.is_wit { &mut wit } else { &mut jwt };
            keys.insert(kid, token.key);
        }
        let keys = BundleKeys {
            x509: X509Bundle::of_authorities(trust_domain.clone(), self.x509),
            jwt: JwtBundle::named(trust_domain.clone(), jwt),
            wit: WitSvidBundle::named(trust_domain.clone(), wit),
        };
        (keys, self.ignored)
    }
}
