use chancery_types::StrictJsonError;

use super::CatalogError;

/// Why a manifest is refused. Exhaustive: whoever admits agents decides on each.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Larger than any manifest that is read.
    #[error("manifest is too large")]
    TooLarge,
    /// Not one tagged COSE_Sign1 with inline payload and exactly the headers of the profile. A
    /// manifest of two signers is refused here: we verify no ML-DSA-65.
    #[error("manifest is not a COSE_Sign1 of the profile: {0}")]
    Frame(&'static str),
    /// Signed with an algorithm that is not verified here.
    #[error("manifest is signed with an algorithm that is not supported")]
    Algorithm,
    /// Signed with a key that no issuer in the trust document has.
    #[error("manifest is signed with an unknown key: add its issuer to the trust document")]
    UnknownKey,
    /// The signature does not verify.
    #[error("manifest signature does not verify")]
    Signature,
    /// The payload is not strict JSON.
    #[error("manifest payload is not strict JSON")]
    Json(#[source] StrictJsonError),
    /// The version is not 0.2, or a later verifier is required.
    #[error("manifest needs another verifier version")]
    IncompatibleVersion,
    /// A member is unknown, missing or of another form.
    #[error("manifest member {path} is {problem}")]
    Schema {
        /// Where, as a JSON pointer.
        path: String,
        /// What about it.
        problem: &'static str,
    },
    /// The key may not sign for the manifest's issuer.
    #[error("manifest key is not authorised for its issuer")]
    IssuerNotAuthorised,
    /// The manifest was revoked.
    #[error("manifest is revoked")]
    Revoked,
    /// Before `issued_at`.
    #[error("manifest is not yet valid")]
    NotYetValid,
    /// At or after `expires_at`.
    #[error("manifest has expired")]
    Expired,
    /// Valid for less than an hour or more than 365 days.
    #[error("manifest is valid for less than an hour or more than 365 days")]
    Lifetime,
    /// `crypto_profile` asks for more than the signature gives.
    #[error("manifest asks for a post-quantum signature that it does not have")]
    Downgrade,
    /// A manifest of full binding lacks a core artifact, or does not list what it leaves unbound.
    #[error("manifest does not bind {0}")]
    Unbound(&'static str),
    /// `catalog_hash` is not the root over the manifest's own tools.
    #[error("manifest catalog_hash is not the root of its tools")]
    CatalogHash,
    /// The manifest's tools have no catalog root.
    #[error("manifest tools make no catalog")]
    Catalog(#[source] CatalogError),
    /// An assurance test or a poisoning scan was flagged.
    #[error("manifest carries a flagged test of {0}")]
    Flagged(&'static str),
    /// The manifest demands something that is not verified here.
    #[error("manifest demands {0}, which is not verified here")]
    Unverifiable(&'static str),
}
