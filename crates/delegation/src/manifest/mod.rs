//! Agent Manifests, version 0.2: signed documents that say what an agent is made of.
//!
//! Two steps, two types: [`AuthenticManifest`] is signed by an issuer who may sign it and is in
//! force, by the rules that all implementations share; [`VerifiedManifest`] is complete as well, by
//! the full schema, and is what an identity or a session rests on.

mod authentic;
mod catalog;
mod envelope;
mod error;
mod schema;
mod seal;
mod tables;
mod verified;

pub use authentic::{AuthenticManifest, IssuerKey, ManifestContext, authenticate_manifest};
pub use catalog::{CatalogError, CatalogTool, catalog_root};
pub use error::ManifestError;
pub use seal::{SealError, seal_manifest_payload, sign_manifest};
pub use verified::{EnforcementMode, ManifestTool, VerifiedManifest, verify_manifest};
