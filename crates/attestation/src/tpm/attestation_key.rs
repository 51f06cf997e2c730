use chancery_types::{Digest, Jwk, SignatureVerifier};
use tpm2_protocol::data::{
    TpmAlgId, TpmEccCurve, TpmaObject, TpmiAlgHash, TpmuAsymScheme, TpmuPublicId, TpmuPublicParms,
};

use super::TpmKeyError;
use super::public_area::{PublicArea, name_of};

/// What an attestation key must be: it lives in this TPM, was made in it, and signs nothing but what
/// the TPM itself says.
const NEEDED: u32 = TpmaObject::FIXED_TPM.bits()
    | TpmaObject::FIXED_PARENT.bits()
    | TpmaObject::SENSITIVE_DATA_ORIGIN.bits()
    | TpmaObject::RESTRICTED.bits()
    | TpmaObject::SIGN_ENCRYPT.bits();

/// What it may be besides: how it is authorised.
const ALLOWED: u32 = NEEDED
    | TpmaObject::USER_WITH_AUTH.bits()
    | TpmaObject::ADMIN_WITH_POLICY.bits()
    | TpmaObject::NO_DA.bits();

/// An attestation key: restricted to what its TPM says, fixed to the TPM, made in it, ECDSA over P-256
/// with SHA-256. That it is in the TPM of an endorsement key, an activated credential alone shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestationKey {
    digest: Digest,
    key: Jwk,
}

impl AttestationKey {
    /// Reads a `TPM2B_PUBLIC`.
    pub fn parse(bytes: &[u8], verifier: &dyn SignatureVerifier) -> Result<Self, TpmKeyError> {
        let PublicArea { public, digest } = PublicArea::parse(bytes)?;
        let attributes = public.object_attributes.bits();
        if attributes & NEEDED != NEEDED || attributes & !ALLOWED != 0 {
            return Err(TpmKeyError::Attributes(attributes));
        }
        let (TpmuPublicParms::Ecc(parameters), TpmuPublicId::Ecc(point)) =
            (&public.parameters, &public.unique)
        else {
            return Err(TpmKeyError::Algorithm);
        };
        let sha256 = |hash: TpmiAlgHash| hash == TpmAlgId::Sha256;
        let fits = parameters.symmetric.algorithm == TpmAlgId::Null
            && parameters.scheme.scheme == TpmAlgId::Ecdsa
            && matches!(parameters.scheme.details, TpmuAsymScheme::Hash(one) if sha256(one.hash_alg))
            && parameters.curve_id == TpmEccCurve::NistP256
            && parameters.kdf.scheme == TpmAlgId::Null;
        let coordinates = (point.x.as_ref().try_into(), point.y.as_ref().try_into());
        let (true, (Ok(x), Ok(y))) = (fits, coordinates) else {
            return Err(TpmKeyError::Algorithm);
        };
        let key = Jwk::p256(x, y);
        match verifier.is_valid_key(&key) {
            true => Ok(Self { digest, key }),
            false => Err(TpmKeyError::Key),
        }
    }

    /// The digest in its name.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its TPM name, which a credential is made for.
    pub fn name(&self) -> [u8; 34] {
        name_of(self.digest)
    }

    /// The key.
    pub const fn jwk(&self) -> &Jwk {
        &self.key
    }
}
