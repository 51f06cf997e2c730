//! WIT-SVIDs as the specification has them, whoever issued them (incubating, see
//! [`WIT_SVID_REVISION`](crate::incubating::WIT_SVID_REVISION)). The tokens that we issue have a
//! narrower profile, [`crate::wit`].

mod claims;

use chancery_types::jws::JwsError;
use chancery_types::{
    Digest, ForeignJws, SignatureVerifier, SvidAlgorithm, SvidKey, SvidKeyError, Timestamp,
};
use serde_json::{Map, Value};

use crate::jwt_svid::seconds;
use crate::wit::WIT_TYP;
use crate::{Leeway, SpiffeId, SpiffeIdError, WitSvidBundle};

pub use claims::{
    DEFAULT_WIT_SVID_SECONDS, MAX_WIT_SVID_SECONDS, WitSvidClaims, WitSvidDraftError,
};

/// A WIT-SVID whose issuer is known, and whose holder has proven nothing yet: it authenticates
/// nobody. Only [`UnprovenWitSvid::prove`] makes of it what does (WIT-SVID section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnprovenWitSvid(WitSvid);

/// A WIT-SVID whose holder has proven possession of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenWitSvid(WitSvid);

#[derive(Debug, Clone, PartialEq, Eq)]
struct WitSvid {
    spiffe_id: SpiffeId,
    key: SvidKey,
    algorithm: SvidAlgorithm,
    expires: Timestamp,
    digest: Digest,
}

/// Why a token is refused. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WitSvidError {
    /// Longer than any token that is read.
    #[error("wit-svid is too long")]
    TooLong,
    /// Not a compact JWS over strict JSON objects.
    #[error("wit-svid is no compact JWS")]
    Malformed,
    /// `alg` is missing or none of the nine (WIT-SVID section 2.3).
    #[error("wit-svid is signed with an algorithm that is not allowed")]
    AlgorithmNotAllowed,
    /// `typ` is not `wit+jwt` (WIT-SVID section 2.2).
    #[error("wit-svid has another typ")]
    WrongTyp,
    /// A `crit` header: no extension is understood (WIT-SVID section 2.4).
    #[error("wit-svid has a critical header member")]
    Critical,
    /// No `kid` (WIT-SVID section 2.1).
    #[error("wit-svid names no key")]
    NoKeyId,
    /// `sub` is missing or no text.
    #[error("wit-svid has no sub")]
    NoSubject,
    /// `sub` is not a SPIFFE ID (WIT-SVID section 3.1).
    #[error("sub of the wit-svid is not a spiffe id")]
    Subject(#[source] SpiffeIdError),
    /// `sub` belongs to another trust domain than the bundle.
    #[error("wit-svid belongs to another trust domain")]
    WrongTrustDomain,
    /// The trust domain has no key of that name for WIT-SVIDs.
    #[error("wit-svid names no key of its trust domain")]
    UnknownKey,
    /// The named key is of another kind, or bound to another algorithm.
    #[error("wit-svid is signed with an algorithm that its key is not for")]
    WrongAlgorithm,
    /// The signature is not the named key's.
    #[error("wit-svid has a bad signature")]
    BadSignature,
    /// There is an `aud` (WIT-SVID section 3.8).
    #[error("wit-svid has an audience")]
    Audience,
    /// There is no `cnf.jwk` (WIT-SVID section 3.2).
    #[error("wit-svid is bound to no key")]
    NoConfirmation,
    /// `cnf.jwk` is no public key that signs with one of the nine.
    #[error("wit-svid is bound to a key that it cannot be bound to")]
    Confirmation(#[source] SvidKeyError),
    /// `cnf.jwk` does not say its `alg`.
    #[error("the key that the wit-svid is bound to has no alg")]
    NoConfirmationAlgorithm,
    /// `exp` is missing, no integer, or no time that can be held (WIT-SVID section 3.4).
    #[error("wit-svid says no time at which it expires")]
    NoExpiry,
    /// `exp` is past.
    #[error("wit-svid has expired")]
    Expired,
    /// `nbf` is there and no integer, or no time that can be held.
    #[error("nbf of the wit-svid is no time")]
    NotBefore,
    /// `nbf` has not come (WIT-SVID section 3.5).
    #[error("wit-svid is not valid yet")]
    NotYetValid,
    /// `jti` is there and no text.
    #[error("jti of the wit-svid is no text")]
    TokenId,
    /// The holder's signature is not the one of the key that the token is bound to.
    #[error("the holder of the wit-svid has not proven its key")]
    Unproven,
}

/// Verifies a token with the keys of the trust domain that it must belong to. Header members that
/// are unknown are ignored, and so are claims.
pub fn verify_wit_svid(
    token: &str,
    bundle: &WitSvidBundle,
    now: Timestamp,
    leeway: Leeway,
    verifier: &dyn SignatureVerifier,
) -> Result<UnprovenWitSvid, WitSvidError> {
    let jws = ForeignJws::parse(token).map_err(malformed)?;
    let algorithm = jws.algorithm().map_err(malformed)?;
    let kid = check_header(jws.header())?;
    let claims = jws.claims().map_err(malformed)?;
    let subject = claims.get("sub").and_then(Value::as_str);
    let spiffe_id: SpiffeId = subject
        .ok_or(WitSvidError::NoSubject)?
        .parse()
        .map_err(WitSvidError::Subject)?;
    if spiffe_id.trust_domain() != bundle.trust_domain() {
        return Err(WitSvidError::WrongTrustDomain);
    }
    let key = bundle.key(kid).ok_or(WitSvidError::UnknownKey)?;
    if !key.fits(algorithm) {
        return Err(WitSvidError::WrongAlgorithm);
    }
    if !jws.verify(key, verifier) {
        return Err(WitSvidError::BadSignature);
    }
    if claims.contains_key("aud") {
        return Err(WitSvidError::Audience);
    }
    if claims.get("jti").is_some_and(|jti| !jti.is_string()) {
        return Err(WitSvidError::TokenId);
    }
    let (key, algorithm) = confirmation(&claims)?;
    Ok(UnprovenWitSvid(WitSvid {
        spiffe_id,
        key,
        algorithm,
        expires: check_times(&claims, now, leeway)?,
        digest: Digest::of(token),
    }))
}

const fn malformed(error: JwsError) -> WitSvidError {
    match error {
        JwsError::TooLong => WitSvidError::TooLong,
        JwsError::Malformed => WitSvidError::Malformed,
        JwsError::AlgorithmNotAllowed => WitSvidError::AlgorithmNotAllowed,
    }
}

/// The `kid`.
fn check_header(header: &Map<String, Value>) -> Result<&str, WitSvidError> {
    if header.get("typ").and_then(Value::as_str) != Some(WIT_TYP) {
        return Err(WitSvidError::WrongTyp);
    }
    if header.contains_key("crit") {
        return Err(WitSvidError::Critical);
    }
    let kid = header.get("kid").and_then(Value::as_str);
    kid.filter(|kid| !kid.is_empty())
        .ok_or(WitSvidError::NoKeyId)
}

/// The holder's key, and the one algorithm that it signs with.
fn confirmation(claims: &Map<String, Value>) -> Result<(SvidKey, SvidAlgorithm), WitSvidError> {
    let jwk = claims.get("cnf").and_then(|cnf| cnf.get("jwk"));
    let jwk = jwk.and_then(Value::as_object);
    let jwk = jwk.ok_or(WitSvidError::NoConfirmation)?;
    let key = SvidKey::from_jwk(jwk).map_err(WitSvidError::Confirmation)?;
    let algorithm = key.algorithm();
    Ok((key, algorithm.ok_or(WitSvidError::NoConfirmationAlgorithm)?))
}

/// `exp` with leeway and `nbf` without; `iat` never limits.
fn check_times(
    claims: &Map<String, Value>,
    now: Timestamp,
    leeway: Leeway,
) -> Result<Timestamp, WitSvidError> {
    let expires = claims.get("exp").and_then(seconds);
    let expires = expires.ok_or(WitSvidError::NoExpiry)?;
    if now >= expires.plus_seconds(leeway.as_seconds()) {
        return Err(WitSvidError::Expired);
    }
    if let Some(not_before) = claims.get("nbf") {
        let not_before = seconds(not_before).ok_or(WitSvidError::NotBefore)?;
        if now < not_before {
            return Err(WitSvidError::NotYetValid);
        }
    }
    Ok(expires)
}

impl UnprovenWitSvid {
    /// The key that the holder must prove.
    pub const fn key(&self) -> &SvidKey {
        &self.0.key
    }

    /// The algorithm that the proof is signed with.
    pub const fn algorithm(&self) -> SvidAlgorithm {
        self.0.algorithm
    }

    /// Takes the holder's signature over what the caller asked to be signed: its own fresh
    /// challenge, or the signature base of a request.
    pub fn prove(
        self,
        challenge: &[u8],
        signature: &[u8],
        verifier: &dyn SignatureVerifier,
    ) -> Result<ProvenWitSvid, WitSvidError> {
        let WitSvid { key, algorithm, .. } = &self.0;
        if !verifier.verify_svid(*algorithm, key, challenge, signature) {
            return Err(WitSvidError::Unproven);
        }
        Ok(ProvenWitSvid(self.0))
    }
}

impl ProvenWitSvid {
    /// Who it is.
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.0.spiffe_id
    }

    /// The holder's key.
    pub const fn key(&self) -> &SvidKey {
        &self.0.key
    }

    /// When the token stops being valid, leeway not counted.
    pub const fn expires(&self) -> Timestamp {
        self.0.expires
    }

    /// The digest of the token's text.
    pub const fn digest(&self) -> Digest {
        self.0.digest
    }
}
