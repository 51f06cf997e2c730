//! An entry as it stands in a log.

use chancery_types::limits::MAX_LOG_ENTRY_BYTES;
use chancery_types::{
    CanonicalError, Digest, StrictJsonError, Timestamp, parse_strict, to_canonical,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::EventBody;
use crate::{Event, Label};

const VERSION: u64 = 1;

/// One entry: the canonical JSON object `{"at", "body", "origin", "type", "v"}`, at most 65,535
/// bytes. What is read is exactly what would be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The origin of the log that it stands in.
    pub origin: Label,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// Why bytes are not an entry, or an event has no entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Longer than any entry of a log.
    #[error("the entry is longer than {MAX_LOG_ENTRY_BYTES} bytes")]
    TooLong,
    /// Not strict JSON.
    #[error("the entry is not strict JSON")]
    Json(#[source] StrictJsonError),
    /// Another version of the format.
    #[error("the entry is of version {0}, known is 1")]
    Version(u64),
    /// A type that is not registered.
    #[error("the entry is of the unknown type {0:?}")]
    UnknownType(Label),
    /// Members that the type does not have, or not with these values.
    #[error("the entry does not have the members of its type")]
    Shape(#[source] serde_json::Error),
    /// Another spelling of the entry.
    #[error("the entry is not in canonical form")]
    NotCanonical,
    /// The event holds what has no canonical form.
    #[error("the event has no canonical form")]
    Canonical(#[source] CanonicalError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    v: u64,
    r#type: Label,
    origin: Label,
    at: Timestamp,
    body: Value,
}

#[derive(Serialize)]
struct Write<'a> {
    v: u64,
    r#type: &'a str,
    origin: &'a Label,
    at: Timestamp,
    body: EventBody<'a>,
}

impl Entry {
    /// Reads an entry. Refuses every spelling but the canonical one.
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_LOG_ENTRY_BYTES {
            return Err(EntryError::TooLong);
        }
        let value = parse_strict(bytes).map_err(EntryError::Json)?;
        let envelope: Read = serde_json::from_value(value).map_err(EntryError::Shape)?;
        if envelope.v != VERSION {
            return Err(EntryError::Version(envelope.v));
        }
        let event = match Event::from_value(envelope.r#type.as_str(), envelope.body) {
            None => return Err(EntryError::UnknownType(envelope.r#type)),
            Some(event) => event.map_err(EntryError::Shape)?,
        };
        let entry = Self {
            origin: envelope.origin,
            at: envelope.at,
            event,
        };
        if entry.to_bytes()? != bytes {
            return Err(EntryError::NotCanonical);
        }
        Ok(entry)
    }

    /// The bytes that are logged.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let envelope = Write {
            v: VERSION,
            r#type: self.event.type_name(),
            origin: &self.origin,
            at: self.at,
            body: self.event.as_body(),
        };
        let bytes = to_canonical(&envelope).map_err(EntryError::Canonical)?;
        if bytes.len() > MAX_LOG_ENTRY_BYTES {
            return Err(EntryError::TooLong);
        }
        Ok(bytes)
    }
}

/// The leaf hash of an entry's bytes (RFC 6962 section 2.1).
pub fn leaf_hash(bytes: &[u8]) -> Digest {
    Digest::of_parts([&[0][..], bytes])
}
