use chancery_types::{Digest, Jwk, SignatureVerifier, base64url, parse_strict};
use serde::{Deserialize, Serialize};

use super::{AuthenticatorData, AuthenticatorDataError, ClientData, ClientDataError};

/// Largest registration document that is read.
const MAX_BYTES: usize = 16_384;

/// A registration as it travels: three values in base64url. Not verified. The attestation statement is
/// not among them: none is asked for, so nothing says what kind of authenticator holds the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The credential that was made.
    pub credential_id: String,
    /// The client data's exact bytes.
    pub client_data_json: String,
    /// The authenticator data, with the credential in it.
    pub authenticator_data: String,
}

/// Why a registration is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Not the document, or a value that is not canonical base64url.
    #[error("registration is malformed")]
    Malformed,
    /// The client data does not stand.
    #[error(transparent)]
    ClientData(#[from] ClientDataError),
    /// The authenticator data does not stand.
    #[error(transparent)]
    AuthenticatorData(#[from] AuthenticatorDataError),
    /// For another challenge.
    #[error("registration is for another challenge")]
    Challenge,
    /// From another origin.
    #[error("registration is from another origin")]
    Origin,
    /// For another relying party.
    #[error("registration is for another relying party")]
    RelyingParty,
    /// The authenticator made another credential than the document names.
    #[error("registration is of another credential")]
    Credential,
    /// The key is not a public key for ES256 or Ed25519.
    #[error("the credential's key is not an ES256 or Ed25519 key")]
    Key,
}

/// A credential that was made at one origin for one challenge, with its person present and verified.
/// Only [`verify_registration`] makes one. That its maker holds the key is shown by the first
/// assertion, not by this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRegistration {
    credential_id: String,
    key: Jwk,
    counter: u32,
    backed_up: bool,
}

impl VerifiedRegistration {
    /// The credential's id, base64url.
    pub fn credential_id(&self) -> &str {
        &self.credential_id
    }

    /// Its public key.
    pub const fn key(&self) -> &Jwk {
        &self.key
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

impl Registration {
    /// Reads the document strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, RegistrationError> {
        if bytes.len() > MAX_BYTES {
            return Err(RegistrationError::Malformed);
        }
        let value = parse_strict(bytes).map_err(|_| RegistrationError::Malformed)?;
        // A derived reader takes a list of the values as well.
        if !value.is_object() {
            return Err(RegistrationError::Malformed);
        }
        serde_json::from_value(value).map_err(|_| RegistrationError::Malformed)
    }
}

/// Verifies that a credential was made for exactly `challenge` at `origin` (WebAuthn Level 3, section
/// 7.1, with the attestation conveyance `none`).
pub fn verify_registration(
    registration: &Registration,
    challenge: &Digest,
    rp_id: &str,
    origin: &str,
    verifier: &dyn SignatureVerifier,
) -> Result<VerifiedRegistration, RegistrationError> {
    let require = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
    let decode = |text: &str| base64url::decode(text).map_err(|_| RegistrationError::Malformed);
    let client = ClientData::parse_registration(&decode(&registration.client_data_json)?)?;
    require(
        client.challenge.ct_eq(challenge),
        RegistrationError::Challenge,
    )?;
    require(client.origin == origin, RegistrationError::Origin)?;
    let authenticator_data = decode(&registration.authenticator_data)?;
    let (data, credential) = AuthenticatorData::parse_registration(&authenticator_data)?;
    require(
        data.rp_id_hash.ct_eq(&Digest::of(rp_id)),
        RegistrationError::RelyingParty,
    )?;
    require(
        credential.credential_id == registration.credential_id,
        RegistrationError::Credential,
    )?;
    let key = credential.key.filter(|key| verifier.is_valid_key(key));
    Ok(VerifiedRegistration {
        credential_id: credential.credential_id,
        key: key.ok_or(RegistrationError::Key)?,
        counter: data.counter,
        backed_up: data.backed_up,
    })
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{AwsLc, SigningKey};
    use chancery_types::Algorithm;
    use ciborium::Value;

    use super::*;

    const RP_ID: &str = "console.example";
    const ORIGIN: &str = "https://console.example";

    fn challenge() -> Digest {
        Digest::of("a challenge")
    }

    fn integer(value: i64) -> Value {
        Value::Integer(value.into())
    }

    /// The key of a credential as COSE has it.
    fn cose(key: &Jwk) -> Vec<(Value, Value)> {
        let bytes = key.to_public_bytes();
        let bytes = |from, to| Value::Bytes(bytes[from..to].to_vec());
        match key.algorithm() {
            Algorithm::Es256 => vec![
                (integer(1), integer(2)),
                (integer(3), integer(-7)),
                (integer(-1), integer(1)),
                (integer(-2), bytes(1, 33)),
                (integer(-3), bytes(33, 65)),
            ],
            Algorithm::Ed25519 => vec![
                (integer(1), integer(1)),
                (integer(3), integer(-8)),
                (integer(-1), integer(6)),
                (integer(-2), bytes(0, 32)),
            ],
        }
    }

    /// Authenticator data with the flags, for an id and whatever stands in the place of the key.
    fn data(flags: u8, id: &[u8], key: Value) -> Vec<u8> {
        let mut bytes = Digest::of(RP_ID).as_bytes().to_vec();
        bytes.push(flags);
        bytes.extend(7u32.to_be_bytes());
        bytes.extend([0; 16]);
        bytes.extend(u16::try_from(id.len()).unwrap().to_be_bytes());
        bytes.extend(id);
        ciborium::into_writer(&key, &mut bytes).unwrap();
        bytes
    }

    fn client(kind: &str, challenge: &Digest, origin: &str) -> String {
        let challenge = challenge.to_base64url();
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}"}}"#)
    }

    fn registration(client: &str, data: &[u8]) -> Registration {
        Registration {
            credential_id: base64url::encode(b"id"),
            client_data_json: base64url::encode(client),
            authenticator_data: base64url::encode(data),
        }
    }

    fn verify(registration: &Registration) -> Result<VerifiedRegistration, RegistrationError> {
        verify_registration(registration, &challenge(), RP_ID, ORIGIN, &AwsLc)
    }

    #[test]
    fn takes_keys_of_either_kind_and_reads_its_own_writing() {
        for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
            let key = *SigningKey::generate(algorithm).unwrap().public();
            let made = registration(
                &client("webauthn.create", &challenge(), ORIGIN),
                &data(0x45, b"id", Value::Map(cose(&key))),
            );
            let verified = verify(&made).unwrap();
            assert_eq!(verified.key(), &key);
            assert_eq!(verified.counter(), 7);
            assert_eq!(verified.credential_id(), made.credential_id);
            assert!(!verified.is_backed_up());
            let text = serde_json::to_vec(&made).unwrap();
            assert_eq!(Registration::parse(&text), Ok(made));
        }
    }

    #[test]
    fn refuses_what_is_said_about_something_else() {
        use RegistrationError as E;
        let key = *SigningKey::generate(Algorithm::Es256).unwrap().public();
        let good_client = client("webauthn.create", &challenge(), ORIGIN);
        let good_data = data(0x45, b"id", Value::Map(cose(&key)));
        let other_party = [Digest::of("other").as_bytes(), &good_data[32..]].concat();
        let with_more = [&good_data[..], &[0xa0]].concat();
        let long = data(0x45, &[7; 1_024], Value::Map(cose(&key)));
        let malformed = E::AuthenticatorData(AuthenticatorDataError::Malformed);
        for (client, data, error) in [
            (
                client("webauthn.get", &challenge(), ORIGIN),
                &good_data,
                E::ClientData(ClientDataError::Type),
            ),
            (
                client("webauthn.create", &Digest::of("another"), ORIGIN),
                &good_data,
                E::Challenge,
            ),
            (
                client("webauthn.create", &challenge(), "https://other.example"),
                &good_data,
                E::Origin,
            ),
            (good_client.clone(), &other_party, E::RelyingParty),
            (
                good_client.clone(),
                &data(0x45, b"other", Value::Map(cose(&key))),
                E::Credential,
            ),
            (
                good_client.clone(),
                &data(0x44, b"id", Value::Map(cose(&key))),
                E::AuthenticatorData(AuthenticatorDataError::UserNotPresent),
            ),
            (
                good_client.clone(),
                &data(0x41, b"id", Value::Map(cose(&key))),
                E::AuthenticatorData(AuthenticatorDataError::UserNotVerified),
            ),
            (
                good_client.clone(),
                &data(0x05, b"id", Value::Map(cose(&key))),
                malformed,
            ),
            (
                good_client.clone(),
                &data(0x45, b"", Value::Map(cose(&key))),
                malformed,
            ),
            (good_client.clone(), &long, malformed),
            (good_client.clone(), &with_more, malformed),
            (
                good_client.clone(),
                &data(0x45, b"id", integer(1)),
                malformed,
            ),
        ] {
            assert_eq!(verify(&registration(&client, data)), Err(error));
        }
        for length in 0..good_data.len() {
            assert!(verify(&registration(&good_client, &good_data[..length])).is_err());
        }
    }

    /// Of a key that is written as a map.
    type Members = Vec<(Value, Value)>;

    #[test]
    fn refuses_keys_of_other_kinds_and_spellings() {
        let key = *SigningKey::generate(Algorithm::Es256).unwrap().public();
        let client = client("webauthn.create", &challenge(), ORIGIN);
        let refused = |change: &dyn Fn(&mut Members)| {
            let mut members = cose(&key);
            change(&mut members);
            verify(&registration(
                &client,
                &data(0x45, b"id", Value::Map(members)),
            ))
            .unwrap_err()
        };
        let unknown = RegistrationError::Key;
        let set = |place: usize, value: Value| {
            move |members: &mut Members| members[place].1 = value.clone()
        };
        for (what, error) in [
            ("another type", refused(&set(0, integer(1)))),
            ("RS256", refused(&set(1, integer(-257)))),
            ("ES384", refused(&set(1, integer(-35)))),
            ("P-384", refused(&set(2, integer(2)))),
            (
                "a short coordinate",
                refused(&set(3, Value::Bytes(vec![1; 31]))),
            ),
            (
                "a point off the curve",
                refused(&set(3, Value::Bytes(vec![1; 32]))),
            ),
            ("a compressed point", refused(&set(4, Value::Bool(true)))),
            ("no algorithm", refused(&|members| drop(members.remove(1)))),
            ("no curve", refused(&|members| drop(members.remove(2)))),
            (
                "a private key",
                refused(&|members| members.push((integer(-4), Value::Bytes(vec![1; 32])))),
            ),
            (
                "operations",
                refused(&|members| members.push((integer(4), Value::Array(vec![integer(2)])))),
            ),
        ] {
            assert_eq!(error, unknown, "{what}");
        }
    }

    #[test]
    fn reads_one_document_alone() {
        for bad in [
            "",
            "{}",
            "[]",
            r#"["a","b","c"]"#,
            r#"{"credential_id":"a","client_data_json":"b","authenticator_data":"c","more":1}"#,
        ] {
            let read = Registration::parse(bad.as_bytes());
            assert_eq!(read, Err(RegistrationError::Malformed), "{bad}");
        }
        let long = format!(r#"{{"credential_id":"{}"}}"#, "a".repeat(MAX_BYTES));
        let read = Registration::parse(long.as_bytes());
        assert_eq!(read, Err(RegistrationError::Malformed));
    }
}
