//! Compact JWS (RFC 7515), read in one strict profile and written in one spelling.
//!
//! The header is exactly the members that a format names; the payload is strict JSON. Which key
//! verifies a token is never the token's to say: callers pass it to [`Compact::verify`].

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::limits::MAX_JWS_BYTES;
use crate::{Algorithm, Digest, Json, Jwk, SignatureVerifier, base64url};
use crate::{parse_strict, parse_strict_borrowed};

/// A compact JWS that is well-formed and not yet verified.
#[derive(Debug, Clone)]
pub struct Compact<'a> {
    /// The protected header.
    pub header: Header,
    /// The payload: a JSON object, read strictly.
    pub claims: Map<String, Value>,
    signed: Signed<'a>,
}

/// A compact JWS whose parts are decoded and whose payload is not yet read: for readers that copy
/// nothing. What holds for [`Compact`] holds here once [`Decoded::claims`] has succeeded.
#[derive(Debug, Clone)]
pub struct Decoded<'a> {
    /// The protected header.
    pub header: Header,
    payload: Vec<u8>,
    signed: Signed<'a>,
}

/// What is signed, and the signature.
#[derive(Debug, Clone)]
struct Signed<'a> {
    input: &'a str,
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
        let decoded = Decoded::parse(token)?;
        Ok(Self {
            claims: members(&decoded.payload)?,
            header: decoded.header,
            signed: decoded.signed,
        })
    }

    /// Whether `key` signed this token with the algorithm that the header names.
    pub fn verify(&self, key: &Jwk, verifier: &dyn SignatureVerifier) -> bool {
        self.signed.verify(&self.header, key, verifier)
    }

    /// The bytes that are signed: header and payload as they were sent.
    pub const fn signing_input(&self) -> &'a str {
        self.signed.input
    }

    /// The digest of the signing input: `par_hash` of a child.
    pub fn signing_input_digest(&self) -> Digest {
        Digest::of(self.signed.input)
    }
}

impl<'a> Decoded<'a> {
    /// Splits a token, reads its header and decodes the rest, without verifying anything.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        if token.len() > MAX_JWS_BYTES {
            return Err(JwsError::TooLong);
        }
        let (input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = input.split_once('.').ok_or(JwsError::Malformed)?;
        let decode = |part| base64url::decode(part).map_err(|_| JwsError::Malformed);
        Ok(Self {
            header: Header::parse(&decode(header)?)?,
            payload: decode(payload)?,
            signed: Signed {
                input,
                signature: decode(signature)?,
            },
        })
    }

    /// The payload: a JSON object, read strictly.
    pub fn claims(&self) -> Result<Vec<(Cow<'_, str>, Json<'_>)>, JwsError> {
        match parse_strict_borrowed(&self.payload) {
            Ok(Json::Object(members)) => Ok(members),
            _ => Err(JwsError::Malformed),
        }
    }

    /// As [`Compact::verify`].
    pub fn verify(&self, key: &Jwk, verifier: &dyn SignatureVerifier) -> bool {
        self.signed.verify(&self.header, key, verifier)
    }

    /// As [`Compact::signing_input`].
    pub const fn signing_input(&self) -> &'a str {
        self.signed.input
    }
}

impl Signed<'_> {
    fn verify(&self, header: &Header, key: &Jwk, verifier: &dyn SignatureVerifier) -> bool {
        key.algorithm() == header.algorithm
            && verifier.verify(key, self.input.as_bytes(), &self.signature)
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, JwsError> {
        let Ok(Json::Object(members)) = parse_strict_borrowed(bytes) else {
            return Err(JwsError::Malformed);
        };
        let (mut alg, mut typ, mut kid) = (None, None, None);
        for (name, value) in &members {
            let member = match name.as_ref() {
                "alg" => &mut alg,
                "typ" => &mut typ,
                "kid" => &mut kid,
                _ => return Err(JwsError::Malformed),
            };
            *member = Some(value);
        }
        let text = |value: &Json<'_>| value.as_str().map(str::to_owned).ok_or(JwsError::Malformed);
        let algorithm = alg.and_then(Json::as_str).ok_or(JwsError::Malformed)?;
        Ok(Self {
            algorithm: Algorithm::from_name(algorithm).ok_or(JwsError::AlgorithmNotAllowed)?,
            typ: text(typ.ok_or(JwsError::Malformed)?)?,
            kid: kid.map(text).transpose()?,
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

fn members(bytes: &[u8]) -> Result<Map<String, Value>, JwsError> {
    match parse_strict(bytes) {
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
