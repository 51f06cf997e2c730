use chancery_types::jws::JwsError;
use chancery_types::{Digest, ForeignJws, SignatureVerifier, Timestamp};
use serde_json::{Map, Value};

use super::JwtAudience;
use crate::{JwtBundles, Leeway, SpiffeId, SpiffeIdError};

/// What a JWT-SVID is judged by.
pub struct JwtSvidContext<'a> {
    /// What the validator calls itself; a token for others is refused.
    pub audience: &'a JwtAudience,
    /// The keys of every trust domain that is trusted.
    pub bundles: &'a JwtBundles,
    /// Now.
    pub now: Timestamp,
    /// How far the issuer's clock may stand apart.
    pub leeway: Leeway,
    /// The arithmetic.
    pub verifier: &'a dyn SignatureVerifier,
}

impl std::fmt::Debug for JwtSvidContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtSvidContext")
            .field("audience", self.audience)
            .field("now", &self.now)
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

/// A JWT-SVID that verified; only [`verify_jwt_svid`] makes one. It proves who was issued it, and
/// not who presents it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedJwtSvid {
    spiffe_id: SpiffeId,
    audiences: Vec<String>,
    expires: Timestamp,
    key_id: String,
    claims: Map<String, Value>,
    digest: Digest,
}

/// Why a token is refused. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtSvidError {
    /// Longer than any token that is read.
    #[error("jwt-svid is too long")]
    TooLong,
    /// Not a compact JWS over strict JSON objects; the JSON serialisation among them (JWT-SVID
    /// section 5.1).
    #[error("jwt-svid is no compact JWS")]
    Malformed,
    /// `alg` is missing or none of the nine (JWT-SVID section 2.1).
    #[error("jwt-svid is signed with an algorithm that is not allowed")]
    AlgorithmNotAllowed,
    /// A header member besides `alg`, `kid` and `typ` (JWT-SVID section 2).
    #[error("jwt-svid has a header member besides alg, kid and typ")]
    HeaderMember,
    /// `typ` is neither `JWT` nor `JOSE` (JWT-SVID section 2.3).
    #[error("jwt-svid has another typ")]
    WrongTyp,
    /// No `kid`. The specification lets it be left out; no validator that is widely used does.
    #[error("jwt-svid names no key")]
    NoKeyId,
    /// `sub` is missing or no text.
    #[error("jwt-svid has no sub")]
    NoSubject,
    /// `sub` is not a SPIFFE ID (JWT-SVID section 3.1).
    #[error("sub of the jwt-svid is not a spiffe id")]
    Subject(#[source] SpiffeIdError),
    /// Nothing is known of the trust domain that `sub` belongs to (Workload API section 6.3).
    #[error("jwt-svid belongs to a trust domain that is not trusted")]
    UnknownTrustDomain,
    /// The trust domain of `sub` has no key of that name for JWT-SVIDs.
    #[error("jwt-svid names no key of its trust domain")]
    UnknownKey,
    /// The named key is of another kind, or bound to another algorithm.
    #[error("jwt-svid is signed with an algorithm that its key is not for")]
    WrongAlgorithm,
    /// The signature is not the named key's.
    #[error("jwt-svid has a bad signature")]
    BadSignature,
    /// `aud` is missing, empty, or neither a text nor a list of texts (JWT-SVID section 3.2).
    #[error("jwt-svid has no audience")]
    NoAudience,
    /// The token is for others.
    #[error("jwt-svid is for another audience")]
    WrongAudience,
    /// `exp` is missing, no integer, or no time that can be held (JWT-SVID section 3.3).
    #[error("jwt-svid says no time at which it expires")]
    NoExpiry,
    /// `exp` is past.
    #[error("jwt-svid has expired")]
    Expired,
    /// `nbf` is there and no integer, or no time that can be held.
    #[error("nbf of the jwt-svid is no time")]
    NotBefore,
    /// `nbf` has not come (RFC 7519 section 4.1.5).
    #[error("jwt-svid is not valid yet")]
    NotYetValid,
}

/// Verifies a token by the JWT-SVID profile, with the keys of its subject's trust domain alone.
pub fn verify_jwt_svid(
    token: &str,
    context: &JwtSvidContext<'_>,
) -> Result<VerifiedJwtSvid, JwtSvidError> {
    let jws = ForeignJws::parse(token).map_err(malformed)?;
    let algorithm = jws.algorithm().map_err(malformed)?;
    let key_id = check_header(jws.header())?;
    let claims = jws.claims().map_err(malformed)?;
    let subject = claims.get("sub").and_then(Value::as_str);
    let spiffe_id: SpiffeId = subject
        .ok_or(JwtSvidError::NoSubject)?
        .parse()
        .map_err(JwtSvidError::Subject)?;
    let bundle = context.bundles.of(&spiffe_id);
    let bundle = bundle.ok_or(JwtSvidError::UnknownTrustDomain)?;
    let key = bundle.key(&key_id).ok_or(JwtSvidError::UnknownKey)?;
    if !key.fits(algorithm) {
        return Err(JwtSvidError::WrongAlgorithm);
    }
    if !jws.verify(key, context.verifier) {
        return Err(JwtSvidError::BadSignature);
    }
    let audiences = audiences(&claims).ok_or(JwtSvidError::NoAudience)?;
    if !audiences.iter().any(|one| one == context.audience.as_str()) {
        return Err(JwtSvidError::WrongAudience);
    }
    let expires = claims.get("exp").and_then(seconds);
    let expires = expires.ok_or(JwtSvidError::NoExpiry)?;
    let leeway = context.leeway.as_seconds();
    if context.now >= expires.plus_seconds(leeway) {
        return Err(JwtSvidError::Expired);
    }
    if let Some(not_before) = claims.get("nbf") {
        let not_before = seconds(not_before).ok_or(JwtSvidError::NotBefore)?;
        if context.now.plus_seconds(leeway) < not_before {
            return Err(JwtSvidError::NotYetValid);
        }
    }
    Ok(VerifiedJwtSvid {
        spiffe_id,
        audiences,
        expires,
        key_id,
        claims,
        digest: Digest::of(token),
    })
}

const fn malformed(error: JwsError) -> JwtSvidError {
    match error {
        JwsError::TooLong => JwtSvidError::TooLong,
        JwsError::Malformed => JwtSvidError::Malformed,
        JwsError::AlgorithmNotAllowed => JwtSvidError::AlgorithmNotAllowed,
    }
}

/// The `kid` of a header that has the profile's members and no others.
fn check_header(header: &Map<String, Value>) -> Result<String, JwtSvidError> {
    let known = |name: &String| matches!(name.as_str(), "alg" | "kid" | "typ");
    if !header.keys().all(known) {
        return Err(JwtSvidError::HeaderMember);
    }
    match header.get("typ").map(Value::as_str) {
        None | Some(Some("JWT" | "JOSE")) => {}
        _ => return Err(JwtSvidError::WrongTyp),
    }
    let kid = header.get("kid").and_then(Value::as_str);
    kid.filter(|kid| !kid.is_empty())
        .map(str::to_owned)
        .ok_or(JwtSvidError::NoKeyId)
}

/// One text, or a list of at least one.
fn audiences(claims: &Map<String, Value>) -> Option<Vec<String>> {
    match claims.get("aud")? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(several) if !several.is_empty() => several
            .iter()
            .map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

/// A time in whole seconds that a timestamp holds.
pub(crate) fn seconds(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_u64()?;
    seconds.checked_mul(1_000_000).map(Timestamp::from_micros)
}

impl VerifiedJwtSvid {
    /// Whose it is.
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// Whom it is for; the validator is among them.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// When it stops being valid, leeway not counted.
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The name of the key that signed it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Everything that it says, claims that the profile does not know among them.
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The digest of the token's text.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// The token in the value of an `Authorization` header or of the gRPC metadata of that name
/// (JWT-SVID sections 5.2 and 5.3, RFC 6750 section 2.1): one bearer token and nothing else.
pub fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let one = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let good = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    (good && token.bytes().all(one)).then_some(token)
}
