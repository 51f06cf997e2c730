use chancery_types::Digest;
use tpm2_protocol::data::{Tpm2bPublic, TpmAlgId, TpmtPublic};
use tpm2_protocol::{TpmMarshal, TpmUnmarshal as _, TpmWriter};

/// Most bytes of a public area: an RSA key of 4096 bits and all around it.
const MAX_BYTES: usize = 1_024;

/// `TPM_ALG_SHA256`, which stands before the digest in a name.
const SHA256: [u8; 2] = [0x00, 0x0b];

/// Why a public area is not accepted. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TpmKeyError {
    /// Not one `TPM2B_PUBLIC`, or another spelling of one.
    #[error("not a TPM2B_PUBLIC")]
    Malformed,
    /// Names are not made with SHA-256.
    #[error("the key's name is not made with sha-256")]
    NameAlgorithm,
    /// An attribute is there that must not be, or is missing.
    #[error("the key's attributes are {0:#010x}, which are not those of such a key")]
    Attributes(u32),
    /// The authorisation policy is not the one that the profile gives.
    #[error("the key's policy is not the one of the EK credential profile")]
    Policy,
    /// Algorithm, curve, size or scheme is not one of those that are accepted.
    #[error("the key's algorithm, size or scheme is not accepted")]
    Algorithm,
    /// The key is no key of its kind.
    #[error("the key is not usable")]
    Key,
}

/// A public area as it was read, with the digest that its name holds.
#[derive(Debug)]
pub(super) struct PublicArea {
    pub(super) public: TpmtPublic,
    /// SHA-256 over the `TPMT_PUBLIC`: the name without its algorithm.
    pub(super) digest: Digest,
}

impl PublicArea {
    /// Reads a whole `TPM2B_PUBLIC`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, TpmKeyError> {
        if bytes.len() > MAX_BYTES {
            return Err(TpmKeyError::Malformed);
        }
        let read = Tpm2bPublic::unmarshal(bytes);
        let (public, rest) = read.map_err(|_| TpmKeyError::Malformed)?;
        // Two spellings of one key would have two names.
        if !rest.is_empty() || written(&public).as_deref() != Some(bytes) {
            return Err(TpmKeyError::Malformed);
        }
        let (_, area) = bytes.split_at_checked(2).ok_or(TpmKeyError::Malformed)?;
        if public.inner.name_alg != TpmAlgId::Sha256 {
            return Err(TpmKeyError::NameAlgorithm);
        }
        Ok(Self {
            public: public.inner,
            digest: Digest::of(area),
        })
    }
}

/// The name of the key whose public area has that digest.
pub(super) fn name_of(digest: Digest) -> [u8; 34] {
    let mut name = [0; 34];
    let bytes = SHA256.iter().chain(digest.as_bytes());
    name.iter_mut()
        .zip(bytes)
        .for_each(|(byte, made)| *byte = *made);
    name
}

/// The bytes of a value.
pub(super) fn written(value: &(impl TpmMarshal + tpm2_protocol::TpmSized)) -> Option<Vec<u8>> {
    let mut bytes = vec![0; value.len()];
    let mut writer = TpmWriter::new(&mut bytes);
    value.marshal(&mut writer).ok()?;
    let length = writer.len();
    bytes.truncate(length);
    Some(bytes)
}
