//! Proof of possession of the key that a node's SVID is asked for, bound to one TLS connection.

use chancery_types::jws::{self, Compact, Header};
use chancery_types::{
    Algorithm, CanonicalError, Digest, Jwk, SignatureVerifier, base64url, to_canonical,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Under which label TLS exports what binds a node's proofs to their connection (RFC 8446 section
/// 7.5, RFC 9266 section 4.2 for the shape).
pub const CHANNEL_LABEL: &str = "EXPORTER-chancery-node-join";

/// The `typ` of a proof.
const TYP: &str = "node-key-pop+jwt";

/// What stands before all that the key of a node's own certificate signs.
const CERTIFICATE_TAG: &[u8] = b"chancery node certificate proof v1\0";

/// What stands before all that a TPM's quote is bound to.
const TPM_TAG: &[u8] = b"chancery node tpm proof v1\0";

/// What one TLS connection exports: both sides made it, and no other connection has it. It is the
/// challenge of a proof, and a proof is good on its own connection alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeChannel([u8; 32]);

/// The claims of a proof: the connection and the key's own thumbprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    channel: String,
    jkt: String,
}

/// A node's key whose holder proved possession on one connection; only [`verify_node_key`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenNodeKey(Jwk);

/// Why a proof is refused. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NodeProofError {
    /// Not a compact JWS of exactly the claims `channel` and `jkt`.
    #[error("node key proof is malformed")]
    Malformed,
    /// `typ` is another one.
    #[error("node key proof has another typ")]
    WrongTyp,
    /// The key is not a P-256 key on its curve.
    #[error("node key is not a p-256 key")]
    BadKey,
    /// The signature is not the key's.
    #[error("node key proof has a bad signature")]
    BadSignature,
    /// `jkt` or `kid` names another key.
    #[error("node key proof names another key")]
    WrongKey,
    /// The proof was made on another connection.
    #[error("node key proof is of another connection")]
    WrongChannel,
}

impl NodeChannel {
    /// Takes the exporter's bytes.
    pub const fn new(exported: [u8; 32]) -> Self {
        Self(exported)
    }
}

/// What the holder of `key` signs on that connection; [`jws::assemble`] makes the proof of it.
pub fn node_key_signing_input(key: &Jwk, channel: NodeChannel) -> Result<String, CanonicalError> {
    let header = Header {
        algorithm: key.algorithm(),
        typ: TYP.to_owned(),
        kid: Some(key.kid()),
    };
    let claims = to_canonical(&Claims {
        channel: base64url::encode(channel.0),
        jkt: key.kid(),
    })?;
    Ok(jws::signing_input(&header, &claims))
}

/// Verifies that the holder of `key` stands at the other end of the connection.
pub fn verify_node_key(
    proof: &str,
    key: &Jwk,
    channel: NodeChannel,
    verifier: &dyn SignatureVerifier,
) -> Result<ProvenNodeKey, NodeProofError> {
    let jws = Compact::parse(proof).map_err(|_| NodeProofError::Malformed)?;
    if jws.header.typ != TYP {
        return Err(NodeProofError::WrongTyp);
    }
    if key.algorithm() != Algorithm::Es256 || !verifier.is_valid_key(key) {
        return Err(NodeProofError::BadKey);
    }
    if !jws.verify(key, verifier) {
        return Err(NodeProofError::BadSignature);
    }
    let kid = jws.header.kid.clone();
    let claims: Claims =
        serde_json::from_value(Value::Object(jws.claims)).map_err(|_| NodeProofError::Malformed)?;
    if kid.is_none_or(|kid| kid != key.kid()) || claims.jkt != key.kid() {
        return Err(NodeProofError::WrongKey);
    }
    let expected = base64url::encode(channel.0);
    if !Digest::of(&claims.channel).ct_eq(&Digest::of(&expected)) {
        return Err(NodeProofError::WrongChannel);
    }
    Ok(ProvenNodeKey(*key))
}

/// What the key of a node's own certificate signs: the connection, the key that the SVID is asked
/// for, and the certificate itself.
pub fn certificate_message(channel: NodeChannel, key: &Jwk, certificate: &[u8]) -> Vec<u8> {
    [
        CERTIFICATE_TAG,
        &channel.0,
        key.thumbprint().as_bytes(),
        Digest::of(certificate).as_bytes(),
    ]
    .concat()
}

/// What a TPM's quote signs as its qualifying data: the connection, the key that the SVID is asked for,
/// the server's nonce and the secret that the TPM alone could open.
pub fn tpm_qualifying_data(
    channel: NodeChannel,
    key: &Jwk,
    nonce: &[u8; 32],
    secret: &[u8],
) -> Digest {
    let thumbprint = key.thumbprint();
    Digest::of_parts([
        TPM_TAG,
        &channel.0,
        thumbprint.as_bytes(),
        nonce,
        Digest::of(secret).as_bytes(),
    ])
}

impl ProvenNodeKey {
    /// The key.
    pub const fn jwk(&self) -> &Jwk {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{AwsLc, SigningKey};

    use super::*;

    const CHANNEL: NodeChannel = NodeChannel::new([1; 32]);

    fn proof(key: &SigningKey, input: &str) -> String {
        jws::assemble(input, &key.sign(input.as_bytes()).unwrap())
    }

    fn refused(proof: &str, key: &Jwk, channel: NodeChannel) -> NodeProofError {
        verify_node_key(proof, key, channel, &AwsLc).unwrap_err()
    }

    #[test]
    fn binds_key_and_connection() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let other = SigningKey::generate(Algorithm::Es256).unwrap();
        let good = proof(
            &key,
            &node_key_signing_input(key.public(), CHANNEL).unwrap(),
        );
        let proven = verify_node_key(&good, key.public(), CHANNEL, &AwsLc).unwrap();
        assert_eq!(proven.jwk(), key.public());
        let elsewhere = NodeChannel::new([2; 32]);
        assert_eq!(
            refused(&good, key.public(), elsewhere),
            NodeProofError::WrongChannel
        );
        assert_eq!(
            refused(&good, other.public(), CHANNEL),
            NodeProofError::BadSignature
        );
        let lent = proof(
            &key,
            &node_key_signing_input(other.public(), CHANNEL).unwrap(),
        );
        assert_eq!(
            refused(&lent, key.public(), CHANNEL),
            NodeProofError::WrongKey
        );
    }

    #[test]
    fn refuses_other_keys_and_other_tokens() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let small = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let of_small = proof(
            &small,
            &node_key_signing_input(small.public(), CHANNEL).unwrap(),
        );
        assert_eq!(
            refused(&of_small, small.public(), CHANNEL),
            NodeProofError::BadKey
        );
        let kid = key.public().kid();
        let header = |typ: &str, kid: Option<String>| Header {
            algorithm: Algorithm::Es256,
            typ: typ.to_owned(),
            kid,
        };
        let channel = base64url::encode([1; 32]);
        let claims = format!(r#"{{"channel":"{channel}","jkt":"{kid}"}}"#);
        let more = format!(r#"{{"aud":"x","channel":"{channel}","jkt":"{kid}"}}"#);
        for (header, claims, error) in [
            (
                header("agent-key-pop+jwt", Some(kid.clone())),
                &claims,
                NodeProofError::WrongTyp,
            ),
            (header(TYP, None), &claims, NodeProofError::WrongKey),
            (header(TYP, Some(kid)), &more, NodeProofError::Malformed),
        ] {
            let token = proof(&key, &jws::signing_input(&header, claims.as_bytes()));
            assert_eq!(refused(&token, key.public(), CHANNEL), error);
        }
        assert_eq!(
            refused("a.b", key.public(), CHANNEL),
            NodeProofError::Malformed
        );
    }
}
