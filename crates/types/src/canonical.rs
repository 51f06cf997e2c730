//! Canonical JSON: RFC 8785, in a narrow profile for our own documents and in full for foreign
//! arguments.

use serde::Serialize;
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
    to_jcs(&value)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
