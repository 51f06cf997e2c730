//! Digests, identifiers, JSON and compact JWS.

use std::fmt::Display;
use std::str::FromStr;

use chancery_types::canonical::is_canonical;
use chancery_types::id::{ExecutionId, InstanceId, SessionId};
use chancery_types::jws::{Compact, assemble, signing_input};
use chancery_types::{
    Digest, Jwk, base64url, parse_strict, parse_strict_with_floats, to_canonical, to_jcs,
};

/// What is read strictly is read the same from its canonical form.
pub(crate) fn strict_json(input: &[u8]) -> bool {
    let Ok(value) = parse_strict(input) else {
        assert!(!is_canonical(input));
        return false;
    };
    assert_eq!(parse_strict_with_floats(input).ok().as_ref(), Some(&value));
    if let Ok(canonical) = to_canonical(&value) {
        assert!(is_canonical(&canonical));
        assert_eq!(is_canonical(input), canonical == input);
        assert_eq!(parse_strict(&canonical).ok(), Some(value));
    }
    true
}

/// The canonical form of a canonical form is itself.
pub(crate) fn canonical(input: &[u8]) -> bool {
    let Ok(value) = parse_strict_with_floats(input) else {
        return false;
    };
    let Ok(canonical) = to_jcs(&value) else {
        return false;
    };
    let again = parse_strict_with_floats(&canonical);
    let again = again.ok().and_then(|value| to_jcs(&value).ok());
    assert_eq!(again, Some(canonical));
    true
}

/// A token that is read has one spelling of its signature, and its claims can be signed anew.
pub(crate) fn jws(input: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(input) else {
        return false;
    };
    let Ok(token) = Compact::parse(text) else {
        return false;
    };
    let signature = text.rsplit('.').next().unwrap_or_default();
    let signature = base64url::decode(signature).ok();
    let again = signature.map(|bytes| assemble(token.signing_input(), &bytes));
    assert_eq!(again.as_deref(), Some(text));
    if let Ok(claims) = serde_json::to_vec(&token.claims) {
        let again = assemble(&signing_input(&token.header, &claims), &[0; 64]);
        // Claims may be written longer than they were, beyond what is read.
        if let Ok(again) = Compact::parse(&again) {
            assert_eq!(again.claims, token.claims);
        }
    }
    true
}

/// Texts that are read are written the same.
pub(crate) fn words(input: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(input) else {
        return false;
    };
    let mut taken = false;
    for word in text.lines() {
        taken |= round_trips::<Digest>(word).is_some();
        taken |= round_trips::<SessionId>(word).is_some();
        taken |= round_trips::<ExecutionId>(word).is_some();
        taken |= round_trips::<InstanceId>(word).is_some();
        if let Ok(bytes) = base64url::decode(word) {
            assert_eq!(base64url::encode(bytes), word);
        }
        if let Ok(key) = serde_json::from_str::<Jwk>(word) {
            let written = serde_json::to_string(&key).unwrap_or_default();
            assert_eq!(serde_json::from_str::<Jwk>(&written).ok(), Some(key));
        }
    }
    taken
}

/// Reads a text, and asserts that what was read is written the same.
pub(crate) fn round_trips<T: FromStr + Display>(text: &str) -> Option<T> {
    let read = text.parse::<T>().ok()?;
    assert_eq!(read.to_string(), text);
    Some(read)
}
