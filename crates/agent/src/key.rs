//! The agent key and everything it signs.

use std::fmt;

use chancery_api::gateway::{SESSION_PROOF_TYP, SessionProof};
use chancery_crypto::{AwsLc, KeyError, RandomError, SigningKey, random_id};
use chancery_delegation::chain::ChainTip;
use chancery_delegation::handshake::{Accept, Accepting, Agreed, Concluded};
use chancery_delegation::http_signature::{HttpRequest, RequestSignature, SignError, SignedFields};
use chancery_delegation::token::Call;
use chancery_delegation::{DraftError, LinkDraft, ProofDraft};
use chancery_evidence::presentation::{
    Challenge, HolderError, Parts, Presentation, sign_presentation,
};
use chancery_identity::{SpiffeId, key_proof_signing_input};
use chancery_types::id::{ExecutionKind, ProofKind};
use chancery_types::jws::{Header, assemble, signing_input};
use chancery_types::{Algorithm, CanonicalError, Digest, Jwk, Timestamp, base64url, to_canonical};
use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::now;
use crate::exchange::DpopRequest;
use crate::handover::{ACCEPT_TYP, Acceptance};

/// The instance's second key (Ed25519). It is made in memory, stays there, and is neither printed
/// nor written: whoever holds this value can sign, nobody can read the key from it.
pub struct AgentKey(SigningKey);

/// Why the agent key did not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentKeyError {
    /// The key could not be made or did not sign.
    #[error("the agent key failed")]
    Key(#[from] KeyError),
    /// The operating system has no randomness.
    #[error("no randomness for an identifier")]
    Random(#[from] RandomError),
    /// What was to be signed has no canonical form.
    #[error("the claims have no canonical form")]
    Canonical(#[from] CanonicalError),
    /// A verifier would refuse what was to be signed.
    #[error(transparent)]
    Draft(#[from] DraftError<KeyError>),
    /// The presentation that was to be signed has no canonical form, or the key did not sign.
    #[error(transparent)]
    Presentation(#[from] HolderError<KeyError>),
    /// A verifier would refuse the request that was to be signed.
    #[error(transparent)]
    Request(#[from] SignError<KeyError>),
}

impl AgentKey {
    /// Draws a new key.
    pub fn generate() -> Result<Self, AgentKeyError> {
        Ok(Self(SigningKey::generate(Algorithm::Ed25519)?))
    }

    /// The public half.
    pub const fn public(&self) -> &Jwk {
        self.0.public()
    }

    /// Proves possession to the node that asked with `nonce`: what the credential is issued for.
    pub fn prove_key(&self, nonce: &str) -> Result<String, AgentKeyError> {
        let input = key_proof_signing_input(self.public(), nonce)?;
        Ok(assemble(&input, &self.0.sign(input.as_bytes())?))
    }

    /// Answers the gateway's challenge to open or join a session with the chain of that `cth`.
    pub fn prove_session(
        &self,
        gateway: &SpiffeId,
        nonce: &str,
        chain: Digest,
        now: Timestamp,
    ) -> Result<String, AgentKeyError> {
        let claims = SessionProof {
            aud: gateway.to_string(),
            nonce: nonce.to_owned(),
            cth: chain.to_base64url(),
            iat: now.as_seconds(),
        };
        self.sign(SESSION_PROOF_TYP, &claims)
    }

    /// Proves one call under the chain of that `cth`. Proof and execution are named anew each time,
    /// so that no two proofs are alike.
    pub fn prove_call(
        &self,
        gateway: &SpiffeId,
        chain: Digest,
        call: Call<'_>,
        step: Option<&str>,
        now: Timestamp,
    ) -> Result<String, AgentKeyError> {
        let jti = random_id::<ProofKind>()?.to_string();
        let draft = ProofDraft {
            audience: gateway.as_str(),
            issued_at: now,
            jti: &jti,
            chain,
            call,
            execution: Some(random_id::<ExecutionKind>()?),
            step,
        };
        let sign = |message: &[u8]| self.0.sign(message);
        Ok(draft.sign(self.public(), &sign)?)
    }

    /// Answers a relying party's challenge with these parts of a presentation.
    pub fn present(
        &self,
        parts: Parts,
        challenge: &Challenge,
    ) -> Result<Presentation, AgentKeyError> {
        let sign = |message: &[u8]| self.0.sign(message);
        Ok(sign_presentation(
            parts,
            challenge,
            now(),
            self.public(),
            &sign,
        )?)
    }

    /// Proves possession to a relying party outside, for one request with one access token (RFC 9449).
    pub fn prove_dpop(
        &self,
        request: &DpopRequest,
        now: Timestamp,
    ) -> Result<String, AgentKeyError> {
        // Relying parties' libraries know the algorithm by its name before RFC 9864; of the key they
        // are told by the member `crv`.
        let mut key = serde_json::to_value(self.public()).unwrap_or_default();
        if let Some(members) = key.as_object_mut() {
            members.remove("alg");
        }
        let header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": key});
        let mut claims = json!({
            "jti": random_id::<ProofKind>()?.to_string(),
            "htm": request.method,
            "htu": request.url,
            "iat": now.as_seconds(),
            "ath": Digest::of(&request.access_token).to_base64url(),
        });
        if let (Some(members), Some(nonce)) = (claims.as_object_mut(), &request.nonce) {
            members.insert("nonce".to_owned(), nonce.as_str().into());
        }
        let part = |value: &Value| Ok::<_, AgentKeyError>(base64url::encode(to_canonical(value)?));
        let input = format!("{}.{}", part(&header)?, part(&claims)?);
        Ok(assemble(&input, &self.0.sign(input.as_bytes())?))
    }

    /// Narrows the chain that ends at `tip` by one more link. Fails with the reason a verifier
    /// would give.
    pub fn narrow(&self, tip: &ChainTip, link: &LinkDraft) -> Result<String, AgentKeyError> {
        let sign = |message: &[u8]| self.0.sign(message);
        Ok(link.sign(tip, &AwsLc, &sign)?)
    }

    /// Signs a POST of that target, with that body and those fields, for that audience.
    pub(crate) fn sign_request(
        &self,
        target: &str,
        fields: &[(&str, &str)],
        body: &[u8],
        audience: &str,
        nonce: &str,
        now: Timestamp,
    ) -> Result<SignedFields, AgentKeyError> {
        let request = HttpRequest {
            method: "POST",
            target,
            fields,
            body,
        };
        let signature = RequestSignature {
            audience,
            created: now,
            nonce,
        };
        Ok(signature.sign(&request, &|base| self.0.sign(base))?)
    }

    /// Answers a peer's offer.
    pub(crate) fn accept_offer(
        &self,
        accepting: &Accepting,
        now: Timestamp,
    ) -> Result<Accept, AgentKeyError> {
        Ok(accepting.accept(now, &|message| self.0.sign(message))?)
    }

    /// Ends a handshake with a link for the peer.
    pub(crate) fn conclude(
        &self,
        agreed: Agreed,
        chain: &[String],
        jti: String,
        now: Timestamp,
    ) -> Result<Concluded, AgentKeyError> {
        let sign = |message: &[u8]| self.0.sign(message);
        Ok(agreed.conclude(chain, jti, now, &AwsLc, &sign)?)
    }

    /// Accepts a parent's offer.
    pub(crate) fn accept(&self, acceptance: &Acceptance) -> Result<String, AgentKeyError> {
        self.sign(ACCEPT_TYP, acceptance)
    }

    fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, AgentKeyError> {
        let header = Header {
            algorithm: Algorithm::Ed25519,
            typ: typ.to_owned(),
            kid: None,
        };
        let input = signing_input(&header, &to_canonical(claims)?);
        Ok(assemble(&input, &self.0.sign(input.as_bytes())?))
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AgentKey")
            .field(&self.public().kid())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use chancery_identity::verify_key_proof;
    use chancery_types::jws::Compact;
    use serde_json::Map;

    use super::*;
    use chancery_delegation::Target;

    fn gateway() -> SpiffeId {
        "spiffe://td/service/gateway".parse().unwrap()
    }

    #[test]
    fn is_not_printed() {
        let key = AgentKey::generate().unwrap();
        assert_eq!(
            format!("{key:?}"),
            format!("AgentKey({:?})", key.public().kid())
        );
    }

    #[test]
    fn a_key_proof_is_for_its_nonce_and_key() {
        let (key, other) = (AgentKey::generate().unwrap(), AgentKey::generate().unwrap());
        let proof = key.prove_key("n").unwrap();
        assert!(verify_key_proof(&proof, key.public(), "n", &AwsLc).is_ok());
        assert!(verify_key_proof(&proof, key.public(), "m", &AwsLc).is_err());
        assert!(verify_key_proof(&proof, other.public(), "n", &AwsLc).is_err());
    }

    #[test]
    fn a_session_proof_has_alg_and_typ_only() {
        let key = AgentKey::generate().unwrap();
        let now = Timestamp::from_seconds(7);
        let proof = key
            .prove_session(&gateway(), "n", Digest::of("c"), now)
            .unwrap();
        let token = Compact::parse(&proof).unwrap();
        assert_eq!(token.header.typ, SESSION_PROOF_TYP);
        assert_eq!(token.header.kid, None);
        assert!(token.verify(key.public(), &AwsLc));
        let claims: SessionProof = serde_json::from_value(Value::Object(token.claims)).unwrap();
        assert_eq!(claims.aud, gateway().as_str());
        assert_eq!((claims.nonce.as_str(), claims.iat), ("n", 7));
        assert_eq!(claims.cth, Digest::of("c").to_base64url());
    }

    #[test]
    fn no_two_call_proofs_are_alike() {
        let key = AgentKey::generate().unwrap();
        let args = Map::new();
        let call = Call {
            server: "s",
            target: Target::Tool("t"),
            args: &args,
        };
        let prove = || {
            key.prove_call(
                &gateway(),
                Digest::of("c"),
                call,
                Some("look"),
                Timestamp::from_seconds(7),
            )
            .unwrap()
        };
        let (one, two) = (prove(), prove());
        let (one, two) = (Compact::parse(&one).unwrap(), Compact::parse(&two).unwrap());
        assert!(one.verify(key.public(), &AwsLc));
        for claim in ["jti", "exec"] {
            assert_ne!(one.claims[claim], two.claims[claim]);
        }
        assert_eq!(one.claims["step"], "look");
        assert_eq!(one.claims["tool"], serde_json::json!(["s", "t"]));
    }
}
