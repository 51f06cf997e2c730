//! The X.509 authorities of trust domains.

use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_types::Timestamp;
use rustls_pki_types::CertificateDer;

use crate::x509_profile::{Certificate, ProfileError};
use crate::{SpiffeId, TrustDomain};

/// A certificate with the profile of a signing certificate of one trust domain: cA, keyCertSign,
/// and, where it has a SPIFFE ID, that of the trust domain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Authority {
    der: CertificateDer<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
    path_length: Option<u32>,
    self_issued: bool,
    spki_der: Vec<u8>,
}

/// The certificates that may sign X.509-SVIDs of one trust domain, and of no other
/// (Trust-Domain-and-Bundle section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X509Bundle {
    trust_domain: TrustDomain,
    /// Shared: a bundle is handed around with every SVID.
    authorities: Arc<[X509Authority]>,
}

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum X509BundleError {
    /// A certificate does not have the profile of a signing certificate.
    #[error("authority {position} of {trust_domain}")]
    Authority {
        /// The trust domain.
        trust_domain: TrustDomain,
        /// Counted from zero.
        position: usize,
        /// What is wrong with it.
        source: ProfileError,
    },
}

impl X509Authority {
    /// Reads a certificate in DER.
    pub fn new(trust_domain: &TrustDomain, der: Vec<u8>) -> Result<Self, ProfileError> {
        let certificate = Certificate::parse(&der)?;
        certificate.check_authority(trust_domain)?;
        Ok(Self {
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            path_length: certificate.path_length(),
            self_issued: certificate.is_self_issued(),
            spki_der: certificate.spki_der().to_vec(),
            der: CertificateDer::from(der),
        })
    }

    /// The certificate.
    pub const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The last second of its validity.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether it names itself as its issuer: a root, and no certificate between a root and a leaf.
    pub const fn is_self_issued(&self) -> bool {
        self.self_issued
    }

    /// Its public key as SubjectPublicKeyInfo in DER.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// Whether its validity covers `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Whether that many intermediates may stand between it and a leaf.
    pub(crate) fn admits(&self, intermediates: u32) -> bool {
        self.path_length.is_none_or(|limit| intermediates <= limit)
    }
}

impl X509Bundle {
    /// A bundle of DER certificates. An empty one is legal: it trusts nothing.
    pub fn new(
        trust_domain: TrustDomain,
        authorities: impl IntoIterator<Item = impl Into<Vec<u8>>>,
    ) -> Result<Self, X509BundleError> {
        let authorities = authorities
            .into_iter()
            .enumerate()
            .map(|(position, der)| {
                X509Authority::new(&trust_domain, der.into()).map_err(|source| {
                    X509BundleError::Authority {
                        trust_domain: trust_domain.clone(),
                        position,
                        source,
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            trust_domain,
            authorities,
        })
    }

    pub(crate) fn of_authorities(
        trust_domain: TrustDomain,
        authorities: Vec<X509Authority>,
    ) -> Self {
        Self {
            trust_domain,
            authorities: authorities.into(),
        }
    }

    /// Whose authorities these are.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The authorities.
    pub fn authorities(&self) -> &[X509Authority] {
        &self.authorities
    }

    /// The certificates, one DER behind the other, as the Workload API carries them.
    pub fn to_concatenated_der(&self) -> Vec<u8> {
        let ders = self.authorities.iter().map(|one| one.der.as_ref());
        ders.collect::<Vec<_>>().concat()
    }
}

/// Bundles by trust domain. Each verifies the SVIDs of its own trust domain only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct X509Bundles(BTreeMap<TrustDomain, X509Bundle>);

impl X509Bundles {
    /// Puts `bundle` in the place of what was known of its trust domain; bundles are never merged.
    pub fn replace(&mut self, bundle: X509Bundle) {
        self.0.insert(bundle.trust_domain.clone(), bundle);
    }

    /// The bundle of `id`'s trust domain.
    pub fn of(&self, id: &SpiffeId) -> Option<&X509Bundle> {
        self.0.get(id.trust_domain())
    }

    /// All bundles, by name of the trust domain.
    pub fn iter(&self) -> impl Iterator<Item = &X509Bundle> {
        self.0.values()
    }
}

impl FromIterator<X509Bundle> for X509Bundles {
    fn from_iter<I: IntoIterator<Item = X509Bundle>>(bundles: I) -> Self {
        let mut all = Self::default();
        bundles.into_iter().for_each(|bundle| all.replace(bundle));
        all
    }
}
