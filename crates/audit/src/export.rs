//! What others read of a log: its entries as OCSF events and as OpenTelemetry log records.
//!
//! Values that stand in clear in an entry (`clear` of a call, what another program recorded) are left out of both; digests and
//! commitments stay. Both formats are under development: each record names the version that it
//! was made for.

mod ocsf;
mod otlp;

use chancery_types::Digest;
use serde_json::Value;

use crate::{Entry, EntryError, Event, leaf_hash};

pub use ocsf::{OCSF_VERSION, ocsf};
pub use otlp::{SEMANTIC_CONVENTIONS, otlp};

/// An entry at its place in a log.
#[derive(Debug, Clone)]
pub struct LoggedEntry<'a> {
    index: u64,
    bytes: &'a [u8],
    leaf: Digest,
    entry: Entry,
    /// The body without the values that stand in clear.
    body: Value,
    proof: Option<&'a str>,
}

impl<'a> LoggedEntry<'a> {
    /// The entry of these bytes, at that index.
    pub fn parse(index: u64, bytes: &'a [u8]) -> Result<Self, EntryError> {
        let entry = Entry::parse(bytes)?;
        let mut body = entry.event.to_value().map_err(EntryError::Shape)?;
        if let Some(request) = body.get_mut("request").and_then(Value::as_object_mut) {
            request.remove("clear");
        }
        if let (Event::ProducerEntry(_), Some(members)) = (&entry.event, body.as_object_mut()) {
            members.remove("content");
        }
        Ok(Self {
            index,
            bytes,
            leaf: leaf_hash(bytes),
            entry,
            body,
            proof: None,
        })
    }

    /// With the proof that it is in its log, a `tlog-proof` file.
    #[must_use]
    pub const fn with_proof(mut self, proof: &'a str) -> Self {
        self.proof = Some(proof);
        self
    }

    fn kind(&self) -> &'static str {
        self.entry.event.type_name()
    }

    /// A member of the body, or of an object in it, that is a text.
    fn text(&self, path: &[&str]) -> Option<&str> {
        let found = path
            .iter()
            .try_fold(&self.body, |value, name| value.get(name));
        found.and_then(Value::as_str)
    }

    fn integer(&self, name: &str) -> Option<u64> {
        self.body.get(name).and_then(Value::as_u64)
    }

    /// The SPIFFE ID of the instance, or of who holds what was delegated.
    fn instance(&self) -> Option<&str> {
        self.text(&["instance"])
            .or_else(|| self.text(&["delegate"]))
    }

    /// The agent that it is a run of.
    fn agent(&self) -> Option<&str> {
        let named = self.text(&["agent"]);
        named.or_else(|| Some(self.instance()?.split_once("/instance/")?.0))
    }

    /// Whether something was refused.
    fn is_refusal(&self) -> bool {
        self.kind() == "session.refuse" || self.text(&["outcome"]) == Some("deny")
    }

    /// What policy said, where that was not enforced.
    fn unenforced(&self) -> Option<&str> {
        self.text(&["unenforced", "outcome"])
    }

    /// Whether authority was withdrawn.
    fn is_withdrawal(&self) -> bool {
        matches!(self.kind(), "revocation.add" | "epoch.raise")
    }
}
