//! What a TPM 2.0 shows of itself: its endorsement key, an attestation key that lives in it, and a
//! quote over its platform configuration registers (PCR).
//!
//! The wire is `tpm2-protocol`'s; what is accepted of it is narrower, and said by each type. Read: TPM
//! 2.0 Library 1.59, parts 1 and 2, and the TCG EK Credential Profile 2.5.

mod attestation_key;
mod credential;
mod endorsement_key;
mod evidence;
mod pcrs;
mod public_area;
mod quote;

pub use attestation_key::AttestationKey;
pub use credential::{Credential, CredentialError, SECRET_BYTES, make_credential};
pub use endorsement_key::EndorsementKey;
pub use evidence::TpmEvidence;
pub use pcrs::{PcrError, PcrSelection, PcrValues};
pub use public_area::TpmKeyError;
pub use quote::{QuoteError, SignedQuote, VerifiedQuote, verify_quote};

#[cfg(test)]
mod tests;
