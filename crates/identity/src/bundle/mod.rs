//! SPIFFE bundles as documents: JSON Web Key Sets of one trust domain (Trust-Domain-and-Bundle).

mod document;
mod element;
mod map;
mod published;

pub use document::{
    BundleDocument, BundleDocumentError, BundleKeys, MAX_BUNDLE_BYTES, MAX_BUNDLE_KEYS,
};
pub use element::{IgnoredKey, IgnoredKeyReason};
pub use map::{BundleMap, BundleMapError, MAX_BUNDLE_MAP_BYTES, MAX_BUNDLE_MAP_DOMAINS};
pub use published::{KeyName, PublishedBundle, Readiness};
