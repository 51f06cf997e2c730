//! The index of a session's objects.

use chancery_types::id::SessionId;
use chancery_types::{CanonicalError, Digest, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

/// Which objects a session stands on. Its digest stands in the session's end entry, so that no
/// object can be changed, added or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceIndex {
    /// The format.
    pub format: IndexFormat,
    /// The session.
    pub session: SessionId,
    /// The objects, sorted by digest, none twice.
    pub objects: Vec<Object>,
}

/// The one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexFormat {
    /// Version 1.
    #[serde(rename = "chancery/evidence/v1")]
    V1,
}

/// One object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// The digest of its bytes.
    pub digest: Digest,
    /// What it is.
    pub kind: ObjectKind,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A link of a delegation chain: a compact JWS.
    Link,
    /// The links of a chain, joined by commas.
    Chain,
    /// A person's assertion over a root's claims.
    Consent,
    /// A mission document.
    Mission,
    /// A model's opinion of a call.
    Opinion,
    /// A signed agent manifest.
    Manifest,
    /// A workload identity token.
    Wit,
    /// A proof of possession for one call.
    Proof,
    /// A proof of possession that opened or joined the session.
    SessionProof,
    /// The arguments of a call, in RFC 8785 form.
    Arguments,
    /// A policy bundle: canonical JSON of path to text.
    Policy,
    /// The tool catalog that the manifest pins: canonical JSON.
    Catalog,
    /// What a person was shown.
    Display,
    /// A person's signed answer: statement and assertion.
    Approval,
    /// The opening of a salted commitment.
    Disclosure,
}

impl ObjectKind {
    /// The word in the index.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Chain => "chain",
            Self::Consent => "consent",
            Self::Mission => "mission",
            Self::Opinion => "opinion",
            Self::Manifest => "manifest",
            Self::Wit => "wit",
            Self::Proof => "proof",
            Self::SessionProof => "session-proof",
            Self::Arguments => "arguments",
            Self::Policy => "policy",
            Self::Catalog => "catalog",
            Self::Display => "display",
            Self::Approval => "approval",
            Self::Disclosure => "disclosure",
        }
    }
}

impl EvidenceIndex {
    /// Reads an index; its bytes must be the canonical form and its objects sorted.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let index: Self = serde_json::from_value(parse_strict(bytes).ok()?).ok()?;
        let sorted = index.objects.is_sorted_by(|a, b| a.digest < b.digest);
        (sorted && index.to_bytes().ok()? == bytes).then_some(index)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical(self)
    }
}
