//! X.509-SVIDs: profile and path together.

mod intermediate;

use std::collections::BTreeSet;
use std::time::Duration;

use chancery_types::{Digest, Timestamp};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::x509_profile::{Certificate, ProfileError};
use crate::{SpiffeId, X509Bundle};

pub use intermediate::{ClaimedX509Svid, VerifiedIntermediate};

/// The most certificates of a chain, leaf included.
pub const MAX_CHAIN_CERTIFICATES: usize = 8;

/// An X.509-SVID whose profile and path were verified at some time; only [`verify_x509_svid`]
/// makes one. Connections outlive it: ask [`VerifiedX509Svid::is_valid_at`] again for every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedX509Svid {
    spiffe_id: SpiffeId,
    not_before: Timestamp,
    not_after: Timestamp,
    serial: Vec<u8>,
    spki_der: Vec<u8>,
    digest: Digest,
}

/// Why a chain is no X.509-SVID of the expected trust domain. Exhaustive: a refusal has exactly
/// one reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum X509SvidError {
    /// No certificate was presented.
    #[error("no certificate was presented")]
    EmptyChain,
    /// More than [`MAX_CHAIN_CERTIFICATES`] were presented.
    #[error("too many certificates were presented")]
    ChainTooLong,
    /// The leaf does not have the profile of an X.509-SVID.
    #[error("leaf is no x509-svid")]
    Leaf(#[source] ProfileError),
    /// A certificate between leaf and authority does not have the profile of a signing
    /// certificate.
    #[error("an intermediate is no signing certificate")]
    Intermediate(#[source] ProfileError),
    /// The leaf belongs to another trust domain than the bundle.
    #[error("svid belongs to another trust domain")]
    WrongTrustDomain,
    /// A certificate of the path has expired.
    #[error("svid has expired")]
    Expired,
    /// A certificate of the path is not valid yet.
    #[error("svid is not valid yet")]
    NotYetValid,
    /// No path of good signatures leads to a current authority of the bundle.
    #[error("svid does not lead to an authority of its trust domain")]
    Untrusted,
}

/// The digests of the certificates above the leaf of a chain (DER, leaf first): the authorities that it
/// stands below.
pub fn digests_above(chain: &[impl AsRef<[u8]>]) -> BTreeSet<Digest> {
    chain.iter().skip(1).map(Digest::of).collect()
}

/// The SPIFFE ID of a certificate that has the profile of a leaf (X509-SVID section 4), whoever signed it: it
/// proves nothing about who presents it.
pub fn leaf_profile(der: &[u8]) -> Result<SpiffeId, ProfileError> {
    Certificate::parse(der)?.check_leaf()
}

/// Verifies `chain` (DER, leaf first) by the X.509-SVID profile and by RFC 5280 path validation,
/// with the authorities of the leaf's own trust domain as only roots (X509-SVID section 5).
pub fn verify_x509_svid(
    chain: &[impl AsRef<[u8]>],
    bundle: &X509Bundle,
    now: Timestamp,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<VerifiedX509Svid, X509SvidError> {
    verify_with_path(chain, bundle, now, algorithms).map(|(svid, _)| svid)
}

/// The same, and the certificates that the path leads through, from the leaf's issuer on; others of the chain
/// are in no path.
fn verify_with_path(
    chain: &[impl AsRef<[u8]>],
    bundle: &X509Bundle,
    now: Timestamp,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(VerifiedX509Svid, Vec<CertificateDer<'static>>), X509SvidError> {
    if chain.len() > MAX_CHAIN_CERTIFICATES {
        return Err(X509SvidError::ChainTooLong);
    }
    let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| der.as_ref().into()).collect();
    let (leaf, intermediates) = chain.split_first().ok_or(X509SvidError::EmptyChain)?;
    let profile = Certificate::parse(leaf).map_err(X509SvidError::Leaf)?;
    let spiffe_id = profile.check_leaf().map_err(X509SvidError::Leaf)?;
    if spiffe_id.trust_domain() != bundle.trust_domain() {
        return Err(X509SvidError::WrongTrustDomain);
    }
    let through = verify_path(leaf, intermediates, bundle, now, algorithms)?;
    let svid = VerifiedX509Svid {
        spiffe_id,
        not_before: profile.not_before(),
        not_after: profile.not_after(),
        serial: profile.serial().to_vec(),
        spki_der: profile.spki_der().to_vec(),
        digest: Digest::of(leaf),
    };
    Ok((svid, through))
}

fn verify_path(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    bundle: &X509Bundle,
    now: Timestamp,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<Vec<CertificateDer<'static>>, X509SvidError> {
    // Path validation asks neither validity nor path length of an anchor; an authority of ours is
    // held to both.
    let current = bundle.authorities().iter();
    let current: Vec<_> = current.filter(|one| one.is_valid_at(now)).collect();
    let anchors = current
        .iter()
        .map(|authority| anchor_from_trusted_cert(authority.der()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(path_error)?;
    let path = EndEntityCert::try_from(leaf).map_err(path_error)?;
    let path = path
        .verify_for_usage(
            algorithms,
            &anchors,
            intermediates,
            UnixTime::since_unix_epoch(Duration::from_secs(now.as_seconds())),
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(path_error)?;
    let (mut length, mut through) = (0, Vec::new());
    for intermediate in path.intermediate_certificates() {
        length += 1;
        let der = intermediate.der();
        Certificate::parse(&der)
            .and_then(|signing| signing.check_authority(bundle.trust_domain()))
            .map_err(X509SvidError::Intermediate)?;
        through.push(der.into_owned());
    }
    let mut reached = anchors.iter().zip(&current);
    if reached.any(|(anchor, one)| anchor == path.anchor() && one.admits(length)) {
        Ok(through)
    } else {
        Err(X509SvidError::Untrusted)
    }
}

fn path_error(error: webpki::Error) -> X509SvidError {
    match error {
        webpki::Error::CertExpired { .. } => X509SvidError::Expired,
        webpki::Error::CertNotValidYet { .. } => X509SvidError::NotYetValid,
        _ => X509SvidError::Untrusted,
    }
}

impl VerifiedX509Svid {
    /// Whose SVID this is.
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// Whether the leaf's validity covers `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// The first second of the leaf's validity.
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The last second of the leaf's validity.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The serial number's bytes.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The public key as SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The digest of the leaf's DER.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests;
