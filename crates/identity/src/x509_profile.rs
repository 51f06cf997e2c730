//! The certificate profile of X509-SVID sections 2 to 4, without path validation.

use chancery_types::{SvidCurve, SvidKey, Timestamp, base64url};
use serde_json::{Map, Value};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::{SpiffeId, SpiffeIdError, TrustDomain};

/// What makes a certificate no X.509-SVID. Exhaustive: every refusal has its own reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not one DER certificate with readable, unrepeated extensions.
    #[error("not a readable certificate")]
    Malformed,
    /// No URI among the subject alternative names.
    #[error("certificate has no uri san")]
    NoUriSan,
    /// Several URIs among the subject alternative names.
    #[error("certificate has more than one uri san")]
    SeveralUriSans,
    /// The URI is not a SPIFFE ID.
    #[error("uri san is not a spiffe id")]
    BadSpiffeId(#[source] SpiffeIdError),
    /// A leaf that is named like the trust domain itself.
    #[error("leaf names the trust domain, not a workload")]
    NoPath,
    /// A signing certificate that is named like a workload.
    #[error("signing certificate names a workload")]
    AuthorityWithPath,
    /// The certificate belongs to another trust domain.
    #[error("certificate belongs to another trust domain")]
    WrongTrustDomain,
    /// A signing certificate where a leaf is wanted.
    #[error("a signing certificate does not authenticate")]
    CaAsLeaf,
    /// A certificate that may not sign where an authority is wanted.
    #[error("certificate is no certificate authority")]
    NotCa,
    /// No key usage.
    #[error("certificate has no key usage")]
    KeyUsageMissing,
    /// Key usage that verifiers may ignore.
    #[error("key usage is not critical")]
    KeyUsageNotCritical,
    /// A leaf that may not sign a handshake.
    #[error("key usage lacks digitalSignature")]
    NoDigitalSignature,
    /// A leaf with `keyCertSign` or `cRLSign`.
    #[error("leaf may sign certificates or revocation lists")]
    SigningLeaf,
    /// A signing certificate without `keyCertSign`.
    #[error("key usage lacks keyCertSign")]
    NoKeyCertSign,
    /// Extended key usage without both `serverAuth` and `clientAuth`.
    #[error("extended key usage lacks serverAuth or clientAuth")]
    ExtendedKeyUsage,
}

/// A parsed certificate whose extensions are all readable.
pub(crate) struct Certificate<'a>(X509Certificate<'a>);

impl<'a> Certificate<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, ProfileError> {
        match X509Certificate::from_der(der) {
            // An extension that cannot be read must not pass for one that is absent.
            Ok((rest, certificate))
                if rest.is_empty()
                    && !certificate.extensions().iter().any(|extension| {
                        matches!(
                            extension.parsed_extension(),
                            ParsedExtension::ParseError { .. } | ParsedExtension::Unparsed
                        )
                    }) =>
            {
                Ok(Self(certificate))
            }
            _ => Err(ProfileError::Malformed),
        }
    }

    /// The SPIFFE ID, when the certificate has the profile of a leaf.
    pub(crate) fn check_leaf(&self) -> Result<SpiffeId, ProfileError> {
        if self.is_ca()? {
            return Err(ProfileError::CaAsLeaf);
        }
        let id = self.spiffe_id()?.ok_or(ProfileError::NoUriSan)?;
        if id.path().is_empty() {
            return Err(ProfileError::NoPath);
        }
        let usage = self.key_usage()?;
        if usage.key_cert_sign() || usage.crl_sign() {
            return Err(ProfileError::SigningLeaf);
        }
        if !usage.digital_signature() {
            return Err(ProfileError::NoDigitalSignature);
        }
        let extended = self.0.extended_key_usage();
        if let Some(extended) = extended.map_err(|_| ProfileError::Malformed)?
            && !(extended.value.server_auth && extended.value.client_auth)
        {
            return Err(ProfileError::ExtendedKeyUsage);
        }
        Ok(id)
    }

    /// Whether the certificate may sign SVIDs of `trust_domain`.
    pub(crate) fn check_authority(&self, trust_domain: &TrustDomain) -> Result<(), ProfileError> {
        if !self.is_ca()? {
            return Err(ProfileError::NotCa);
        }
        if !self.key_usage()?.key_cert_sign() {
            return Err(ProfileError::NoKeyCertSign);
        }
        match self.spiffe_id()? {
            Some(id) if id.trust_domain() != trust_domain => Err(ProfileError::WrongTrustDomain),
            Some(id) if !id.path().is_empty() => Err(ProfileError::AuthorityWithPath),
            _ => Ok(()),
        }
    }

    pub(crate) fn not_before(&self) -> Timestamp {
        seconds(self.0.validity().not_before.timestamp())
    }

    pub(crate) fn not_after(&self) -> Timestamp {
        seconds(self.0.validity().not_after.timestamp())
    }

    pub(crate) fn path_length(&self) -> Option<u32> {
        let constraints = self.0.basic_constraints().ok().flatten()?;
        constraints.value.path_len_constraint
    }

    /// Whether it names itself as its issuer, as roots do.
    pub(crate) fn is_self_issued(&self) -> bool {
        let certificate = &self.0.tbs_certificate;
        certificate.issuer.as_raw() == certificate.subject.as_raw()
    }

    pub(crate) fn serial(&self) -> &'a [u8] {
        self.0.tbs_certificate.raw_serial()
    }

    pub(crate) fn spki_der(&self) -> &'a [u8] {
        self.0.tbs_certificate.subject_pki.raw
    }

    /// The certified key as members of a JSON Web Key; none where its kind has none that we write.
    pub(crate) fn jwk_members(&self) -> Option<Map<String, Value>> {
        let spki = &self.0.tbs_certificate.subject_pki;
        match spki.parsed().ok()? {
            PublicKey::EC(point) => {
                let coordinates = point.data().strip_prefix(&[4])?;
                let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
                let curve = match x.len() {
                    32 => SvidCurve::P256,
                    48 => SvidCurve::P384,
                    66 => SvidCurve::P521,
                    _ => return None,
                };
                let parameters = spki.algorithm.parameters.as_ref()?.as_oid().ok()?;
                let named = match curve {
                    SvidCurve::P256 => OID_EC_P256,
                    SvidCurve::P384 => OID_NIST_EC_P384,
                    SvidCurve::P521 => OID_NIST_EC_P521,
                };
                (parameters == named).then_some(())?;
                Some(SvidKey::ec(curve, x, y).ok()?.to_members())
            }
            PublicKey::RSA(key) => {
                let unsigned = |number: &'_ [u8]| {
                    let zeros = number.iter().take_while(|byte| **byte == 0).count();
                    number.get(zeros..).unwrap_or_default().to_vec()
                };
                let key = SvidKey::rsa(&unsigned(key.modulus), &unsigned(key.exponent));
                Some(key.ok()?.to_members())
            }
            PublicKey::Unknown(bytes) if spki.algorithm.algorithm == OID_SIG_ED25519 => {
                let members = [
                    ("crv".to_owned(), Value::from("Ed25519")),
                    ("kty".to_owned(), Value::from("OKP")),
                    ("x".to_owned(), Value::from(base64url::encode(bytes))),
                ];
                Some(members.into_iter().collect())
            }
            _ => None,
        }
    }

    fn is_ca(&self) -> Result<bool, ProfileError> {
        let constraints = self.0.basic_constraints();
        Ok(constraints
            .map_err(|_| ProfileError::Malformed)?
            .is_some_and(|constraints| constraints.value.ca))
    }

    fn key_usage(&self) -> Result<x509_parser::extensions::KeyUsage, ProfileError> {
        let usage = self.0.key_usage().map_err(|_| ProfileError::Malformed)?;
        let usage = usage.ok_or(ProfileError::KeyUsageMissing)?;
        if !usage.critical {
            return Err(ProfileError::KeyUsageNotCritical);
        }
        Ok(*usage.value)
    }

    fn spiffe_id(&self) -> Result<Option<SpiffeId>, ProfileError> {
        let names = self.0.subject_alternative_name();
        let Some(names) = names.map_err(|_| ProfileError::Malformed)? else {
            return Ok(None);
        };
        let mut uris = Vec::new();
        for name in &names.value.general_names {
            match name {
                GeneralName::URI(uri) => uris.push(*uri),
                GeneralName::Invalid(..) => return Err(ProfileError::Malformed),
                _ => {}
            }
        }
        match uris.as_slice() {
            [] => Ok(None),
            [uri] => uri.parse().map(Some).map_err(ProfileError::BadSpiffeId),
            _ => Err(ProfileError::SeveralUriSans),
        }
    }
}

fn seconds(since_epoch: i64) -> Timestamp {
    Timestamp::from_seconds(u64::try_from(since_epoch).unwrap_or(0))
}
