use chancery_types::limits::MAX_REVOCATIONS;
use chancery_types::{CanonicalError, Digest, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

use super::refusal::PresentationRefusal;
use crate::snapshot::SignedSnapshot;

/// Most bytes of a presentation that is read: a snapshot with as many revocations as there may be,
/// none of them longer than 300 bytes, and everything else.
pub const MAX_PRESENTATION_BYTES: usize = MAX_REVOCATIONS * 300 + 524_288;

const TAG: &[u8] = b"chancery/presentation/v1\0";

/// A presentation as it is handed over: canonical JSON, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presentation {
    /// The format.
    pub format: PresentationFormat,
    /// What is presented.
    pub parts: Parts,
    /// The holder's signature over the parts and a challenge: a compact JWS.
    pub holder: String,
}

/// The one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PresentationFormat {
    /// Version 1.
    #[serde(rename = "chancery/presentation/v1")]
    V1,
}

/// What is presented. Bytes are base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// The workload identity token: which instance holds the key. Signed by a token authority.
    pub credential: String,
    /// The evidence of what the instance's process is, as it was attested.
    pub evidence: String,
    /// The entry of the server's log that enrolled the token, with the evidence's digest.
    pub issued: Enrolled,
    /// The agent's manifest. Signed by a manifest issuer.
    pub manifest: String,
    /// The delegation chain, root first. The root is signed by a delegation authority, each link by the
    /// holder of the one above it.
    pub chain: Vec<String>,
    /// The person's consent that the root names. Signed by the person.
    pub consent: String,
    /// The entry of the server's log that enrolled the root.
    pub rooted: Enrolled,
    /// Which policy and epoch are in force, and what is revoked. Signed by a snapshot signer.
    pub snapshot: SignedSnapshot,
    /// The entry of the gateway's log that opened the session.
    pub opened: Enrolled,
    /// The entry of the gateway's log by which the instance joined it.
    pub joined: Enrolled,
    /// The checkpoints that all entries are under.
    pub checkpoints: Checkpoints,
}

/// An entry and its place under a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolled {
    /// The entry's bytes.
    pub entry: String,
    /// Its index in the log.
    pub index: u64,
    /// The hashes from the entry's sibling to the root's child, base64.
    pub path: Vec<String>,
}

/// Two signed notes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoints {
    /// Of the server's log.
    pub server: String,
    /// Of the gateway's log.
    pub gateway: String,
}

impl Presentation {
    /// Reads a presentation; every other spelling of one is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, PresentationRefusal> {
        if bytes.len() > MAX_PRESENTATION_BYTES {
            return Err(PresentationRefusal::TooLong);
        }
        let value = parse_strict(bytes).map_err(|_| PresentationRefusal::Malformed)?;
        let presentation: Self =
            serde_json::from_value(value).map_err(|_| PresentationRefusal::Malformed)?;
        if presentation.to_bytes().ok().as_deref() != Some(bytes) {
            return Err(PresentationRefusal::Malformed);
        }
        Ok(presentation)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical(self)
    }
}

impl Parts {
    /// What the holder signs of the parts: SHA-256 over a tag, a zero byte and their canonical form.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of_parts([TAG, &to_canonical(self)?]))
    }
}
