use chancery_types::limits::MAX_SAFE_INTEGER;
use chancery_types::{parse_strict_with_floats, to_jcs};
use serde_json::{Map, Value};

use crate::Reason;

/// The arguments of a call as they are judged, digested and kept: read strictly from what arrived,
/// and read again from their RFC 8785 form, so that `5.0` and `5` are one number and a verifier that
/// has only the canonical text comes to the same decision. Returns both.
///
/// Fails with [`Reason::Malformed`] on what has several readings, and on numbers that readers of
/// doubles round: RFC 8785 rounds them, so that two calls would share one digest, and a reader of
/// decimals would be handed another number than was judged.
pub fn read_arguments(raw: &str) -> Result<(Map<String, Value>, Vec<u8>), Reason> {
    let malformed = Reason::Malformed;
    let read = parse_strict_with_floats(raw.as_bytes()).map_err(|_| malformed)?;
    let canonical = to_jcs(&read).map_err(|_| malformed)?;
    let kept = std::str::from_utf8(&canonical).map_err(|_| malformed)?;
    if !numbers_are_exact(raw) || !numbers_are_exact(kept) {
        return Err(malformed);
    }
    match parse_strict_with_floats(kept.as_bytes()).map_err(|_| malformed)? {
        Value::Object(members) => Ok((members, canonical)),
        _ => Err(malformed),
    }
}

/// Looks at the text itself: a parser rounds numbers and does not say so.
fn numbers_are_exact(json: &str) -> bool {
    let mut bytes = json.bytes().peekable();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'0'..=b'9' if !in_string => {
                let mut number = String::from(char::from(byte));
                while let Some(next) = bytes
                    .next_if(|next| matches!(next, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
                {
                    number.push(char::from(next));
                }
                if !is_exact(&number) {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

/// Whether every reader comes to the same number: of an integer, that all represent it; of any
/// other, that the shortest text of the double it is read as is the number that was written.
fn is_exact(number: &str) -> bool {
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        let value = number.parse::<u64>();
        return value.is_ok_and(|value| value <= MAX_SAFE_INTEGER);
    }
    let read = number.parse::<f64>().ok().map(|read| format!("{read:e}"));
    let read = read.as_deref().and_then(decimal);
    read.is_some() && read == decimal(number)
}

/// A number without a sign as its significant digits and the power of ten behind the last of them;
/// none of zero. None where the power has no place in memory.
fn decimal(number: &str) -> Option<(String, i64)> {
    let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let power = power
        .parse::<i64>()
        .ok()?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(i64::try_from(digits.len() - significant.len()).ok()?)?;
    let significant = significant.trim_start_matches('0').to_owned();
    let power = if significant.is_empty() { 0 } else { power };
    Some((significant, power))
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

    /// A reader of decimals is handed what was judged: within a limit of 9 no 9.0000000000000000001.
    #[test]
    fn numbers_that_readers_of_doubles_round_are_refused() {
        for bad in [
            "9.0000000000000000001",
            "-0.00000000000000000000000000000000000000000000000001e-400",
            "1e-400",
            "4.9999999999999999999",
            "0.1000000000000000055511151231257827",
            "4503599627370496.3",
            "1e400",
            "1e99999999999999999999",
        ] {
            let written = format!(r#"{{"a":[{bad}]}}"#);
            assert_eq!(read_arguments(&written), Err(Reason::Malformed), "{bad}");
        }
        for good in [
            "0.30000000000000004",
            "-0.0",
            "0e99",
            "0.50e0",
            "100.00e-2",
            "1.7976931348623157e308",
            "5e-324",
            "1.5E+3",
            "0.1",
        ] {
            let written = format!(r#"{{"a":[{good}]}}"#);
            assert!(read_arguments(&written).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_judged_is_what_is_kept() {
        let (judged, kept) = read_arguments(r#"{"b":5.0,"a":1e2}"#).unwrap();
        assert_eq!(kept, br#"{"a":100,"b":5}"#);
        assert_eq!(judged["b"].as_i64(), Some(5));
    }
}
