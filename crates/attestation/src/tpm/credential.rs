use chancery_types::{CredentialCrypto, Digest, EcdhShare, Secret, SvidKeyMaterial};

use super::{AttestationKey, EndorsementKey};

/// Bytes of the secret in a credential, and of its seed: those of the digest of the endorsement key's
/// name.
pub const SECRET_BYTES: usize = 32;

/// The label of seeds that are for credentials, with its end (TPM 2.0 Library part 1, 24.4).
const IDENTITY: &[u8] = b"IDENTITY\0";

/// A secret that one TPM alone can open, and that one only while it holds one attestation key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `TPM2B_ID_OBJECT`.
    pub blob: Vec<u8>,
    /// `TPM2B_ENCRYPTED_SECRET`.
    pub encrypted_secret: Vec<u8>,
}

/// The provider refuses the endorsement key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no credential can be made for this endorsement key")]
pub struct CredentialError;

/// `TPM2_MakeCredential` without a TPM. `seed` and `secret` are fresh random bytes; for an ECC key the
/// seed follows from a fresh key of the provider's and `seed` is not used.
pub fn make_credential(
    endorsement: &EndorsementKey,
    attestation: &AttestationKey,
    secret: &[u8; SECRET_BYTES],
    seed: &[u8; SECRET_BYTES],
    crypto: &dyn CredentialCrypto,
) -> Result<Credential, CredentialError> {
    let (seed, encrypted) = match endorsement.key().material() {
        SvidKeyMaterial::Rsa { n, e } => {
            let sealed = crypto.rsa_oaep_sha256(n, e, IDENTITY, seed);
            (Secret::new(seed.to_vec()), sealed.ok_or(CredentialError)?)
        }
        SvidKeyMaterial::Ec { point, .. } => {
            let share = crypto.ecdh_p256(point).ok_or(CredentialError)?;
            // Behind the byte that says that the point is uncompressed.
            let x = point.get(1..33).ok_or(CredentialError)?;
            let point = [sized(&share.x), sized(&share.y)].concat();
            (kdfe(&share, x), point)
        }
    };
    let name = attestation.name();
    let storage = kdfa(crypto, seed.expose(), b"STORAGE\0", &name, 128);
    let (storage, _) = storage.split_first_chunk().ok_or(CredentialError)?;
    let identity = crypto.aes_128_cfb(storage, &sized(secret));
    let identity = identity.ok_or(CredentialError)?;
    let integrity = kdfa(crypto, seed.expose(), b"INTEGRITY\0", &[], 256);
    let outer = crypto.hmac_sha256(&integrity, &[&identity, &name]);
    let blob = [sized(&outer), identity].concat();
    Ok(Credential {
        blob: sized(&blob),
        encrypted_secret: sized(&encrypted),
    })
}

/// `KDFa` with SHA-256 and one context (part 1, 11.4.10.2): of one block, which is enough here.
fn kdfa(
    crypto: &dyn CredentialCrypto,
    key: &[u8],
    label: &[u8],
    context: &[u8],
    bits: u32,
) -> [u8; 32] {
    let counter = 1_u32.to_be_bytes();
    crypto.hmac_sha256(key, &[&counter, label, context, &bits.to_be_bytes()])
}

/// `KDFe` with SHA-256 (part 1, 11.4.10.3): of one block.
fn kdfe(share: &EcdhShare, other: &[u8]) -> Secret {
    let counter = 1_u32.to_be_bytes();
    let parts: [&[u8]; 5] = [&counter, share.z.expose(), IDENTITY, &share.x, other];
    Secret::new(Digest::of_parts(parts).as_bytes().to_vec())
}

/// The bytes behind their length, as in every `TPM2B`. What is sized here is far below its limit.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), bytes].concat()
}
