use chancery_types::{Digest, SignatureVerifier};
use tpm2_protocol::TpmUnmarshal as _;
use tpm2_protocol::data::{TpmAlgId, TpmsAttest, TpmtSignature, TpmuAttest, TpmuSignature};

use super::{AttestationKey, EndorsementKey, PcrSelection, PcrValues, TpmEvidence};

/// Most bytes of what a quote says, and of its signature.
const MAX_BYTES: usize = 1_024;

/// What a TPM signed, and what it is said to be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedQuote {
    /// `TPMS_ATTEST`, the bytes that are signed.
    pub attested: Vec<u8>,
    /// `TPMT_SIGNATURE`.
    pub signature: Vec<u8>,
    /// The values of the registers.
    pub pcrs: PcrValues,
}

/// A quote that its attestation key signed, over just the registers and data that were asked for; only
/// [`verify_quote`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedQuote {
    attestation_key: Digest,
    pcrs: PcrValues,
    resets: u32,
}

/// Why a quote is refused. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// Not one `TPMS_ATTEST` that a TPM made, or not one `TPMT_SIGNATURE`.
    #[error("not a quote of a tpm")]
    Malformed,
    /// Something else than a quote was attested.
    #[error("what the tpm attests is not a quote")]
    NotAQuote,
    /// The signature is of another scheme or hash than the key's.
    #[error("the quote is not signed by ecdsa with sha-256")]
    Algorithm,
    /// The signature is not the key's.
    #[error("the quote has a bad signature")]
    BadSignature,
    /// The qualifying data is of another challenge, connection or key.
    #[error("the quote is bound to something else")]
    WrongBinding,
    /// Other registers were quoted than were asked for.
    #[error("the quote is over other registers")]
    WrongSelection,
    /// The values that were shown are not those that were quoted.
    #[error("the registers that were shown are not the quoted ones")]
    WrongValues,
}

/// Verifies that the attestation key signed a quote over the selected registers, bound to
/// `qualifying`.
pub fn verify_quote(
    quote: &SignedQuote,
    key: &AttestationKey,
    selection: &PcrSelection,
    qualifying: Digest,
    verifier: &dyn SignatureVerifier,
) -> Result<VerifiedQuote, QuoteError> {
    // The signature first: nothing that the TPM did not sign is looked into further than its shape.
    let signature = read_signature(&quote.signature)?;
    let attest = read_attest(&quote.attested)?;
    if !verifier.verify(key.jwk(), &quote.attested, &signature) {
        return Err(QuoteError::BadSignature);
    }
    let TpmuAttest::Quote(quoted) = &attest.attested else {
        return Err(QuoteError::NotAQuote);
    };
    let bound: Result<[u8; 32], _> = attest.extra_data.as_ref().try_into();
    let bound = bound.map_err(|_| QuoteError::WrongBinding)?;
    if !Digest::from_bytes(bound).ct_eq(&qualifying) {
        return Err(QuoteError::WrongBinding);
    }
    if selection.to_tpm().as_ref() != Some(&quoted.pcr_select) || !quote.pcrs.is_of(selection) {
        return Err(QuoteError::WrongSelection);
    }
    if quoted.pcr_digest.as_ref() != quote.pcrs.digest().as_bytes() {
        return Err(QuoteError::WrongValues);
    }
    Ok(VerifiedQuote {
        attestation_key: key.digest(),
        pcrs: quote.pcrs.clone(),
        resets: attest.clock_info.reset_count.value(),
    })
}

impl VerifiedQuote {
    /// The values of the registers.
    pub const fn pcrs(&self) -> &PcrValues {
        &self.pcrs
    }

    /// What it is evidence of, once a credential was activated for both keys.
    pub fn evidence(self, endorsement: &EndorsementKey) -> TpmEvidence {
        TpmEvidence {
            endorsement_key: endorsement.digest(),
            attestation_key: self.attestation_key,
            pcrs: self.pcrs,
            resets: self.resets,
        }
    }
}

/// The magic number stands in `TPMS_ATTEST`, and a restricted key signs nothing that begins with it
/// but what the TPM made.
fn read_attest(bytes: &[u8]) -> Result<TpmsAttest, QuoteError> {
    match TpmsAttest::unmarshal(bytes) {
        Ok((attest, [])) if bytes.len() <= MAX_BYTES => Ok(attest),
        _ => Err(QuoteError::Malformed),
    }
}

/// Both halves of an ECDSA signature, each of 32 bytes.
fn read_signature(bytes: &[u8]) -> Result<[u8; 64], QuoteError> {
    let signature = match TpmtSignature::unmarshal(bytes) {
        Ok((signature, [])) if bytes.len() <= MAX_BYTES => signature,
        _ => return Err(QuoteError::Malformed),
    };
    let TpmuSignature::Ecdsa(halves) = signature.signature else {
        return Err(QuoteError::Algorithm);
    };
    if signature.sig_alg != TpmAlgId::Ecdsa || halves.hash != TpmAlgId::Sha256 {
        return Err(QuoteError::Algorithm);
    }
    let (r, s) = (halves.signature_r.as_ref(), halves.signature_s.as_ref());
    let mut both = [0; 64];
    for (half, place) in [(r, 0), (s, 32)] {
        // A half that begins with zeros may be shorter.
        let start = 32_usize.checked_sub(half.len());
        let start = start.ok_or(QuoteError::Malformed)?;
        let there = both.get_mut(place + start..place + 32);
        let there = there.ok_or(QuoteError::Malformed)?;
        there.copy_from_slice(half);
    }
    Ok(both)
}
