use chancery_types::{Digest, parse_strict};
use serde_json::{Value, json};

/// Largest client data that is read.
const MAX_BYTES: usize = 4_096;

const ASSERTION: &str = "webauthn.get";
const REGISTRATION: &str = "webauthn.create";

/// The client data of an assertion or a registration (WebAuthn Level 3, section 5.8.1), read strictly. Members that
/// later versions add are ignored, as the specification asks; the ones that decide are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientData {
    /// `challenge`.
    pub challenge: Digest,
    /// `origin`.
    pub origin: String,
}

/// Why client data is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientDataError {
    /// Not a strict JSON object with the members that client data has.
    #[error("client data is malformed")]
    Malformed,
    /// `type` is that of another ceremony.
    #[error("client data is of another ceremony")]
    Type,
    /// Made inside of a frame of another origin.
    #[error("client data is of a cross-origin frame")]
    CrossOrigin,
}

impl ClientData {
    /// Reads the bytes that the authenticator's signature over an assertion covers.
    pub fn parse(bytes: &[u8]) -> Result<Self, ClientDataError> {
        Self::of(ASSERTION, bytes)
    }

    /// Reads the client data of a registration.
    pub fn parse_registration(bytes: &[u8]) -> Result<Self, ClientDataError> {
        Self::of(REGISTRATION, bytes)
    }

    fn of(ceremony: &str, bytes: &[u8]) -> Result<Self, ClientDataError> {
        if bytes.len() > MAX_BYTES {
            return Err(ClientDataError::Malformed);
        }
        let Ok(Value::Object(members)) = parse_strict(bytes) else {
            return Err(ClientDataError::Malformed);
        };
        let text = |name: &str| {
            let value = members.get(name).and_then(Value::as_str);
            value.ok_or(ClientDataError::Malformed)
        };
        if text("type")? != ceremony {
            return Err(ClientDataError::Type);
        }
        match members.get("crossOrigin") {
            None | Some(Value::Bool(false)) if !members.contains_key("topOrigin") => {}
            None | Some(Value::Bool(_)) => return Err(ClientDataError::CrossOrigin),
            Some(_) => return Err(ClientDataError::Malformed),
        }
        let challenge = text("challenge")?;
        Ok(Self {
            challenge: Digest::from_base64url(challenge).map_err(|_| ClientDataError::Malformed)?,
            origin: text("origin")?.to_owned(),
        })
    }
}

/// The client data that a browser would make for an assertion.
pub fn make_client_data(challenge: &Digest, origin: &str) -> Vec<u8> {
    let members = json!({
        "type": ASSERTION,
        "challenge": challenge.to_base64url(),
        "origin": origin,
        "crossOrigin": false,
    });
    members.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_writing() {
        let challenge = Digest::of("statement");
        let data = ClientData::parse(&make_client_data(&challenge, "https://a.example")).unwrap();
        assert_eq!(
            (data.challenge, &*data.origin),
            (challenge, "https://a.example")
        );
    }

    #[test]
    fn refuses_other_ceremonies_and_spellings() {
        let challenge = Digest::of("statement").to_base64url();
        let good = format!(
            r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://a.example"}}"#
        );
        assert!(ClientData::parse(good.as_bytes()).is_ok());
        assert_eq!(
            ClientData::parse_registration(good.as_bytes()),
            Err(ClientDataError::Type)
        );
        let created = good.replace("webauthn.get", "webauthn.create");
        assert!(ClientData::parse_registration(created.as_bytes()).is_ok());
        let extended = good.replace("\"origin\"", "\"later\":1,\"origin\"");
        assert!(ClientData::parse(extended.as_bytes()).is_ok());
        for (from, to, error) in [
            ("webauthn.get", "webauthn.create", ClientDataError::Type),
            ("webauthn.get", "payment.get", ClientDataError::Type),
            ("}", r#","crossOrigin":true}"#, ClientDataError::CrossOrigin),
            (
                "}",
                r#","topOrigin":"https://b.example"}"#,
                ClientDataError::CrossOrigin,
            ),
            (
                "}",
                r#","crossOrigin":false,"topOrigin":"https://b.example"}"#,
                ClientDataError::CrossOrigin,
            ),
            (
                "}",
                r#","crossOrigin":"false"}"#,
                ClientDataError::Malformed,
            ),
            (
                "}",
                r#","origin":"https://b.example"}"#,
                ClientDataError::Malformed,
            ),
            ("\"origin\"", "\"Origin\"", ClientDataError::Malformed),
            (&challenge, "AA", ClientDataError::Malformed),
            (
                &challenge,
                &format!("{challenge}="),
                ClientDataError::Malformed,
            ),
            ("}", "} ]", ClientDataError::Malformed),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_eq!(ClientData::parse(bad.as_bytes()), Err(error), "{bad}");
        }
        let long = good.replace("https://a.example", &"a".repeat(MAX_BYTES));
        assert_eq!(
            ClientData::parse(long.as_bytes()),
            Err(ClientDataError::Malformed)
        );
    }
}
