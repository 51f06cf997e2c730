use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_audit::Label;
use chancery_types::Timestamp;
use serde_json::Value;

/// Writes the entries of one producer: the bytes that [`chancery_audit::Entry::to_bytes`] makes of a
/// `producer.entry`, put together without a tree of values.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    /// Between content and sequence.
    producer: String,
    /// Behind the sequence.
    end: String,
}

impl Envelope {
    pub(crate) fn new(origin: &Label, producer: &Label) -> Self {
        // A label has no control characters: its JSON spelling is the canonical one.
        let quoted = |label: &Label| Value::from(label.as_str()).to_string();
        Self {
            producer: format!("\",\"producer\":{},\"sequence\":", quoted(producer)),
            end: format!(
                "}},\"origin\":{},\"type\":\"producer.entry\",\"v\":1}}",
                quoted(origin)
            ),
        }
    }

    /// An entry of this producer.
    pub(crate) fn entry(&self, at: Timestamp, sequence: u64, content: &[u8]) -> Vec<u8> {
        let room = content.len().div_ceil(3) * 4 + self.producer.len() + self.end.len() + 64;
        let mut entry = String::with_capacity(room);
        entry.push_str("{\"at\":");
        entry.push_str(&at.as_micros().to_string());
        entry.push_str(",\"body\":{\"content\":\"");
        URL_SAFE_NO_PAD.encode_string(content, &mut entry);
        entry.push_str(&self.producer);
        entry.push_str(&sequence.to_string());
        entry.push_str(&self.end);
        entry.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use chancery_audit::{Content, Entry, ProducerEntry};
    use chancery_types::limits::{MAX_LOG_ENTRY_BYTES, MAX_SAFE_INTEGER};

    use super::*;

    #[test]
    fn is_the_entry_that_the_schema_says() {
        let odd = "spiffe://é\"\\/ü".to_owned() + &"x".repeat(2_000);
        for (origin, producer) in [
            ("acme.example/log/builds", "owner/ci"),
            ("a\"b\\c", odd.as_str()),
        ] {
            let (origin, producer): (Label, Label) =
                (origin.parse().unwrap(), producer.parse().unwrap());
            let envelope = Envelope::new(&origin, &producer);
            for (content, sequence) in [
                (vec![0_u8], 0),
                (vec![255; 1_024], 7),
                (vec![b'x'; Content::MAX_BYTES], MAX_SAFE_INTEGER),
            ] {
                let at = Timestamp::from_micros(1_800_000_000_000_123);
                let entry = Entry {
                    origin: origin.clone(),
                    at,
                    event: ProducerEntry {
                        producer: producer.clone(),
                        sequence,
                        content: content.clone().try_into().unwrap(),
                    }
                    .into(),
                };
                let bytes = envelope.entry(at, sequence, &content);
                assert_eq!(bytes, entry.to_bytes().unwrap());
                assert!(bytes.len() <= MAX_LOG_ENTRY_BYTES);
            }
        }
    }
}
