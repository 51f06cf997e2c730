//! Canonical JSON: RFC 8785, in a narrow profile for our own documents and in full for foreign
//! arguments.

use std::cmp::Ordering;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::limits::MAX_SAFE_INTEGER;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// The value could not be turned into JSON.
    #[error("value is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// Our own documents hold integers only.
    #[error("a floating point number in one of our documents")]
    Float,
    /// Our own documents leave a member out instead of writing null.
    #[error("a null in one of our documents")]
    Null,
    /// An integer outside of what every JSON reader represents exactly.
    #[error("an integer outside of -(2^53-1) to 2^53-1")]
    UnsafeInteger,
    /// Nesting beyond [`crate::limits::MAX_JSON_DEPTH`].
    #[error("nested too deeply")]
    TooDeep,
}

/// The canonical bytes of one of our own documents (decision 15): RFC 8785, integers only within
/// the range that every reader represents exactly, no nulls. Members that are `None` must be
/// skipped by the type.
pub fn to_canonical<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(CanonicalError::NotJson)?;
    check(&value, 0)?;
    serde_json::to_vec(&InOrder(&value)).map_err(CanonicalError::NotJson)
}

/// The RFC 8785 bytes of any JSON value, floats included. Used for what others wrote, such as the
/// arguments of a tool call.
pub fn to_jcs(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    serde_json_canonicalizer::to_vec(value).map_err(CanonicalError::NotJson)
}

/// Whether `bytes` are exactly the canonical form of the document that they hold.
pub fn is_canonical(bytes: &[u8]) -> bool {
    crate::parse_strict(bytes)
        .ok()
        .and_then(|value| to_canonical(&value).ok())
        .is_some_and(|again| again == bytes)
}

fn check(value: &Value, depth: usize) -> Result<(), CanonicalError> {
    if depth > crate::limits::MAX_JSON_DEPTH {
        return Err(CanonicalError::TooDeep);
    }
    match value {
        Value::Null => Err(CanonicalError::Null),
        Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if integer.unsigned_abs() <= MAX_SAFE_INTEGER => Ok(()),
            Some(_) => Err(CanonicalError::UnsafeInteger),
            None if number.is_u64() => Err(CanonicalError::UnsafeInteger),
            None => Err(CanonicalError::Float),
        },
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth + 1)),
        Value::Object(members) => members.values().try_for_each(|item| check(item, depth + 1)),
    }
}

/// A document of ours that was checked. The order of its members (RFC 8785 section 3.2.3) is all that its
/// canonical form asks beside what `serde_json` writes: the same escapes in strings, no white space, and plain
/// digits of integers, which in that range are what a double is written as. Every entry of a log is written so,
/// and the formatter that also writes floating point numbers takes several times as long.
struct InOrder<'a>(&'a Value);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_unstable_by(|(one, _), (other, _)| by_utf16(one, other));
                let members = members.into_iter();
                serializer.collect_map(members.map(|(name, value)| (name, InOrder(value))))
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(InOrder)),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => serializer.serialize_i64(integer),
                None => number.serialize(serializer),
            },
            other => other.serialize(serializer),
        }
    }
}

/// By UTF-16 code units. Of texts in ASCII that is the order of their bytes.
fn by_utf16(one: &str, other: &str) -> Ordering {
    match one.is_ascii() && other.is_ascii() {
        true => one.cmp(other),
        false => one.encode_utf16().cmp(other.encode_utf16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Of what our documents may hold both ways write the same.
    #[test]
    fn our_documents_are_written_as_any_json_is() {
        let every_character: String = (0..=0x2_ffff).filter_map(char::from_u32).collect();
        let most = MAX_SAFE_INTEGER;
        let numbers = json!([
            0,
            -1,
            10,
            1_000_000_007,
            most,
            -i64::try_from(most).unwrap()
        ]);
        for value in [
            json!(every_character),
            numbers,
            json!(true),
            json!({}),
            json!([]),
            json!([[], {}, {"a": [{"b": {}}]}]),
            // Neither in the order of bytes nor in that of characters.
            json!({"\u{fb33}": 1, "\u{1f600}": 2, "\u{ffff}": 3, "z": 4, "\u{80}": 5, "": 6}),
            json!({"b": {"d": 1, "c": 2}, "a": "\u{7f}", "B": "\"", "ab": "\\", "a\n": "/"}),
            json!({"\"": 1, "\\": 2, "\u{1}": 3, "\t": 4, "!": 5, "\r": 6}),
        ] {
            let canonical = to_canonical(&value).unwrap();
            assert_eq!(
                String::from_utf8(canonical).unwrap(),
                String::from_utf8(to_jcs(&value).unwrap()).unwrap()
            );
        }
        let named = every_character
            .chars()
            .map(|one| (one.to_string(), json!(1)));
        let named: Value = named.step_by(7).collect::<serde_json::Map<_, _>>().into();
        assert_eq!(to_canonical(&named).unwrap(), to_jcs(&named).unwrap());
    }

    #[test]
    fn sorts_by_utf16_and_keeps_integers() {
        let bytes = to_canonical(&json!({"b": 1, "a": [true, "é"], "\u{1f600}": 2, "\u{fb33}": 3}));
        assert_eq!(
            String::from_utf8(bytes.unwrap()).unwrap(),
            "{\"a\":[true,\"é\"],\"b\":1,\"\u{1f600}\":2,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn refuses_what_our_documents_never_hold() {
        assert!(matches!(
            to_canonical(&json!({"a": 1.5})),
            Err(CanonicalError::Float)
        ));
        assert!(matches!(
            to_canonical(&json!({"a": null})),
            Err(CanonicalError::Null)
        ));
        assert!(matches!(
            to_canonical(&json!({"a": 9_007_199_254_740_992_i64})),
            Err(CanonicalError::UnsafeInteger)
        ));
    }

    #[test]
    fn canonical_bytes_are_recognised() {
        assert!(is_canonical(b"{\"a\":1,\"b\":2}"));
        assert!(!is_canonical(b"{\"b\":2,\"a\":1}"));
        assert!(!is_canonical(b"{\"a\": 1}"));
        assert!(!is_canonical(b"{\"a\":1}\n"));
    }
}
