//! Workload identity tokens: the credential of an agent key (decision 3; WIT-SVID).
//!
//! A token is never proof of anything by itself: who presents it proves possession of the key in
//! `cnf` (WIT-SVID section 4).

use std::collections::BTreeMap;

use chancery_types::id::CredentialId;
use chancery_types::jws::{self, Compact, Header};
use chancery_types::{
    Algorithm, CanonicalError, Digest, Jwk, SignatureVerifier, Timestamp, members, to_canonical,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{AttestationLevel, Isolation, SpiffeId, TrustDomain};

/// The `typ` of a workload identity token.
pub const WIT_TYP: &str = "wit+jwt";

/// What a workload identity token says: which instance holds the agent key, and what that instance
/// is. There is no audience (WIT-SVID section 3.8); unknown claims are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitClaims {
    /// The instance.
    pub sub: SpiffeId,
    /// The agent key.
    #[serde(deserialize_with = "confirmation")]
    pub cnf: Confirmation,
    /// When the token was issued, in seconds. Never limits its validity.
    pub iat: u64,
    /// When the token stops being valid, in seconds.
    pub exp: u64,
    /// Names the token in the log.
    pub jti: CredentialId,
    /// The manifest that the instance was started under.
    pub manifest_digest: Digest,
    /// What vouches for the instance.
    pub attestation_level: AttestationLevel,
    /// Whether the instance was fenced in when it started.
    pub isolation: Isolation,
}

/// The key that a token is bound to (RFC 7800).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The public key.
    pub jwk: Jwk,
}

pub(crate) fn confirmation<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Confirmation, D::Error> {
    members::object(deserializer, "an object of jwk")
}

/// The keys that may sign workload identity tokens of one trust domain, by `kid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitBundle {
    trust_domain: TrustDomain,
    keys: BTreeMap<String, Jwk>,
}

/// A workload identity token that verified; only [`verify_wit`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedWit {
    claims: WitClaims,
    digest: Digest,
}

/// Why a token is refused. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WitError {
    /// Too long, not a compact JWS, or a header member that the profile does not know.
    #[error("workload identity token is malformed")]
    Malformed,
    /// `typ` is not `wit+jwt`.
    #[error("workload identity token has another typ")]
    WrongTyp,
    /// `alg` is not `ES256`.
    #[error("workload identity token is not signed with ES256")]
    AlgorithmNotAllowed,
    /// No `kid`, or one that the bundle does not hold.
    #[error("workload identity token names no key of its trust domain")]
    UnknownKey,
    /// The signature is not the named key's.
    #[error("workload identity token has a bad signature")]
    BadSignature,
    /// A claim is missing, malformed or not one of the profile's; `aud` among them.
    #[error("workload identity token has other claims than the profile's")]
    Claims,
    /// `cnf.jwk` is not a point of its curve.
    #[error("workload identity token is bound to a bad key")]
    BadKey,
    /// `sub` belongs to another trust domain than the bundle.
    #[error("workload identity token belongs to another trust domain")]
    WrongTrustDomain,
    /// `exp` is past.
    #[error("workload identity token has expired")]
    Expired,
}

/// Why a token cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitDraftError {
    /// Workload identity tokens are signed with ES256 (WIT-SVID section 2.3).
    #[error("the token authority's key is not a P-256 key")]
    Authority,
    /// The token would never be valid.
    #[error("exp is not later than iat")]
    Lifetime,
    /// The SPIFFE ID is too long to be issued.
    #[error("sub is longer than 2048 bytes")]
    Subject,
    /// The claims have no canonical form.
    #[error("claims have no canonical form")]
    Canonical(#[source] CanonicalError),
}

impl WitClaims {
    /// What the authority of that public key is to sign; [`jws::assemble`] makes the token of it
    /// and the signature.
    pub fn signing_input(&self, authority: &Jwk) -> Result<String, WitDraftError> {
        if authority.algorithm() != Algorithm::Es256 {
            return Err(WitDraftError::Authority);
        }
        if self.exp <= self.iat {
            return Err(WitDraftError::Lifetime);
        }
        if !self.sub.is_mintable() {
            return Err(WitDraftError::Subject);
        }
        let header = Header {
            algorithm: Algorithm::Es256,
            typ: WIT_TYP.to_owned(),
            kid: Some(authority.kid()),
        };
        let claims = to_canonical(self).map_err(WitDraftError::Canonical)?;
        Ok(jws::signing_input(&header, &claims))
    }
}

impl WitBundle {
    /// A bundle of public keys; only P-256 keys ever verify a token.
    pub fn new(trust_domain: TrustDomain, keys: impl IntoIterator<Item = Jwk>) -> Self {
        Self {
            trust_domain,
            keys: keys.into_iter().map(|key| (key.kid(), key)).collect(),
        }
    }

    /// Whose keys these are.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }
}

/// Verifies a token with the keys of the trust domain that it must belong to.
pub fn verify_wit(
    token: &str,
    bundle: &WitBundle,
    now: Timestamp,
    verifier: &dyn SignatureVerifier,
) -> Result<VerifiedWit, WitError> {
    let jws = Compact::parse(token).map_err(|error| match error {
        jws::JwsError::AlgorithmNotAllowed => WitError::AlgorithmNotAllowed,
        jws::JwsError::TooLong | jws::JwsError::Malformed => WitError::Malformed,
    })?;
    if jws.header.typ != WIT_TYP {
        return Err(WitError::WrongTyp);
    }
    if jws.header.algorithm != Algorithm::Es256 {
        return Err(WitError::AlgorithmNotAllowed);
    }
    let kid = jws.header.kid.as_ref().ok_or(WitError::UnknownKey)?;
    let key = bundle.keys.get(kid).ok_or(WitError::UnknownKey)?;
    if !jws.verify(key, verifier) {
        return Err(WitError::BadSignature);
    }
    let claims: WitClaims =
        serde_json::from_value(Value::Object(jws.claims)).map_err(|_| WitError::Claims)?;
    if !verifier.is_valid_key(&claims.cnf.jwk) {
        return Err(WitError::BadKey);
    }
    if claims.sub.trust_domain() != &bundle.trust_domain {
        return Err(WitError::WrongTrustDomain);
    }
    if now >= Timestamp::from_seconds(claims.exp) {
        return Err(WitError::Expired);
    }
    Ok(VerifiedWit {
        claims,
        digest: Digest::of(token),
    })
}

impl VerifiedWit {
    /// What the token says.
    pub const fn claims(&self) -> &WitClaims {
        &self.claims
    }

    /// The instance.
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.claims.sub
    }

    /// The agent key that the token is bound to.
    pub const fn agent_key(&self) -> &Jwk {
        &self.claims.cnf.jwk
    }

    /// When the token stops being valid.
    pub const fn expires(&self) -> Timestamp {
        Timestamp::from_seconds(self.claims.exp)
    }

    /// The digest of the token's text.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests;
