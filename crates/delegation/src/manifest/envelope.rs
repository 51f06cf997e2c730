use chancery_types::{Algorithm, Digest, Jwk, SignatureVerifier};
use coset::iana::Algorithm as CoseAlgorithm;
use coset::{
    CborSerializable as _, CoseSign1, Header, HeaderBuilder, Label, RegisteredLabelWithPrivate,
    TaggedCborSerializable as _,
};

use super::ManifestError;

/// Largest envelope that is read.
pub(super) const MAX_ENVELOPE_BYTES: usize = 262_144;

const CONTENT_TYPE: &str = "application/agent-manifest+json";
const TYP: &str = "application/agent-manifest+cose";
const TYP_LABEL: i64 = 16;

/// An envelope whose frame and protected headers are those of the profile.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) key_id: Digest,
    pub(super) payload: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Envelope {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(ManifestError::TooLarge);
        }
        let sign1 = CoseSign1::from_tagged_slice(bytes)
            .map_err(|_| ManifestError::Frame("not exactly one object of tag 18"))?;
        let unprotected = &sign1.unprotected;
        if unprotected.alg.is_some() || !unprotected.crit.is_empty() {
            return Err(ManifestError::Frame("alg or crit stands unprotected"));
        }
        let header = &sign1.protected.header;
        let algorithm = match header.alg {
            Some(RegisteredLabelWithPrivate::Assigned(
                algorithm @ (CoseAlgorithm::Ed25519 | CoseAlgorithm::EdDSA),
            )) => algorithm,
            _ => return Err(ManifestError::Algorithm),
        };
        let key_id: [u8; 32] = header
            .key_id
            .as_slice()
            .try_into()
            .map_err(|_| ManifestError::Frame("kid is not 32 bytes"))?;
        let key_id = Digest::from_bytes(key_id);
        // One spelling: the bytes that we would have written, so nothing is added or left out.
        if sign1.protected.original_data != protected_header(algorithm, &key_id).to_vec().ok() {
            return Err(ManifestError::Frame(
                "protected headers are not alg, content type, kid and typ in canonical CBOR",
            ));
        }
        let signed = sign1.tbs_data(b"");
        let payload = sign1.payload;
        Ok(Self {
            key_id,
            payload: payload.ok_or(ManifestError::Frame("payload is detached"))?,
            signed,
            signature: sign1.signature,
        })
    }

    pub(super) fn verify(&self, key: &Jwk, verifier: &dyn SignatureVerifier) -> bool {
        key.algorithm() == Algorithm::Ed25519 && verifier.verify(key, &self.signed, &self.signature)
    }
}

/// The `kid` of a key: the digest of its raw public bytes.
pub(super) fn key_id(key: &Jwk) -> Digest {
    Digest::of(key.to_public_bytes())
}

/// An envelope to be signed, without its signature.
pub(super) fn unsigned(key: &Jwk, payload: Vec<u8>) -> CoseSign1 {
    CoseSign1 {
        protected: coset::ProtectedHeader {
            original_data: None,
            header: protected_header(CoseAlgorithm::Ed25519, &key_id(key)),
        },
        unprotected: Header::default(),
        payload: Some(payload),
        signature: Vec::new(),
    }
}

fn protected_header(algorithm: CoseAlgorithm, key_id: &Digest) -> Header {
    let mut header = HeaderBuilder::new()
        .algorithm(algorithm)
        .content_type(CONTENT_TYPE.to_owned())
        .key_id(key_id.as_bytes().to_vec())
        .build();
    header
        .rest
        .push((Label::Int(TYP_LABEL), ciborium::Value::Text(TYP.to_owned())));
    header
}
