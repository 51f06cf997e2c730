//! Proof of possession of an agent key, made once for its credential.

use chancery_types::jws::{self, Compact, Header};
use chancery_types::{CanonicalError, Digest, Jwk, SignatureVerifier, to_canonical};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The `typ` of a proof.
pub const KEY_PROOF_TYP: &str = "agent-key-pop+jwt";

/// The claims of a proof: the node's nonce and the key's own thumbprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    jkt: String,
    nonce: String,
}

/// An agent key whose holder proved possession; only [`verify_key_proof`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenKey(Jwk);

/// Why a proof is refused. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProofError {
    /// Not a compact JWS of exactly the claims `nonce` and `jkt`.
    #[error("key proof is malformed")]
    Malformed,
    /// `typ` is not `agent-key-pop+jwt`.
    #[error("key proof has another typ")]
    WrongTyp,
    /// The key is not a point of its curve.
    #[error("agent key is not valid")]
    BadKey,
    /// The signature is not the key's.
    #[error("key proof has a bad signature")]
    BadSignature,
    /// `jkt` or `kid` names another key.
    #[error("key proof names another key")]
    WrongKey,
    /// The nonce is not the one that was asked for.
    #[error("key proof answers another challenge")]
    WrongNonce,
}

/// What the holder of `key` signs to answer `nonce`; [`jws::assemble`] makes the proof of it.
pub fn key_proof_signing_input(key: &Jwk, nonce: &str) -> Result<String, CanonicalError> {
    let header = Header {
        algorithm: key.algorithm(),
        typ: KEY_PROOF_TYP.to_owned(),
        kid: Some(key.kid()),
    };
    let claims = to_canonical(&Claims {
        jkt: key.kid(),
        nonce: nonce.to_owned(),
    })?;
    Ok(jws::signing_input(&header, &claims))
}

/// Verifies that the holder of `key` answered `nonce`. That a nonce is used once is the caller's
/// to see to.
pub fn verify_key_proof(
    proof: &str,
    key: &Jwk,
    nonce: &str,
    verifier: &dyn SignatureVerifier,
) -> Result<ProvenKey, KeyProofError> {
    let jws = Compact::parse(proof).map_err(|_| KeyProofError::Malformed)?;
    if jws.header.typ != KEY_PROOF_TYP {
        return Err(KeyProofError::WrongTyp);
    }
    if !verifier.is_valid_key(key) {
        return Err(KeyProofError::BadKey);
    }
    if !jws.verify(key, verifier) {
        return Err(KeyProofError::BadSignature);
    }
    let kid = jws.header.kid.clone();
    let claims: Claims =
        serde_json::from_value(Value::Object(jws.claims)).map_err(|_| KeyProofError::Malformed)?;
    if kid.is_none_or(|kid| kid != key.kid()) || claims.jkt != key.kid() {
        return Err(KeyProofError::WrongKey);
    }
    if !Digest::of(&claims.nonce).ct_eq(&Digest::of(nonce)) {
        return Err(KeyProofError::WrongNonce);
    }
    Ok(ProvenKey(*key))
}

impl ProvenKey {
    /// The key.
    pub const fn jwk(&self) -> &Jwk {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{AwsLc, SigningKey};
    use chancery_types::Algorithm;

    use super::*;

    fn proof(key: &SigningKey, input: &str) -> String {
        jws::assemble(input, &key.sign(input.as_bytes()).unwrap())
    }

    #[test]
    fn binds_key_and_nonce() {
        for algorithm in [Algorithm::Ed25519, Algorithm::Es256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let good = proof(&key, &key_proof_signing_input(key.public(), "n").unwrap());
            let proven = verify_key_proof(&good, key.public(), "n", &AwsLc).unwrap();
            assert_eq!(proven.jwk(), key.public());
            assert_eq!(
                verify_key_proof(&good, key.public(), "m", &AwsLc),
                Err(KeyProofError::WrongNonce)
            );
            let other = SigningKey::generate(algorithm).unwrap();
            assert_eq!(
                verify_key_proof(&good, other.public(), "n", &AwsLc),
                Err(KeyProofError::BadSignature)
            );
            let lent = proof(&key, &key_proof_signing_input(other.public(), "n").unwrap());
            assert_eq!(
                verify_key_proof(&lent, key.public(), "n", &AwsLc),
                Err(KeyProofError::WrongKey)
            );
        }
    }

    #[test]
    fn refuses_other_tokens_of_the_same_key() {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let header = |typ: &str, kid: Option<String>| Header {
            algorithm: Algorithm::Ed25519,
            typ: typ.to_owned(),
            kid,
        };
        let kid = key.public().kid();
        let claims = format!(r#"{{"jkt":"{kid}","nonce":"n"}}"#);
        let more = format!(r#"{{"aud":"x","jkt":"{kid}","nonce":"n"}}"#);
        for (header, claims, error) in [
            (
                header("adt-pop+jwt", Some(kid.clone())),
                &claims,
                KeyProofError::WrongTyp,
            ),
            (
                header(KEY_PROOF_TYP, None),
                &claims,
                KeyProofError::WrongKey,
            ),
            (
                header(KEY_PROOF_TYP, Some(kid.clone())),
                &more,
                KeyProofError::Malformed,
            ),
        ] {
            let token = proof(&key, &jws::signing_input(&header, claims.as_bytes()));
            assert_eq!(
                verify_key_proof(&token, key.public(), "n", &AwsLc),
                Err(error)
            );
        }
        assert_eq!(
            verify_key_proof("a.b", key.public(), "n", &AwsLc),
            Err(KeyProofError::Malformed)
        );
        let off_curve = Jwk::p256([1; 32], [1; 32]);
        let token = proof(&key, &key_proof_signing_input(key.public(), "n").unwrap());
        assert_eq!(
            verify_key_proof(&token, &off_curve, "n", &AwsLc),
            Err(KeyProofError::BadKey)
        );
    }
}
