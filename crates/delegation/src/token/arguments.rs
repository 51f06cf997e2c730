use chancery_types::limits::MAX_SAFE_INTEGER;
use chancery_types::{parse_strict_with_floats, to_jcs};
use serde_json::{Map, Value};

use crate::Reason;

/// The arguments of a call as they are judged, digested and kept: read strictly from what arrived,
/// and read again from their RFC 8785 form, so that `5.0` and `5` are one number and a verifier that
/// has only the canonical text comes to the same decision. Returns both.
///
/// Fails with [`Reason::Malformed`] on what has several readings, and on integers beyond what every
/// reader represents exactly: RFC 8785 rounds them, so that two calls would share one digest.
pub fn read_arguments(raw: &str) -> Result<(Map<String, Value>, Vec<u8>), Reason> {
    let malformed = Reason::Malformed;
    let read = parse_strict_with_floats(raw.as_bytes()).map_err(|_| malformed)?;
    let canonical = to_jcs(&read).map_err(|_| malformed)?;
    let kept = std::str::from_utf8(&canonical).map_err(|_| malformed)?;
    if !integers_are_exact(raw) || !integers_are_exact(kept) {
        return Err(malformed);
    }
    match parse_strict_with_floats(kept.as_bytes()).map_err(|_| malformed)? {
        Value::Object(members) => Ok((members, canonical)),
        _ => Err(malformed),
    }
}

/// Looks at the text itself: a parser turns large integers into floats and does not say so.
fn integers_are_exact(json: &str) -> bool {
    let mut bytes = json.bytes().peekable();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'0'..=b'9' if !in_string => {
                let mut digits = String::from(char::from(byte));
                let mut is_integer = true;
                while let Some(next) = bytes
                    .next_if(|next| matches!(next, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
                {
                    is_integer &= next.is_ascii_digit();
                    digits.push(char::from(next));
                }
                let exact = digits
                    .parse::<u64>()
                    .is_ok_and(|value| value <= MAX_SAFE_INTEGER);
                if is_integer && !exact {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_readers_round_are_refused() {
        for bad in [
            r#"{"a":9007199254740992}"#,
            r#"{"a":-9007199254740992}"#,
            r#"{"a":[{"b":123456789012345678901234567890}]}"#,
            r#"{"a\"":1,"b":9007199254740993}"#,
            r#"{"a":18446744073709551616}"#,
            r#"{"a":1e16}"#,
            r#"{"a":9007199254740992.0}"#,
            r#"{"a":1,"a":1}"#,
            // What was digested and forwarded here is an object, and what was judged was the 7 in it.
            r#"{"a":{"$serde_json::private::RawValue":"7"}}"#,
            r#"{"$serde_json::private::RawValue":"{\"a\":7}"}"#,
            r#"{"a":{"\u0024serde_json::private::Number":"7"}}"#,
            "[]",
            "{",
        ] {
            assert_eq!(read_arguments(bad), Err(Reason::Malformed), "{bad}");
        }
        for good in [
            r#"{"a":9007199254740991,"b":-9007199254740991}"#,
            r#"{"a":"9007199254740993","9007199254740993":1}"#,
            r#"{"a":"\\","b":"\"9007199254740993"}"#,
            r#"{"a":1.5e10,"b":0.1}"#,
            "{}",
        ] {
            assert!(read_arguments(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_judged_is_what_is_kept() {
        let (judged, kept) = read_arguments(r#"{"b":5.0,"a":1e2}"#).unwrap();
        assert_eq!(kept, br#"{"a":100,"b":5}"#);
        assert_eq!(judged["b"].as_i64(), Some(5));
    }
}
