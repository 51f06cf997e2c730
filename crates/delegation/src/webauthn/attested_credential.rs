use chancery_types::{Jwk, base64url};
use ciborium::Value;
use coset::iana::{Algorithm, EllipticCurve, EnumI64 as _, KeyType};
use coset::{AsCborValue as _, CoseKey, Label, RegisteredLabelWithPrivate};

use super::AuthenticatorDataError;

/// Longest credential id (WebAuthn Level 3, section 7.1, step 25).
const MAX_ID_BYTES: u16 = 1_023;

/// Longest key that is read, so that nothing deep is: a P-256 key has 77 bytes.
const MAX_KEY_BYTES: usize = 256;

/// The credential that an authenticator made (WebAuthn Level 3, section 6.5.1). What model of
/// authenticator it is (AAGUID) is not read: nothing signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestedCredential {
    /// Its id, base64url.
    pub credential_id: String,
    /// Its public key, where it is one for ES256 or Ed25519 in the one form that COSE has for it. Whether
    /// a P-256 point is on the curve is not known yet.
    pub key: Option<Jwk>,
}

impl AttestedCredential {
    /// Takes the credential from the front of the bytes.
    pub(super) fn take(bytes: &mut &[u8]) -> Result<Self, AuthenticatorDataError> {
        let malformed = AuthenticatorDataError::Malformed;
        let (_aaguid, rest) = bytes.split_first_chunk::<16>().ok_or(malformed)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(malformed)?;
        let length = u16::from_be_bytes(*length);
        if !(1..=MAX_ID_BYTES).contains(&length) {
            return Err(malformed);
        }
        let (id, mut rest) = rest.split_at_checked(length.into()).ok_or(malformed)?;
        let before = rest.len();
        let key: Value = ciborium::from_reader(&mut rest).map_err(|_| malformed)?;
        if before.saturating_sub(rest.len()) > MAX_KEY_BYTES {
            return Err(malformed);
        }
        let key = CoseKey::from_cbor_value(key).map_err(|_| malformed)?;
        *bytes = rest;
        Ok(Self {
            credential_id: base64url::encode(id),
            key: public_key(&key),
        })
    }
}

/// The key, where it is an uncompressed one of P-256 for ES256 or one of Ed25519, and holds nothing else
/// (RFC 9053 sections 7.1 and 7.2).
fn public_key(key: &CoseKey) -> Option<Jwk> {
    let is_plain = key.key_id.is_empty() && key.key_ops.is_empty() && key.base_iv.is_empty();
    if !is_plain {
        return None;
    }
    let RegisteredLabelWithPrivate::Assigned(algorithm) = key.alg.as_ref()? else {
        return None;
    };
    // The labels of a curve and of a point: RFC 9053, tables 19 and 20.
    let value = |label: i64| {
        let mut found = key.params.iter();
        let found = found.find(|(known, _)| *known == Label::Int(label));
        found.map(|(_, value)| value)
    };
    let coordinate = |label| value(label)?.as_bytes()?.as_slice().try_into().ok();
    let curve = value(-1)?.as_integer()?;
    let is_curve = |known: EllipticCurve| curve == known.to_i64().into();
    let is_type = |known: KeyType| key.kty == coset::RegisteredLabel::Assigned(known);
    match (*algorithm, key.params.len()) {
        (Algorithm::ES256, 3) if is_type(KeyType::EC2) && is_curve(EllipticCurve::P_256) => {
            Some(Jwk::p256(coordinate(-2)?, coordinate(-3)?))
        }
        (Algorithm::EdDSA, 2) if is_type(KeyType::OKP) && is_curve(EllipticCurve::Ed25519) => {
            Jwk::ed25519(coordinate(-2)?).ok()
        }
        _ => None,
    }
}
