use chancery_types::{
    Algorithm, CanonicalError, Digest, Jwk, SignatureVerifier, base64url, parse_strict,
    to_canonical,
};
use serde::{Deserialize, Serialize};

use super::{AuthenticatorData, AuthenticatorDataError, ClientData, ClientDataError};

/// Largest assertion document that is read.
const MAX_BYTES: usize = 16_384;

/// Largest signature: an ECDSA signature over P-256 in DER has at most 72 bytes.
const MAX_SIGNATURE_BYTES: usize = 96;

/// An assertion as it travels and is stored: four values in base64url. Not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// The credential that made it.
    pub credential_id: String,
    /// The client data's exact bytes.
    pub client_data_json: String,
    /// The authenticator data.
    pub authenticator_data: String,
    /// The signature: ASN.1 DER for ES256, 64 bytes for Ed25519.
    pub signature: String,
}

/// A credential as the verifier knows it: from the trust document, never from the assertion.
#[derive(Debug, Clone, Copy)]
pub struct Credential<'a> {
    /// Its id, base64url.
    pub credential_id: &'a str,
    /// Its public key.
    pub key: &'a Jwk,
    /// The relying party id that it is scoped to.
    pub rp_id: &'a str,
    /// The one origin that its assertions come from.
    pub origin: &'a str,
    /// The counter of its last assertion; `None` where nobody keeps it, as offline.
    pub last_counter: Option<u32>,
}

/// Why an assertion is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Not the document, or a value that is not canonical base64url.
    #[error("assertion is malformed")]
    Malformed,
    /// Made by another credential.
    #[error("assertion is of another credential")]
    Credential,
    /// The client data does not stand.
    #[error(transparent)]
    ClientData(#[from] ClientDataError),
    /// The authenticator data does not stand.
    #[error(transparent)]
    AuthenticatorData(#[from] AuthenticatorDataError),
    /// For another statement.
    #[error("assertion is for another statement")]
    Challenge,
    /// From another origin.
    #[error("assertion is from another origin")]
    Origin,
    /// For another relying party.
    #[error("assertion is for another relying party")]
    RelyingParty,
    /// Not signed by the credential's key.
    #[error("assertion is not signed by the credential")]
    Signature,
    /// The counter did not rise: the key may have been copied.
    #[error("assertion counter did not rise")]
    Counter,
}

/// An assertion that a credential made for one statement, with its person present and verified.
/// Only [`verify_assertion`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAssertion {
    credential_id: String,
    challenge: Digest,
    counter: u32,
    backed_up: bool,
}

impl VerifiedAssertion {
    /// The credential.
    pub fn credential_id(&self) -> &str {
        &self.credential_id
    }

    /// The statement's challenge.
    pub const fn challenge(&self) -> Digest {
        self.challenge
    }

    /// The counter, to be kept where one is kept.
    pub const fn counter(&self) -> u32 {
        self.counter
    }

    /// Whether the key is copied to other devices.
    pub const fn is_backed_up(&self) -> bool {
        self.backed_up
    }
}

impl Assertion {
    /// Reads the document strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, AssertionError> {
        if bytes.len() > MAX_BYTES {
            return Err(AssertionError::Malformed);
        }
        let value = parse_strict(bytes).map_err(|_| AssertionError::Malformed)?;
        // A derived reader takes a list of the values as well.
        if !value.is_object() {
            return Err(AssertionError::Malformed);
        }
        serde_json::from_value(value).map_err(|_| AssertionError::Malformed)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical(self)
    }
}

/// Verifies that `credential` answered exactly `challenge` (WebAuthn Level 3, section 7.2).
pub fn verify_assertion(
    assertion: &Assertion,
    challenge: &Digest,
    credential: &Credential<'_>,
    verifier: &dyn SignatureVerifier,
) -> Result<VerifiedAssertion, AssertionError> {
    let require = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
    require(
        assertion.credential_id == credential.credential_id,
        AssertionError::Credential,
    )?;
    let decode = |text: &str| base64url::decode(text).map_err(|_| AssertionError::Malformed);
    let client_data_json = decode(&assertion.client_data_json)?;
    let authenticator_data = decode(&assertion.authenticator_data)?;
    let signature = decode(&assertion.signature)?;
    require(
        signature.len() <= MAX_SIGNATURE_BYTES,
        AssertionError::Malformed,
    )?;
    let client = ClientData::parse(&client_data_json)?;
    require(client.challenge.ct_eq(challenge), AssertionError::Challenge)?;
    require(client.origin == credential.origin, AssertionError::Origin)?;
    let data = AuthenticatorData::parse(&authenticator_data)?;
    require(
        data.rp_id_hash.ct_eq(&Digest::of(credential.rp_id)),
        AssertionError::RelyingParty,
    )?;
    let mut message = authenticator_data;
    message.extend(Digest::of(&client_data_json).as_bytes());
    let signed = match credential.key.algorithm() {
        Algorithm::Ed25519 => verifier.verify(credential.key, &message, &signature),
        Algorithm::Es256 => verifier.verify_es256_der(credential.key, &message, &signature),
    };
    require(signed, AssertionError::Signature)?;
    let last = credential.last_counter;
    let judged = last.filter(|last| data.counter != 0 || *last != 0);
    require(
        judged.is_none_or(|last| data.counter > last),
        AssertionError::Counter,
    )?;
    Ok(VerifiedAssertion {
        credential_id: assertion.credential_id.clone(),
        challenge: *challenge,
        counter: data.counter,
        backed_up: data.backed_up,
    })
}
