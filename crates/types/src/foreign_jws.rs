//! Compact JWS in the profiles of others (RFC 7515 section 3.1): what stands in the header is for
//! the profile to judge, what is signed is for the signature.

use serde_json::{Map, Value};

use crate::jws::JwsError;
use crate::limits::MAX_JWS_BYTES;
use crate::{
    SignatureVerifier, SvidAlgorithm, SvidKey, base64url, parse_strict, parse_strict_with_floats,
};

/// A compact JWS that is well-formed and not yet verified: three parts of canonical base64url, the
/// first of them a strict JSON object. The JSON serialisation has no such form and is refused.
#[derive(Debug, Clone)]
pub struct ForeignJws<'a> {
    header: Map<String, Value>,
    payload: Vec<u8>,
    input: &'a str,
    signature: Vec<u8>,
}

impl<'a> ForeignJws<'a> {
    /// Splits a token and reads its header, without verifying anything.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        if token.len() > MAX_JWS_BYTES {
            return Err(JwsError::TooLong);
        }
        let (input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = input.split_once('.').ok_or(JwsError::Malformed)?;
        let decode = |part| base64url::decode(part).map_err(|_| JwsError::Malformed);
        let Ok(Value::Object(header)) = parse_strict(&decode(header)?) else {
            return Err(JwsError::Malformed);
        };
        Ok(Self {
            header,
            payload: decode(payload)?,
            input,
            signature: decode(signature)?,
        })
    }

    /// The members of the header.
    pub const fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// The header's algorithm, where it is one of SVIDs.
    pub fn algorithm(&self) -> Result<SvidAlgorithm, JwsError> {
        let name = self.header.get("alg").and_then(Value::as_str);
        name.and_then(SvidAlgorithm::from_name)
            .ok_or(JwsError::AlgorithmNotAllowed)
    }

    /// The payload: a JSON object without repeated names; it may hold floats.
    pub fn claims(&self) -> Result<Map<String, Value>, JwsError> {
        match parse_strict_with_floats(&self.payload) {
            Ok(Value::Object(claims)) => Ok(claims),
            _ => Err(JwsError::Malformed),
        }
    }

    /// Whether `key` signed this token with the algorithm that the header names.
    pub fn verify(&self, key: &SvidKey, verifier: &dyn SignatureVerifier) -> bool {
        self.algorithm().is_ok_and(|algorithm| {
            verifier.verify_svid(algorithm, key, self.input.as_bytes(), &self.signature)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let encode = |text: &str| base64url::encode(text);
        format!("{}.{}.AA", encode(header), encode(payload))
    }

    #[test]
    fn keeps_the_header_as_it_stands() {
        let token = token(r#"{"alg":"RS256","x":{"y":[1]}}"#, r#"{"a":1.5}"#);
        let jws = ForeignJws::parse(&token).unwrap();
        assert_eq!(jws.header().len(), 2);
        assert_eq!(jws.algorithm(), Ok(SvidAlgorithm::Rs256));
        assert_eq!(jws.claims().unwrap()["a"], 1.5);
    }

    #[test]
    fn refuses_what_is_no_compact_jws() {
        for (header, payload) in [
            ("[]", "{}"),
            ("", "{}"),
            (r#"{"alg":"ES256","alg":"none"}"#, "{}"),
            (r#"{"alg":1.5}"#, "{}"),
        ] {
            let token = token(header, payload);
            assert_eq!(
                ForeignJws::parse(&token).map(|_| ()),
                Err(JwsError::Malformed),
                "{header}"
            );
        }
        for payload in ["[]", "", "{}x", r#"{"a":1,"a":1}"#, "\"a\""] {
            let token = token(r#"{"alg":"ES256"}"#, payload);
            let jws = ForeignJws::parse(&token).unwrap();
            assert_eq!(jws.claims(), Err(JwsError::Malformed), "{payload}");
        }
        let json = r#"{"payload":"e30","signatures":[{"protected":"e30","signature":"AA"}]}"#;
        for bad in [
            "",
            "a",
            "a.b",
            "..",
            json,
            "e30.e30.AA.AA",
            "e30.e30.AB",
            " e30.e30.AA",
        ] {
            let refused = ForeignJws::parse(bad).map(|_| ());
            assert_eq!(refused, Err(JwsError::Malformed), "{bad:?}");
        }
        let long = "a".repeat(MAX_JWS_BYTES + 1);
        assert_eq!(ForeignJws::parse(&long).map(|_| ()), Err(JwsError::TooLong));
        for alg in [
            r#"{}"#,
            r#"{"alg":null}"#,
            r#"{"alg":"none"}"#,
            r#"{"alg":["ES256"]}"#,
        ] {
            let token = token(alg, "{}");
            let jws = ForeignJws::parse(&token).unwrap();
            assert_eq!(jws.algorithm(), Err(JwsError::AlgorithmNotAllowed), "{alg}");
        }
    }
}
