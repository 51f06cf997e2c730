use std::collections::BTreeMap;

use chancery_types::parse_strict_with_floats;
use serde_json::{Map, Value};

use super::{BundleDocument, BundleDocumentError};
use crate::{Incubating, SpiffeIdError, TrustDomain};

/// The most bytes of a map that is read.
pub const MAX_BUNDLE_MAP_BYTES: usize = 16 << 20;

/// The most trust domains of a map.
pub const MAX_BUNDLE_MAP_DOMAINS: usize = 1_024;

/// Bundles with the names of their trust domains, in one document (Trust-Domain-and-Bundle section
/// 5). It is read as a whole or not at all, and says nothing about when to read it again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BundleMap(BTreeMap<TrustDomain, BundleDocument>);

/// Why a text is no bundle map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleMapError {
    /// More than [`MAX_BUNDLE_MAP_BYTES`].
    #[error("a bundle map has {MAX_BUNDLE_MAP_BYTES} bytes at most")]
    TooLong,
    /// Not strict JSON: a trust domain stands twice, for example (section 6.3).
    #[error("bundle map is not JSON that has one reading")]
    Json(#[source] chancery_types::StrictJsonError),
    /// `trust_domains` is missing or no object.
    #[error("bundle map has no trust_domains")]
    NoTrustDomains,
    /// More than [`MAX_BUNDLE_MAP_DOMAINS`].
    #[error("a bundle map has {MAX_BUNDLE_MAP_DOMAINS} trust domains at most")]
    TooManyTrustDomains,
    /// A name is not one of a trust domain.
    #[error("bundle map names no trust domain")]
    Name(#[source] SpiffeIdError),
    /// A bundle is none.
    #[error("bundle of {trust_domain}")]
    Bundle {
        /// Whose.
        trust_domain: TrustDomain,
        /// What is wrong with it.
        source: BundleDocumentError,
    },
}

impl BundleMap {
    /// Reads a map. One bundle that is none makes the whole none.
    pub fn parse(bytes: &[u8], incubating: Incubating) -> Result<Self, BundleMapError> {
        if bytes.len() > MAX_BUNDLE_MAP_BYTES {
            return Err(BundleMapError::TooLong);
        }
        let value = parse_strict_with_floats(bytes).map_err(BundleMapError::Json)?;
        let domains = value.get("trust_domains").and_then(Value::as_object);
        let domains = domains.ok_or(BundleMapError::NoTrustDomains)?;
        if domains.len() > MAX_BUNDLE_MAP_DOMAINS {
            return Err(BundleMapError::TooManyTrustDomains);
        }
        let mut bundles = BTreeMap::new();
        for (name, bundle) in domains {
            let trust_domain: TrustDomain = name.parse().map_err(BundleMapError::Name)?;
            let document = BundleDocument::of_value(trust_domain.clone(), bundle, incubating)
                .map_err(|source| BundleMapError::Bundle {
                    trust_domain: trust_domain.clone(),
                    source,
                })?;
            bundles.insert(trust_domain, document);
        }
        Ok(Self(bundles))
    }

    /// The map's text. Refresh hints of single bundles are left out.
    pub fn to_json(&self) -> Result<String, BundleDocumentError> {
        let entry = |(name, document): (&TrustDomain, &BundleDocument)| {
            Ok((name.to_string(), document.to_map_entry()?))
        };
        let domains = self.0.iter().map(entry).collect::<Result<Map<_, _>, _>>()?;
        let members = [("trust_domains".to_owned(), Value::Object(domains))];
        Ok(Value::Object(Map::from_iter(members)).to_string())
    }

    /// The bundle of that trust domain.
    pub fn of(&self, trust_domain: &TrustDomain) -> Option<&BundleDocument> {
        self.0.get(trust_domain)
    }

    /// All bundles, by name of the trust domain.
    pub fn iter(&self) -> impl Iterator<Item = &BundleDocument> {
        self.0.values()
    }
}

impl FromIterator<BundleDocument> for BundleMap {
    /// One bundle for each trust domain: the last one.
    fn from_iter<I: IntoIterator<Item = BundleDocument>>(documents: I) -> Self {
        let named = |document: BundleDocument| (document.trust_domain().clone(), document);
        Self(documents.into_iter().map(named).collect())
    }
}
