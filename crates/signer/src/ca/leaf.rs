use std::cell::Cell;

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::{
    DnsName, ProfileError, SpiffeId, X509Bundle, X509SvidError, leaf_profile, verify_x509_svid,
};
use chancery_types::Timestamp;
use rcgen::{ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType};

use super::params::common;
use super::signer_key::{SignerKey, subject_key};
use super::{CaError, IssuingAuthority, SerialNumber, Validity};

/// What a leaf is to say.
#[derive(Debug, Clone, Copy)]
pub struct LeafRequest<'a> {
    /// The workload: an ID with a path, in the authority's trust domain.
    pub spiffe_id: &'a SpiffeId,
    /// The DNS names beside that one URI.
    pub dns_names: &'a [DnsName],
    /// Its P-256 public key as SubjectPublicKeyInfo in DER.
    pub spki_der: &'a [u8],
    /// The time of issuance.
    pub now: Timestamp,
    /// How long it is valid from `now` on; cut at the authority's own end.
    pub lifetime_seconds: u64,
    /// The serial number.
    pub serial: SerialNumber,
}

/// Issues leaves at one time: what they share is read once.
pub(crate) struct LeafIssuer<'a> {
    authority: &'a IssuingAuthority<'a>,
    issuer: Issuer<'static, SignerKey<'a>>,
    bundle: X509Bundle,
    now: Timestamp,
    /// Whether a signature of this key was verified with the authority's certificate.
    proven: Cell<bool>,
}

/// Issues an X.509-SVID: exactly one URI SAN, critical, with the DNS names that were asked for behind it; key usage `digitalSignature`, critical;
/// both extended key usages; `CA:FALSE` spelled out; key identifiers of subject and authority. DER.
pub fn leaf_certificate(
    authority: &IssuingAuthority<'_>,
    request: LeafRequest<'_>,
) -> Result<Vec<u8>, CaError> {
    check(authority, &request)?;
    LeafIssuer::new(authority, request.now)?.leaf(&request)
}

impl<'a> LeafIssuer<'a> {
    /// Of an authority that is valid at `now`.
    pub(crate) fn new(
        authority: &'a IssuingAuthority<'a>,
        now: Timestamp,
    ) -> Result<Self, CaError> {
        let trusted = authority.certificate().der().to_vec();
        let bundle = X509Bundle::new(authority.trust_domain().clone(), [trusted])
            .map_err(|_| CaError::Refused(X509SvidError::Untrusted))?;
        Ok(Self {
            authority,
            issuer: authority.issuer(now)?,
            bundle,
            now,
            proven: Cell::new(false),
        })
    }

    /// The same as [`leaf_certificate`], for a request of that time.
    pub(crate) fn leaf(&self, request: &LeafRequest<'_>) -> Result<Vec<u8>, CaError> {
        let validity = check(self.authority, request)?;
        if request.now != self.now {
            return Err(CaError::Validity);
        }
        let mut params = common(request.spiffe_id, validity, request.serial)?;
        for name in request.dns_names {
            let name = name.as_str().try_into().map_err(CaError::Encode)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let leaf = params
            .signed_by(&subject_key(request.spki_der)?, &self.issuer)
            .map_err(CaError::Encode)?;
        self.judge(leaf.der(), request)?;
        Ok(leaf.der().to_vec())
    }

    /// Judges a leaf as who relies on it does: the first one whole, and each with DNS names, which an authority
    /// may be constrained in; the others by their profile. That key and certificate belong together was seen
    /// then, and whoever is presented a leaf verifies its signature.
    fn judge(&self, leaf: &[u8], request: &LeafRequest<'_>) -> Result<(), CaError> {
        if self.proven.get() && request.dns_names.is_empty() {
            return match leaf_profile(leaf) {
                Ok(id) if id == *request.spiffe_id => Ok(()),
                Ok(_) => Err(CaError::Refused(X509SvidError::WrongTrustDomain)),
                Err(error) => Err(CaError::Refused(X509SvidError::Leaf(error))),
            };
        }
        verify_x509_svid(&[leaf], &self.bundle, self.now, SVID_ALGORITHMS)
            .map_err(CaError::Refused)?;
        self.proven.set(true);
        Ok(())
    }
}

/// The validity of what is asked for, where it can be issued at all.
fn check(authority: &IssuingAuthority<'_>, request: &LeafRequest<'_>) -> Result<Validity, CaError> {
    if request.spiffe_id.trust_domain() != authority.trust_domain() {
        return Err(CaError::Refused(X509SvidError::WrongTrustDomain));
    }
    if request.spiffe_id.path().is_empty() {
        return Err(CaError::Refused(X509SvidError::Leaf(ProfileError::NoPath)));
    }
    let validity = Validity::from_now(request.now, request.lifetime_seconds)
        .within(authority.certificate().not_after());
    match validity.not_after() <= request.now {
        true => Err(CaError::Validity),
        false => Ok(validity),
    }
}
