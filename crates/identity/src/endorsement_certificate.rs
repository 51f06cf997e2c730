//! What the maker of a TPM says of its endorsement key.

use chancery_types::{Digest, SvidCurve, SvidKey, Timestamp};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::KeyUsage;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::node_certificate::lead;
use crate::{NodeAuthority, NodeCertificateError};

/// `tcg-kp-EKCertificate`, 2.23.133.8.1, as content of its encoding and in digits.
const USAGE: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];
const USAGE_DIGITS: &str = "2.23.133.8.1";

/// `tcg-at-tpmManufacturer`, `tcg-at-tpmModel` and `tcg-at-tpmVersion`.
const DESCRIPTION: [&str; 3] = ["2.23.133.2.1", "2.23.133.2.2", "2.23.133.2.3"];

/// Longest part of a description that is taken over.
const MAX_PART_BYTES: usize = 64;

/// A certificate over the endorsement key of a TPM whose path leads to an admitted maker; only
/// [`verify_endorsement_certificate`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEndorsement {
    fingerprint: Digest,
    authority: Digest,
    description: String,
}

/// Why a certificate says nothing of an endorsement key. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndorsementCertificateError {
    /// Not one DER certificate with readable, unrepeated extensions, or with a critical one that is not
    /// known.
    #[error("not a readable certificate")]
    Malformed,
    /// An authority where a TPM is wanted.
    #[error("an authority's certificate is no tpm's")]
    CaAsLeaf,
    /// The key usage is there and lacks keyEncipherment (RSA) or keyAgreement (ECC).
    #[error("key usage lacks what an endorsement key does")]
    KeyUsage,
    /// The extended key usage lacks tcg-kp-EKCertificate.
    #[error("extended key usage lacks tcg-kp-EKCertificate")]
    ExtendedKeyUsage,
    /// The alternative name describes no TPM: manufacturer, model and version.
    #[error("the alternative name does not describe a tpm")]
    Description,
    /// The certificate is over another key.
    #[error("the certificate is over another endorsement key")]
    WrongKey,
    /// The path does not lead to an admitted maker.
    #[error(transparent)]
    Path(NodeCertificateError),
}

/// Verifies that `certificate` (DER) is one of the TCG EK Credential Profile over `key`, and that a
/// path leads to one of `makers`.
pub fn verify_endorsement_certificate(
    certificate: &[u8],
    key: &SvidKey,
    makers: &[NodeAuthority],
    now: Timestamp,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<ProvenEndorsement, EndorsementCertificateError> {
    let tpm = parse(certificate)?;
    let description = check(&tpm)?;
    match public_key(&tpm) {
        Some((found, true)) if found.is_same_key(key) => {}
        Some((_, false)) => return Err(EndorsementCertificateError::KeyUsage),
        _ => return Err(EndorsementCertificateError::WrongKey),
    }
    let leaf = CertificateDer::from(certificate);
    let usage = KeyUsage::required_if_present(USAGE);
    let authority = lead(&leaf, &[], makers, (now, algorithms, usage))
        .map_err(EndorsementCertificateError::Path)?;
    Ok(ProvenEndorsement {
        fingerprint: Digest::of(certificate),
        authority: authority.fingerprint(),
        description,
    })
}

impl ProvenEndorsement {
    /// The digest of the certificate.
    pub const fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// The digest of the maker's certificate.
    pub const fn authority(&self) -> Digest {
        self.authority
    }

    /// Manufacturer, model and version, as the maker writes them.
    pub fn description(&self) -> &str {
        &self.description
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, EndorsementCertificateError> {
    match X509Certificate::from_der(der) {
        Ok((rest, certificate))
            if rest.is_empty()
                && certificate.extensions_map().is_ok()
                && !certificate.extensions().iter().any(|extension| {
                    match extension.parsed_extension() {
                        ParsedExtension::ParseError { .. } => true,
                        // What a TPM's specification is stands in an extension that nobody need read.
                        ParsedExtension::Unparsed
                        | ParsedExtension::UnsupportedExtension { .. } => extension.critical,
                        _ => false,
                    }
                }) =>
        {
            Ok(certificate)
        }
        _ => Err(EndorsementCertificateError::Malformed),
    }
}

/// What the certificate says of itself; its description.
fn check(tpm: &X509Certificate<'_>) -> Result<String, EndorsementCertificateError> {
    let malformed = |_| EndorsementCertificateError::Malformed;
    if tpm.is_ca() {
        return Err(EndorsementCertificateError::CaAsLeaf);
    }
    let extended = tpm.extended_key_usage().map_err(malformed)?;
    let mut purposes = extended.iter().flat_map(|usage| &usage.value.other);
    if !purposes.any(|purpose| purpose.to_id_string() == USAGE_DIGITS) {
        return Err(EndorsementCertificateError::ExtendedKeyUsage);
    }
    let names = tpm.subject_alternative_name().map_err(malformed)?;
    let mut names = names.iter().flat_map(|names| &names.value.general_names);
    let description = names.find_map(|name| {
        let GeneralName::DirectoryName(name) = name else {
            return None;
        };
        let part = |wanted: &&str| {
            let mut attributes = name.iter_attributes();
            let found = attributes.find(|one| one.attr_type().to_id_string() == **wanted)?;
            let text = found.as_str().ok()?;
            let plain = text.len() <= MAX_PART_BYTES && !text.contains(char::is_control);
            plain.then(|| text.to_owned())
        };
        let parts: Option<Vec<_>> = DESCRIPTION.iter().map(part).collect();
        parts.map(|parts| parts.join(" "))
    });
    description.ok_or(EndorsementCertificateError::Description)
}

/// The key, and whether the usages are those of such an endorsement key.
fn public_key(tpm: &X509Certificate<'_>) -> Option<(SvidKey, bool)> {
    let usage = tpm.key_usage().ok()?;
    match tpm.public_key().parsed().ok()? {
        PublicKey::RSA(key) => {
            let key = SvidKey::rsa(unsigned(key.modulus), unsigned(key.exponent)).ok()?;
            Some((
                key,
                usage.is_none_or(|usage| usage.value.key_encipherment()),
            ))
        }
        PublicKey::EC(point) => {
            let (x, y) = point.data().strip_prefix(&[4])?.split_at_checked(32)?;
            let key = SvidKey::ec(SvidCurve::P256, x, y).ok()?;
            Some((key, usage.is_none_or(|usage| usage.value.key_agreement())))
        }
        _ => None,
    }
}

fn unsigned(number: &[u8]) -> &[u8] {
    match number {
        [0, rest @ ..] if !rest.is_empty() => rest,
        number => number,
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::TPM_MAKER_ALGORITHMS;

    use super::*;

    /// What `swtpm_localca` 0.7.1 made.
    const TPM: &[u8] = include_bytes!("testdata/endorsement.der");
    const MAKER: &[u8] = include_bytes!("testdata/maker.der");
    const ROOT: &[u8] = include_bytes!("testdata/maker-root.der");

    /// Within the validity of all three.
    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn maker(der: &[u8]) -> NodeAuthority {
        NodeAuthority::new(der.to_vec()).unwrap()
    }

    fn key() -> SvidKey {
        public_key(&parse(TPM).unwrap()).unwrap().0
    }

    fn verify(
        der: &[u8],
        key: &SvidKey,
        makers: &[NodeAuthority],
        now: Timestamp,
    ) -> Result<ProvenEndorsement, EndorsementCertificateError> {
        verify_endorsement_certificate(der, key, makers, now, TPM_MAKER_ALGORITHMS)
    }

    #[test]
    fn its_maker_vouches_for_a_tpm() {
        let proven = verify(TPM, &key(), &[maker(MAKER)], NOW).unwrap();
        assert_eq!(proven.description(), "id:00001014 swtpm id:20191023");
        assert_eq!(proven.authority(), maker(MAKER).fingerprint());
        assert_eq!(proven.fingerprint(), Digest::of(TPM));
    }

    #[test]
    fn nobody_else_does_and_for_no_other_key() {
        let refused = |der: &[u8], key: &SvidKey, makers: &[NodeAuthority], now| {
            verify(der, key, makers, now).unwrap_err()
        };
        let untrusted = EndorsementCertificateError::Path(NodeCertificateError::Untrusted);
        assert_eq!(refused(TPM, &key(), &[], NOW), untrusted);
        // The TPM shows its own certificate alone, so that who signed it has to be named.
        assert_eq!(refused(TPM, &key(), &[maker(ROOT)], NOW), untrusted);
        let makers = [maker(MAKER)];
        let other = SvidKey::ec(SvidCurve::P256, &[1; 32], &[2; 32]).unwrap();
        assert_eq!(
            refused(TPM, &other, &makers, NOW),
            EndorsementCertificateError::WrongKey
        );
        assert_eq!(
            refused(MAKER, &key(), &makers, NOW),
            EndorsementCertificateError::CaAsLeaf
        );
        let early = Timestamp::from_seconds(1_700_000_000);
        let not_yet = EndorsementCertificateError::Path(NodeCertificateError::NotYetValid);
        assert_eq!(refused(TPM, &key(), &makers, early), not_yet);
        for der in [&[][..], &TPM[1..], &[TPM, &[0]].concat()[..]] {
            assert_eq!(
                refused(der, &key(), &makers, NOW),
                EndorsementCertificateError::Malformed
            );
        }
        // Whatever byte is another one, the maker did not sign that.
        for place in 0..TPM.len() {
            let mut changed = TPM.to_vec();
            changed[place] ^= 1;
            assert!(verify(&changed, &key(), &makers, NOW).is_err(), "{place}");
        }
    }

    #[test]
    fn a_certificate_of_something_else_says_nothing_of_a_tpm() {
        let refused = |from: &[u8], to: &[u8]| {
            let place = TPM.windows(from.len()).position(|window| window == from);
            let mut changed = TPM.to_vec();
            changed[place.unwrap()..][..to.len()].copy_from_slice(to);
            verify(&changed, &key(), &[maker(MAKER)], NOW).unwrap_err()
        };
        assert_eq!(
            refused(USAGE, &[0x67, 0x81, 0x05, 0x08, 0x03]),
            EndorsementCertificateError::ExtendedKeyUsage
        );
        // The model's attribute becomes another one.
        assert_eq!(
            refused(
                &[0x67, 0x81, 0x05, 0x02, 0x02],
                &[0x67, 0x81, 0x05, 0x02, 0x09]
            ),
            EndorsementCertificateError::Description
        );
        // keyEncipherment becomes digitalSignature.
        assert_eq!(
            refused(&[0x03, 0x02, 0x05, 0x20], &[0x03, 0x02, 0x05, 0x80]),
            EndorsementCertificateError::KeyUsage
        );
    }
}
