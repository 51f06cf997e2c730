//! Compact JWS (RFC 7515), read in one strict profile and written in one spelling.
//!
//! The header is exactly the members that a format names; the payload is strict JSON. Which key
//! verifies a token is never the token's to say: callers pass it to [`Compact::verify`].

use serde_json::{Map, Value};

use crate::limits::MAX_JWS_BYTES;
use crate::{Algorithm, Digest, Jwk, SignatureVerifier, base64url, parse_strict};

/// A compact JWS that is well-formed and not yet verified.
#[derive(Debug, Clone)]
pub struct Compact<'a> {
    /// The protected header.
    pub header: Header,
    /// The payload: a JSON object, read strictly.
    pub claims: Map<String, Value>,
    signing_input: &'a str,
    signature: Vec<u8>,
}

/// A protected header of exactly `alg`, `typ` and, where the format has it, `kid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `typ`.
    pub typ: String,
    /// `kid`.
    pub kid: Option<String>,
}

/// Why a text is not a compact JWS of our profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`MAX_JWS_BYTES`].
    #[error("token is too long")]
    TooLong,
    /// Not three parts of canonical base64url over strict JSON objects, or a header member that
    /// the profile does not know (`jwk`, `jku`, `x5u`, `crit` and the like).
    #[error("token is malformed")]
    Malformed,
    /// `alg` is not one of ours.
    #[error("token algorithm is not allowed")]
    AlgorithmNotAllowed,
}

impl<'a> Compact<'a> {
    /// Splits and reads a token without verifying anything.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        if token.len() > MAX_JWS_BYTES {
            return Err(JwsError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::Malformed)?;
        Ok(Self {
            header: Header::parse(&object(header)?)?,
            claims: object(payload)?,
            signing_input,
            signature: base64url::decode(signature).map_err(|_| JwsError::Malformed)?,
        })
    }

    /// Whether `key` signed this token with the algorithm that the header names.
    pub fn verify(&self, key: &Jwk, verifier: &dyn SignatureVerifier) -> bool {
        key.algorithm() == self.header.algorithm
            && verifier.verify(key, self.signing_input.as_bytes(), &self.signature)
    }

    /// The bytes that are signed: header and payload as they were sent.
    pub const fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// The digest of the signing input: `par_hash` of a child.
    pub fn signing_input_digest(&self) -> Digest {
        Digest::of(self.signing_input)
    }
}

impl Header {
    fn parse(members: &Map<String, Value>) -> Result<Self, JwsError> {
        if members
            .keys()
            .any(|name| !matches!(name.as_str(), "alg" | "typ" | "kid"))
        {
            return Err(JwsError::Malformed);
        }
        let text = |name: &str| {
            members
                .get(name)
                .map(|v| v.as_str().ok_or(JwsError::Malformed))
        };
        let algorithm = text("alg").ok_or(JwsError::Malformed)??;
        Ok(Self {
            algorithm: Algorithm::from_name(algorithm).ok_or(JwsError::AlgorithmNotAllowed)?,
            typ: text("typ").ok_or(JwsError::Malformed)??.to_owned(),
            kid: text("kid").transpose()?.map(str::to_owned),
        })
    }

    /// The header's JSON text, members in the order `alg`, `typ`, `kid`.
    fn to_json(&self) -> String {
        let quoted = |text: &str| Value::String(text.to_owned()).to_string();
        let kid = self
            .kid
            .as_deref()
            .map(|kid| format!(r#","kid":{}"#, quoted(kid)));
        format!(
            r#"{{"alg":"{}","typ":{}{}}}"#,
            self.algorithm,
            quoted(&self.typ),
            kid.unwrap_or_default()
        )
    }
}

/// The signing input of a token to be made: sign it and append `.` and the base64url signature, or
/// let [`assemble`] do so.
pub fn signing_input(header: &Header, claims: &[u8]) -> String {
    format!(
        "{}.{}",
        base64url::encode(header.to_json()),
        base64url::encode(claims)
    )
}

/// The finished token.
pub fn assemble(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", base64url::encode(signature))
}

fn object(part: &str) -> Result<Map<String, Value>, JwsError> {
    let bytes = base64url::decode(part).map_err(|_| JwsError::Malformed)?;
    match parse_strict(&bytes) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(JwsError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!(
            "{}.{}.AA",
            base64url::encode(header),
            base64url::encode(payload)
        )
    }

    #[test]
    fn reads_its_own_writing() {
        let header = Header {
            algorithm: Algorithm::Es256,
            typ: "adt+jwt".into(),
            kid: Some("k\"1".into()),
        };
        let token = assemble(&signing_input(&header, b"{\"a\":1}"), b"\0");
        let parsed = Compact::parse(&token).unwrap();
        assert_eq!(parsed.header, header);
        assert_eq!(parsed.claims["a"], 1);
    }

    #[test]
    fn refuses_what_the_profile_does_not_know() {
        let good = r#"{"alg":"Ed25519","typ":"t"}"#;
        assert!(Compact::parse(&token(good, "{}")).is_ok());
        for (header, payload, error) in [
            (
                r#"{"alg":"none","typ":"t"}"#,
                "{}",
                JwsError::AlgorithmNotAllowed,
            ),
            (
                r#"{"alg":"EdDSA","typ":"t"}"#,
                "{}",
                JwsError::AlgorithmNotAllowed,
            ),
            (
                r#"{"alg":"HS256","typ":"t"}"#,
                "{}",
                JwsError::AlgorithmNotAllowed,
            ),
            (
                r#"{"alg":"Ed25519","typ":"t","jwk":{}}"#,
                "{}",
                JwsError::Malformed,
            ),
            (
                r#"{"alg":"Ed25519","typ":"t","crit":["b64"]}"#,
                "{}",
                JwsError::Malformed,
            ),
            (r#"{"alg":"Ed25519"}"#, "{}", JwsError::Malformed),
            (r#"{"alg":"Ed25519","typ":1}"#, "{}", JwsError::Malformed),
            (
                r#"{"alg":"Ed25519","alg":"ES256","typ":"t"}"#,
                "{}",
                JwsError::Malformed,
            ),
            (good, "[]", JwsError::Malformed),
            (good, r#"{"a":1,"a":1}"#, JwsError::Malformed),
        ] {
            assert_eq!(
                Compact::parse(&token(header, payload)).unwrap_err(),
                error,
                "{header}"
            );
        }
        for bad in [
            "",
            "a",
            "a.b",
            "..",
            &format!("{}.", token(good, "{}")),
            " ..",
        ] {
            assert_eq!(
                Compact::parse(bad).unwrap_err(),
                JwsError::Malformed,
                "{bad:?}"
            );
        }
        let long = "a".repeat(MAX_JWS_BYTES + 1);
        assert_eq!(Compact::parse(&long).unwrap_err(), JwsError::TooLong);
    }
}
