//! Issuance of X.509 certificates: the trust domain's root, its intermediate, and the leaves that
//! are X.509-SVIDs (X509-SVID sections 2 to 4).
//!
//! Every certificate is read back and judged by the verifier of `chancery-identity` before it is
//! returned: what relying parties would refuse is never issued. Of leaves that are issued together the whole
//! path of the first is verified, and of each that has DNS names, and the profile of the others.

mod authority;
mod leaf;
mod params;
mod signer_key;

use chancery_identity::{ProfileError, X509SvidError};

pub(crate) use authority::intermediate_request;
pub use authority::{
    IssuingAuthority, certified_intermediate, intermediate_certificate, root_certificate,
};
pub(crate) use leaf::LeafIssuer;
pub use leaf::{LeafRequest, leaf_certificate};
pub use params::{BACKDATE_SECONDS, SerialNumber, Validity};

/// Why a certificate is not issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// Certificates are signed with P-256 keys.
    #[error("the authority's key is not a P-256 key")]
    AuthorityKey,
    /// The authority's certificate is no signing certificate of the trust domain.
    #[error("the authority's certificate is not usable")]
    Authority(#[source] ProfileError),
    /// The authority's certificate has expired or is not valid yet.
    #[error("the authority's certificate is not valid now")]
    AuthorityNotValid,
    /// The subject's key is not a SubjectPublicKeyInfo of a P-256 key on its curve.
    #[error("the subject's key is not a P-256 public key")]
    SubjectKey,
    /// The SPIFFE ID is longer than 2,048 bytes.
    #[error("the spiffe id is too long to be issued")]
    SubjectTooLong,
    /// The validity ends before it starts or lies outside of what X.509 can say.
    #[error("the validity is empty or out of range")]
    Validity,
    /// The certificate could not be encoded or signed.
    #[error("the certificate could not be made")]
    Encode(#[source] rcgen::Error),
    /// The finished certificate does not pass our own verifier, for example because the
    /// authority's key and certificate do not belong together.
    #[error("the certificate does not verify")]
    Refused(#[source] X509SvidError),
}

#[cfg(test)]
mod tests;
