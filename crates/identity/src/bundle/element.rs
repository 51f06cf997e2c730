//! One key of a bundle document, and why it is left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_types::{SvidKey, SvidKeyError, base64url};
use serde_json::{Map, Value};

use crate::signing_keys::{JWT_SVID_USE, WIT_SVID_USE, sorted};
use crate::x509_profile::{Certificate, ProfileError};
use crate::{Incubating, TrustDomain, X509Authority};

/// The `use` of an authority that signs X.509-SVIDs (X509-SVID section 6.1).
const X509_SVID_USE: &str = "x509-svid";
/// The types of keys of RFC 7518 section 6 and RFC 8037 that a certificate of ours can hold.
const CERTIFICATE_KEY_TYPES: [&str; 3] = ["EC", "RSA", "OKP"];
/// What stands in private and symmetric keys alone.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key of a document that is not taken; the rest is (Trust-Domain-and-Bundle section 4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredKey {
    /// Where it stands in `keys`, counted from zero.
    pub position: usize,
    /// Why.
    pub reason: IgnoredKeyReason,
}

/// Why a key of a document is not taken. To leave a key out never makes anything trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoredKeyReason {
    /// Not a JSON object.
    #[error("not an object")]
    NoObject,
    /// `use` is missing, or none that is known; compared case-sensitively.
    #[error("use is missing or unknown")]
    UnknownUse,
    /// `kty` is missing, or none that is known.
    #[error("kty is missing or unknown")]
    UnknownKeyType,
    /// A private or symmetric key: whoever reads the document has it.
    #[error("a private key")]
    PrivateKey,
    /// The members of the key are not those of its type.
    #[error("the key is malformed")]
    Key(#[source] SvidKeyError),
    /// `x5c` is missing or empty.
    #[error("x5c is missing or empty")]
    NoCertificate,
    /// The first value of `x5c` is not base64 (RFC 7517 section 4.7: not base64url).
    #[error("x5c is not base64")]
    Base64,
    /// The certificate may not sign SVIDs of this trust domain.
    #[error("x5c is no signing certificate of the trust domain")]
    Certificate(#[source] ProfileError),
    /// The key's members say another key than the certificate (RFC 7517 section 4.7).
    #[error("the key is another one than the certificate's")]
    OtherKey,
    /// No `kid` (JWT-SVID section 6.1, WIT-SVID section 6.1).
    #[error("kid is missing or empty")]
    NoKeyId,
    /// Another key of the document has the same `kid`: none of them is taken.
    #[error("another key has the same kid")]
    SharedKeyId,
    /// The same key stands there before.
    #[error("the same key stands there before")]
    Repeated,
}

/// A key that is taken.
pub(super) enum Element {
    X509(X509Authority),
    Jwt(String, SvidKey),
    Wit(String, SvidKey),
}

impl Element {
    pub(super) fn read(
        value: &Value,
        trust_domain: &TrustDomain,
        incubating: Incubating,
    ) -> Result<Self, IgnoredKeyReason> {
        let jwk = value.as_object().ok_or(IgnoredKeyReason::NoObject)?;
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let named_use = text("use").ok_or(IgnoredKeyReason::UnknownUse)?;
        match named_use {
            X509_SVID_USE => certificate(jwk, trust_domain).map(Self::X509),
            JWT_SVID_USE => signing_key(jwk).map(|(kid, key)| Self::Jwt(kid, key)),
            WIT_SVID_USE if incubating.wit_svid() => {
                signing_key(jwk).map(|(kid, key)| Self::Wit(kid, key))
            }
            _ => Err(IgnoredKeyReason::UnknownUse),
        }
    }
}

fn signing_key(jwk: &Map<String, Value>) -> Result<(String, SvidKey), IgnoredKeyReason> {
    let key = SvidKey::from_jwk(jwk).map_err(|error| match error {
        SvidKeyError::KeyType => IgnoredKeyReason::UnknownKeyType,
        SvidKeyError::Private => IgnoredKeyReason::PrivateKey,
        other => IgnoredKeyReason::Key(other),
    })?;
    let kid = jwk.get("kid").and_then(Value::as_str);
    let kid = kid.filter(|kid| !kid.is_empty());
    Ok((kid.ok_or(IgnoredKeyReason::NoKeyId)?.to_owned(), key))
}

/// The first certificate of `x5c`; all others are left aside (X509-SVID section 6.2).
fn certificate(
    jwk: &Map<String, Value>,
    trust_domain: &TrustDomain,
) -> Result<X509Authority, IgnoredKeyReason> {
    let key_type = jwk.get("kty").and_then(Value::as_str);
    if !key_type.is_some_and(|kty| CERTIFICATE_KEY_TYPES.contains(&kty)) {
        return Err(IgnoredKeyReason::UnknownKeyType);
    }
    if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
        return Err(IgnoredKeyReason::PrivateKey);
    }
    let chain = jwk.get("x5c").and_then(Value::as_array);
    let first = chain.and_then(|chain| chain.first());
    let first = first.ok_or(IgnoredKeyReason::NoCertificate)?;
    let first = first.as_str().ok_or(IgnoredKeyReason::Base64)?;
    let der = STANDARD
        .decode(first)
        .map_err(|_| IgnoredKeyReason::Base64)?;
    let certified = Certificate::parse(&der)
        .map_err(IgnoredKeyReason::Certificate)?
        .jwk_members()
        .ok_or(IgnoredKeyReason::UnknownKeyType)?;
    // Members that are not there say nothing.
    let differs =
        |(name, value): (&String, &Value)| jwk.get(name).is_some_and(|said| said != value);
    if certified.iter().any(differs) {
        return Err(IgnoredKeyReason::OtherKey);
    }
    X509Authority::new(trust_domain, der).map_err(IgnoredKeyReason::Certificate)
}

/// An authority as an element of a document: no `kid`, exactly one certificate (X509-SVID section
/// 6.1). None where its key has no JSON form.
pub(super) fn x509_element(authority: &X509Authority) -> Option<Value> {
    let der = authority.der();
    let mut members = Certificate::parse(der).ok()?.jwk_members()?;
    members.insert("use".to_owned(), X509_SVID_USE.into());
    members.insert("x5c".to_owned(), vec![STANDARD.encode(der)].into());
    Some(sorted(members))
}

/// What tells the keys behind a bundle apart, whatever they sign: the thumbprint of a key, or the
/// SubjectPublicKeyInfo of one that has none.
pub(super) fn key_names(
    authorities: &[X509Authority],
    keys: impl Iterator<Item = SvidKey>,
) -> Vec<String> {
    let certified = authorities.iter().filter_map(|authority| {
        let certificate = Certificate::parse(authority.der()).ok()?;
        let key = certificate.jwk_members();
        let key = key.and_then(|members| SvidKey::from_jwk(&members).ok());
        Some(key.map_or_else(
            || base64url::encode(certificate.spki_der()),
            |key| key.kid(),
        ))
    });
    certified.chain(keys.map(|key| key.kid())).collect()
}
