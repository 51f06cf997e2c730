use chancery_audit::Disclosure;
use chancery_delegation::handshake::{Accept, Conclusion, HandshakeRefusal, Offer};
use chancery_delegation::{ConsentArtefact, MAX_MISSION_BYTES};
use chancery_types::limits::MAX_CHAIN_BYTES;
use chancery_types::{Digest, base64url, parse_strict};
use serde_json::{Value, json};

use crate::held::Held;

/// Most bytes of one message: a chain, a consent, a mission in base64url, a disclosure, a
/// credential, and room for their names.
pub(super) const MESSAGE_BYTES: usize = 2 * MAX_CHAIN_BYTES + 2 * MAX_MISSION_BYTES + (64 << 10);

/// What the one who delegates says.
#[derive(Debug, Clone)]
pub(super) enum Said {
    Offer(Box<Offer>),
    Conclusion(Box<Concluding>),
}

/// The end of a handshake with everything that the authority is presented with later.
#[derive(Debug, Clone)]
pub(super) struct Concluding {
    pub(super) conclusion: Conclusion,
    pub(super) consent: ConsentArtefact,
    pub(super) mission: Vec<u8>,
    pub(super) principal: Disclosure,
}

impl Said {
    /// Reads a message by the name that it bears.
    pub(super) fn parse(value: Value) -> Result<Self, HandshakeRefusal> {
        if value.get("conclusion").is_some() {
            Concluding::parse(value).map(|said| Self::Conclusion(Box::new(said)))
        } else {
            Offer::parse(value).map(|said| Self::Offer(Box::new(said)))
        }
    }
}

impl Concluding {
    pub(super) fn new(conclusion: Conclusion, held: &Held) -> Self {
        Self {
            conclusion,
            consent: held.consent().clone(),
            mission: held.mission().as_bytes().to_vec(),
            principal: held.principal().clone(),
        }
    }

    pub(super) fn parse(value: Value) -> Result<Self, HandshakeRefusal> {
        let malformed = HandshakeRefusal::Malformed;
        let Value::Object(mut members) = value else {
            return Err(malformed);
        };
        let mut take = |name: &str| members.remove(name).ok_or(malformed);
        let said = Self {
            conclusion: Conclusion::parse(take("conclusion")?)?,
            consent: serde_json::from_value(take("consent")?).map_err(|_| malformed)?,
            mission: take("mission")?
                .as_str()
                .and_then(|text| base64url::decode(text).ok())
                .ok_or(malformed)?,
            principal: serde_json::from_value(take("principal")?).map_err(|_| malformed)?,
        };
        if members.is_empty() {
            Ok(said)
        } else {
            Err(malformed)
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "conclusion": self.conclusion.to_json(),
            "consent": self.consent,
            "mission": base64url::encode(&self.mission),
            "principal": self.principal,
        })
    }
}

/// What the one who takes answers.
#[derive(Debug, Clone)]
pub(super) enum Answered {
    Accept(Box<Accept>),
    Taken(Digest),
}

impl Answered {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Accept(accept) => accept.to_json(),
            Self::Taken(chain) => json!({ "taken": chain.to_base64url() }),
        }
    }

    /// The `cth` of a receipt.
    pub(super) fn taken(value: &Value) -> Option<Digest> {
        let members = value.as_object().filter(|members| members.len() == 1)?;
        Digest::from_base64url(members.get("taken")?.as_str()?).ok()
    }
}

/// Strict JSON of at most so many bytes as a message may have.
pub(super) fn read(bytes: &[u8]) -> Result<Value, HandshakeRefusal> {
    if bytes.len() > MESSAGE_BYTES {
        return Err(HandshakeRefusal::TooLong);
    }
    parse_strict(bytes).map_err(|_| HandshakeRefusal::Malformed)
}
