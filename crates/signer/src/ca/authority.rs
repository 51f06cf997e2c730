use chancery_identity::{TrustDomain, X509Authority, spki_der};
use chancery_types::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyUsagePurpose};

use super::params::common;
use super::signer_key::{SignerKey, subject_key};
use super::{CaError, SerialNumber, Validity};
use crate::keys::HeldKey;

/// A signing certificate and its key, for one trust domain.
#[derive(Debug)]
pub struct IssuingAuthority<'a> {
    trust_domain: &'a TrustDomain,
    certificate: X509Authority,
    key: &'a dyn HeldKey,
}

impl<'a> IssuingAuthority<'a> {
    /// Takes the authority's certificate in DER and its key. That the two belong together shows
    /// with the first certificate, which is otherwise refused.
    pub fn new(
        trust_domain: &'a TrustDomain,
        certificate: Vec<u8>,
        key: &'a dyn HeldKey,
    ) -> Result<Self, CaError> {
        let certificate =
            X509Authority::new(trust_domain, certificate).map_err(CaError::Authority)?;
        Ok(Self {
            trust_domain,
            certificate,
            key,
        })
    }

    /// The trust domain.
    pub const fn trust_domain(&self) -> &'a TrustDomain {
        self.trust_domain
    }

    /// The certificate.
    pub const fn certificate(&self) -> &X509Authority {
        &self.certificate
    }

    /// The library's view of this authority, when its certificate is valid at `now`.
    pub(super) fn issuer(&self, now: Timestamp) -> Result<Issuer<'static, SignerKey<'a>>, CaError> {
        if !self.certificate.is_valid_at(now) {
            return Err(CaError::AuthorityNotValid);
        }
        Issuer::from_ca_cert_der(self.certificate.der(), SignerKey::new(self.key)?)
            .map_err(CaError::Encode)
    }
}

/// The self-signed root of a trust domain: named `spiffe://<trust domain>`, one intermediate below
/// it. DER.
pub fn root_certificate(
    key: &dyn HeldKey,
    trust_domain: &TrustDomain,
    validity: Validity,
    serial: SerialNumber,
) -> Result<Vec<u8>, CaError> {
    let params = signing(trust_domain, "root", 1, validity, serial)?;
    let certificate = params
        .self_signed(&SignerKey::new(key)?)
        .map_err(CaError::Encode)?;
    checked(trust_domain, certificate.der().to_vec())
}

/// An intermediate that `root` signs for the key `subject`: leaves only below it, and valid no
/// longer than the root. DER.
pub fn intermediate_certificate(
    root: &IssuingAuthority<'_>,
    subject: &dyn HeldKey,
    now: Timestamp,
    lifetime_seconds: u64,
    serial: SerialNumber,
) -> Result<Vec<u8>, CaError> {
    certified_intermediate(
        root,
        &spki_der(subject.public()),
        now,
        lifetime_seconds,
        serial,
    )
}

/// The same for a P-256 key that somebody else holds (SubjectPublicKeyInfo in DER).
pub fn certified_intermediate(
    root: &IssuingAuthority<'_>,
    subject_spki: &[u8],
    now: Timestamp,
    lifetime_seconds: u64,
    serial: SerialNumber,
) -> Result<Vec<u8>, CaError> {
    let validity = Validity::from_now(now, lifetime_seconds).within(root.certificate.not_after());
    let mut params = signing(root.trust_domain, "intermediate", 0, validity, serial)?;
    params.use_authority_key_identifier_extension = true;
    let certificate = params
        .signed_by(&subject_key(subject_spki)?, &root.issuer(now)?)
        .map_err(CaError::Encode)?;
    checked(root.trust_domain, certificate.der().to_vec())
}

/// What somebody else is asked to certify as an intermediate: a request (PKCS #10) in PEM, signed by
/// its key.
pub(crate) fn intermediate_request(
    trust_domain: &TrustDomain,
    subject: &dyn HeldKey,
) -> Result<String, CaError> {
    let serial = SerialNumber::from_random([0; 16]);
    let validity = Validity::from_now(Timestamp::from_seconds(0), 1);
    let mut params = signing(trust_domain, "intermediate", 0, validity, serial)?;
    // Whoever certifies says so.
    params.serial_number = None;
    let request = params.serialize_request(&SignerKey::new(subject)?);
    request
        .and_then(|request| request.pem())
        .map_err(CaError::Encode)
}

fn signing(
    trust_domain: &TrustDomain,
    role: &str,
    path_length: u8,
    validity: Validity,
    serial: SerialNumber,
) -> Result<CertificateParams, CaError> {
    let mut params = common(&trust_domain.to_spiffe_id(), validity, serial)?;
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Chancery");
    params.distinguished_name.push(DnType::CommonName, role);
    // Names of authorities are unique, so that no path is ambiguous (X509-SVID leaves the subject
    // to us).
    let unique = hex(serial.as_bytes());
    params
        .distinguished_name
        .push(DnType::CustomDnType(SERIAL_NUMBER.to_vec()), unique);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// The attribute type `serialNumber` (X.520).
const SERIAL_NUMBER: [u64; 4] = [2, 5, 4, 5];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checked(trust_domain: &TrustDomain, der: Vec<u8>) -> Result<Vec<u8>, CaError> {
    X509Authority::new(trust_domain, der.clone()).map_err(CaError::Authority)?;
    Ok(der)
}
