//! What a host already has: a certificate of an authority that the operator admitted for nodes.

use std::time::Duration;

use chancery_types::limits::MAX_SAFE_INTEGER;
use chancery_types::{Digest, Timestamp};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The most certificates of a chain, leaf included.
const MAX_CHAIN_CERTIFICATES: usize = 8;

/// Most alternative names of a certificate.
const MAX_NAMES: usize = 32;

/// A certificate that signs the certificates of hosts: cA, keyCertSign, readable as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAuthority {
    der: CertificateDer<'static>,
    subject: String,
    not_before: Timestamp,
    /// None where it is later than any time of ours.
    not_after: Option<Timestamp>,
    path_length: Option<u32>,
}

/// A host's certificate whose path was verified and whose key signed a message; only
/// [`verify_node_certificate`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenNodeCertificate {
    fingerprint: Digest,
    key: Digest,
    authority: Digest,
    subject: String,
    names: Vec<String>,
}

/// Why a certificate admits no node. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NodeCertificateError {
    /// None was presented, or more than a chain may have.
    #[error("the chain is empty or too long")]
    ChainLength,
    /// Not one DER certificate with readable, unrepeated extensions, or with too many names.
    #[error("not a readable certificate")]
    Malformed,
    /// A certificate that may not sign others where an authority is wanted.
    #[error(
        "certificate is no certificate authority: it needs CA:TRUE and the key usage keyCertSign"
    )]
    NotCa,
    /// An authority where a host is wanted.
    #[error("an authority's certificate is no host's")]
    CaAsLeaf,
    /// The key usage lacks digitalSignature.
    #[error("key usage lacks digitalSignature")]
    KeyUsage,
    /// The extended key usage lacks clientAuth.
    #[error("extended key usage lacks clientAuth")]
    ExtendedKeyUsage,
    /// A certificate of the path has expired.
    #[error("certificate has expired")]
    Expired,
    /// A certificate of the path is not valid yet.
    #[error("certificate is not valid yet")]
    NotYetValid,
    /// No path of good signatures leads to an admitted authority.
    #[error("certificate does not lead to an admitted authority")]
    Untrusted,
    /// The message was not signed by the certificate's key.
    #[error("the certificate's key did not sign")]
    BadSignature,
}

impl NodeAuthority {
    /// Reads a certificate in DER.
    pub fn new(der: Vec<u8>) -> Result<Self, NodeCertificateError> {
        let certificate = parse(&der)?;
        let usage = certificate.key_usage();
        let usage = usage.map_err(|_| NodeCertificateError::Malformed)?;
        let signs = usage.is_some_and(|usage| usage.value.key_cert_sign());
        if !certificate.is_ca() || !signs {
            return Err(NodeCertificateError::NotCa);
        }
        let constraints = certificate.basic_constraints().ok().flatten();
        Ok(Self {
            subject: certificate.subject().to_string(),
            not_before: seconds(certificate.validity().not_before.timestamp()),
            not_after: Some(seconds(certificate.validity().not_after.timestamp()))
                .filter(|end| end.as_micros() <= MAX_SAFE_INTEGER),
            path_length: constraints.and_then(|one| one.value.path_len_constraint),
            der: CertificateDer::from(der),
        })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The digest of the certificate.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// Its name.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The last second of its validity; none where that is later than any time of ours.
    pub const fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Whether its validity covers `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && self.not_after.is_none_or(|end| now <= end)
    }
}

/// Verifies `chain` (DER, leaf first) by RFC 5280 up to one of `authorities`, for the
/// authentication of clients, and that its key signed `message`.
pub fn verify_node_certificate(
    chain: &[impl AsRef<[u8]>],
    authorities: &[NodeAuthority],
    now: Timestamp,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    (message, signature): (&[u8], &[u8]),
) -> Result<ProvenNodeCertificate, NodeCertificateError> {
    if chain.len() > MAX_CHAIN_CERTIFICATES {
        return Err(NodeCertificateError::ChainLength);
    }
    let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| der.as_ref().into()).collect();
    let (leaf, intermediates) = chain
        .split_first()
        .ok_or(NodeCertificateError::ChainLength)?;
    let host = parse(leaf)?;
    check_leaf(&host)?;
    let usage = KeyUsage::client_auth();
    let authority = lead(leaf, intermediates, authorities, (now, algorithms, usage))?;
    let end = EndEntityCert::try_from(leaf).map_err(path_error)?;
    let signed = algorithms
        .iter()
        .any(|algorithm| end.verify_signature(*algorithm, message, signature).is_ok());
    if !signed {
        return Err(NodeCertificateError::BadSignature);
    }
    Ok(ProvenNodeCertificate {
        fingerprint: Digest::of(leaf),
        key: Digest::of(host.public_key().raw),
        authority: authority.fingerprint(),
        subject: host.subject().to_string(),
        names: names(&host)?,
    })
}

impl ProvenNodeCertificate {
    /// The digest of the certificate in DER.
    pub const fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// The digest of its key, as its SubjectPublicKeyInfo in DER: the same for every certificate over
    /// that key. A certificate's own digest names nobody, since whoever has one can change the bytes
    /// of an ECDSA signature and it stays good.
    pub const fn key(&self) -> Digest {
        self.key
    }

    /// The digest of the authority's certificate.
    pub const fn authority(&self) -> Digest {
        self.authority
    }

    /// Its subject.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Its alternative names, each behind its kind.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// The one of `authorities`, valid now, that a path of good signatures leads to (RFC 5280).
pub(crate) fn lead<'a>(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &'a [NodeAuthority],
    (now, algorithms, usage): (Timestamp, &[&dyn SignatureVerificationAlgorithm], KeyUsage),
) -> Result<&'a NodeAuthority, NodeCertificateError> {
    let current: Vec<_> = authorities
        .iter()
        .filter(|one| one.is_valid_at(now))
        .collect();
    let anchors = current.iter().map(|one| anchor_from_trusted_cert(&one.der));
    let anchors: Vec<_> = anchors.collect::<Result<_, _>>().map_err(path_error)?;
    let end = EndEntityCert::try_from(leaf).map_err(path_error)?;
    let path = end.verify_for_usage(
        algorithms,
        &anchors,
        intermediates,
        UnixTime::since_unix_epoch(Duration::from_secs(now.as_seconds())),
        usage,
        None,
        None,
    );
    let path = path.map_err(path_error)?;
    let length = path.intermediate_certificates().count();
    let mut reached = anchors.iter().zip(current.iter().copied());
    // Path validation asks no path length of an anchor.
    let authority = reached.find(|(anchor, one)| {
        let admits = |limit: u32| usize::try_from(limit).is_ok_and(|limit| length <= limit);
        *anchor == path.anchor() && one.path_length.is_none_or(admits)
    });
    let authority = authority.map(|(_, authority)| authority);
    authority.ok_or(NodeCertificateError::Untrusted)
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, NodeCertificateError> {
    match X509Certificate::from_der(der) {
        // An extension that cannot be read must not pass for one that is absent.
        Ok((rest, certificate))
            if rest.is_empty()
                && certificate.extensions_map().is_ok()
                && !certificate.extensions().iter().any(|extension| {
                    matches!(
                        extension.parsed_extension(),
                        ParsedExtension::ParseError { .. } | ParsedExtension::Unparsed
                    )
                }) =>
        {
            Ok(certificate)
        }
        _ => Err(NodeCertificateError::Malformed),
    }
}

fn check_leaf(host: &X509Certificate<'_>) -> Result<(), NodeCertificateError> {
    if host.is_ca() {
        return Err(NodeCertificateError::CaAsLeaf);
    }
    let malformed = |_| NodeCertificateError::Malformed;
    let usage = host.key_usage().map_err(malformed)?;
    if usage.is_some_and(|usage| !usage.value.digital_signature()) {
        return Err(NodeCertificateError::KeyUsage);
    }
    let extended = host.extended_key_usage().map_err(malformed)?;
    if extended.is_some_and(|usage| !usage.value.client_auth) {
        return Err(NodeCertificateError::ExtendedKeyUsage);
    }
    names(host).map(drop)
}

fn names(host: &X509Certificate<'_>) -> Result<Vec<String>, NodeCertificateError> {
    let found = host.subject_alternative_name();
    let Some(found) = found.map_err(|_| NodeCertificateError::Malformed)? else {
        return Ok(Vec::new());
    };
    if found.value.general_names.len() > MAX_NAMES {
        return Err(NodeCertificateError::Malformed);
    }
    let shown = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Ok(format!("dns:{name}")),
        GeneralName::URI(uri) => Ok(format!("uri:{uri}")),
        GeneralName::RFC822Name(name) => Ok(format!("email:{name}")),
        GeneralName::IPAddress(bytes) => {
            match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(four), _) => Ok(format!("ip:{}", std::net::Ipv4Addr::from(four))),
                (_, Ok(six)) => Ok(format!("ip:{}", std::net::Ipv6Addr::from(six))),
                _ => Err(NodeCertificateError::Malformed),
            }
        }
        GeneralName::Invalid(..) => Err(NodeCertificateError::Malformed),
        _ => Ok("other".to_owned()),
    };
    found.value.general_names.iter().map(shown).collect()
}

fn path_error(error: webpki::Error) -> NodeCertificateError {
    match error {
        webpki::Error::CertExpired { .. } => NodeCertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => NodeCertificateError::NotYetValid,
        _ => NodeCertificateError::Untrusted,
    }
}

fn seconds(since_epoch: i64) -> Timestamp {
    Timestamp::from_seconds(u64::try_from(since_epoch).unwrap_or(0))
}
