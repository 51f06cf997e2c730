use chancery_attestation::tpm::EndorsementKey;
use tpm2_protocol::basic::{TpmUint16, TpmUint32};
use tpm2_protocol::data::{
    Tpm2bDigest, Tpm2bEccParameter, Tpm2bPublic, Tpm2bPublicKeyRsa, TpmAlgId, TpmEccCurve,
    TpmaObject, TpmsEccParms, TpmsEccPoint, TpmsRsaParms, TpmsSchemeHash, TpmtEccScheme,
    TpmtKdfScheme, TpmtPublic, TpmtRsaScheme, TpmtSymDefObject, TpmuAsymScheme, TpmuKdfScheme,
    TpmuPublicId, TpmuPublicParms, TpmuSymKeyBits, TpmuSymMode,
};

use super::TpmKeyKind;
use super::device::TpmError;

/// The template of the endorsement key, L-1 or L-2 of the TCG EK Credential Profile.
pub(super) fn endorsement(kind: TpmKeyKind) -> Result<Tpm2bPublic, TpmError> {
    let symmetric = TpmtSymDefObject {
        algorithm: TpmAlgId::Aes,
        key_bits: TpmuSymKeyBits::Aes(TpmUint16::new(128)),
        mode: TpmuSymMode::Aes(TpmAlgId::Cfb),
    };
    let (object_type, parameters, unique) = match kind {
        TpmKeyKind::Rsa => {
            let parameters = TpmsRsaParms {
                symmetric,
                scheme: TpmtRsaScheme {
                    scheme: TpmAlgId::Null,
                    details: TpmuAsymScheme::Null,
                },
                key_bits: TpmUint16::new(2_048),
                exponent: TpmUint32::new(0),
            };
            let unique = Tpm2bPublicKeyRsa::try_from([0; 256].as_slice());
            (
                TpmAlgId::Rsa,
                TpmuPublicParms::Rsa(parameters),
                TpmuPublicId::Rsa(unique.map_err(TpmError::Wire)?),
            )
        }
        TpmKeyKind::Ecc => {
            let scheme = TpmtEccScheme {
                scheme: TpmAlgId::Null,
                details: TpmuAsymScheme::Null,
            };
            let zeros = Tpm2bEccParameter::try_from([0; 32].as_slice());
            ecc(symmetric, scheme, zeros.map_err(TpmError::Wire)?)
        }
    };
    Ok(Tpm2bPublic {
        inner: TpmtPublic {
            object_type,
            name_alg: TpmAlgId::Sha256,
            object_attributes: TpmaObject::from_bits_truncate(EndorsementKey::ATTRIBUTES),
            auth_policy: Tpm2bDigest::try_from(EndorsementKey::POLICY.as_slice())
                .map_err(TpmError::Wire)?,
            parameters,
            unique,
        },
    })
}

/// The template of the attestation key: a primary key, so that none need be kept.
pub(super) fn attestation() -> Tpm2bPublic {
    let symmetric = TpmtSymDefObject {
        algorithm: TpmAlgId::Null,
        key_bits: TpmuSymKeyBits::Null,
        mode: TpmuSymMode::Null,
    };
    let scheme = TpmtEccScheme {
        scheme: TpmAlgId::Ecdsa,
        details: TpmuAsymScheme::Hash(TpmsSchemeHash {
            hash_alg: TpmAlgId::Sha256,
        }),
    };
    let (object_type, parameters, unique) = ecc(symmetric, scheme, Tpm2bEccParameter::default());
    Tpm2bPublic {
        inner: TpmtPublic {
            object_type,
            name_alg: TpmAlgId::Sha256,
            object_attributes: TpmaObject::FIXED_TPM
                | TpmaObject::FIXED_PARENT
                | TpmaObject::SENSITIVE_DATA_ORIGIN
                | TpmaObject::USER_WITH_AUTH
                | TpmaObject::NO_DA
                | TpmaObject::RESTRICTED
                | TpmaObject::SIGN_ENCRYPT,
            auth_policy: Tpm2bDigest::default(),
            parameters,
            unique,
        },
    }
}

fn ecc(
    symmetric: TpmtSymDefObject,
    scheme: TpmtEccScheme,
    coordinate: Tpm2bEccParameter,
) -> (TpmAlgId, TpmuPublicParms, TpmuPublicId) {
    let parameters = TpmsEccParms {
        symmetric,
        scheme,
        curve_id: TpmEccCurve::NistP256,
        kdf: TpmtKdfScheme {
            scheme: TpmAlgId::Null,
            details: TpmuKdfScheme::Null,
        },
    };
    let point = TpmsEccPoint {
        x: coordinate,
        y: coordinate,
    };
    (
        TpmAlgId::Ecc,
        TpmuPublicParms::Ecc(parameters),
        TpmuPublicId::Ecc(point),
    )
}
