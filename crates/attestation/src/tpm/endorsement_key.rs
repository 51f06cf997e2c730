use chancery_types::{Digest, SvidCurve, SvidKey};
use tpm2_protocol::data::{
    TpmAlgId, TpmEccCurve, TpmtSymDefObject, TpmuAsymScheme, TpmuKdfScheme, TpmuPublicId,
    TpmuPublicParms, TpmuSymKeyBits, TpmuSymMode,
};

use super::TpmKeyError;
use super::public_area::PublicArea;

/// The exponent of every key whose public area says 0.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// The endorsement key of a TPM: of template L-1 (RSA 2048) or L-2 (ECC P-256) of the TCG EK
/// Credential Profile, and of no other shape. Whether there is such a TPM, the bytes do not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndorsementKey {
    digest: Digest,
    key: SvidKey,
}

impl EndorsementKey {
    /// fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt.
    pub const ATTRIBUTES: u32 = 0x0003_00b2;

    /// `PolicyA`: `TPM2_PolicySecret` of the endorsement hierarchy (EK Credential Profile, B.3.3).
    pub const POLICY: [u8; 32] = [
        0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7,
        0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14,
        0x69, 0xaa,
    ];

    /// Reads a `TPM2B_PUBLIC`.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmKeyError> {
        let PublicArea { public, digest } = PublicArea::parse(bytes)?;
        let attributes = public.object_attributes.bits();
        if attributes != Self::ATTRIBUTES {
            return Err(TpmKeyError::Attributes(attributes));
        }
        if public.auth_policy.as_ref() != Self::POLICY {
            return Err(TpmKeyError::Policy);
        }
        let key = match (&public.parameters, &public.unique) {
            (TpmuPublicParms::Rsa(parameters), TpmuPublicId::Rsa(modulus)) => {
                let fits = is_aes_128_cfb(&parameters.symmetric)
                    && parameters.scheme.scheme == TpmAlgId::Null
                    && matches!(parameters.scheme.details, TpmuAsymScheme::Null)
                    && parameters.key_bits.value() == 2_048
                    && parameters.exponent.value() == 0
                    && modulus.len() == 256;
                if !fits {
                    return Err(TpmKeyError::Algorithm);
                }
                SvidKey::rsa(modulus, &EXPONENT)
            }
            (TpmuPublicParms::Ecc(parameters), TpmuPublicId::Ecc(point)) => {
                let fits = is_aes_128_cfb(&parameters.symmetric)
                    && parameters.scheme.scheme == TpmAlgId::Null
                    && matches!(parameters.scheme.details, TpmuAsymScheme::Null)
                    && parameters.curve_id == TpmEccCurve::NistP256
                    && parameters.kdf.scheme == TpmAlgId::Null
                    && matches!(parameters.kdf.details, TpmuKdfScheme::Null)
                    && point.x.len() == 32
                    && point.y.len() == 32;
                if !fits {
                    return Err(TpmKeyError::Algorithm);
                }
                SvidKey::ec(SvidCurve::P256, &point.x, &point.y)
            }
            _ => return Err(TpmKeyError::Algorithm),
        };
        Ok(Self {
            digest,
            key: key.map_err(|_| TpmKeyError::Key)?,
        })
    }

    /// The digest that names the TPM: SHA-256 over the `TPMT_PUBLIC`, which is the key's TPM name
    /// without its first two bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The key alone: RSA of 2048 bits with exponent 65537, or a point of P-256.
    pub const fn key(&self) -> &SvidKey {
        &self.key
    }
}

fn is_aes_128_cfb(symmetric: &TpmtSymDefObject) -> bool {
    symmetric.algorithm == TpmAlgId::Aes
        && matches!(symmetric.key_bits, TpmuSymKeyBits::Aes(bits) if bits.value() == 128)
        && matches!(symmetric.mode, TpmuSymMode::Aes(TpmAlgId::Cfb))
}
