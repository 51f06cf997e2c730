//! Log entries, and what opens their commitments.

use chancery_audit::{Disclosure, Entry, commit};
use chancery_types::canonical::is_canonical;

/// An entry that is read is what would be written.
pub(crate) fn entry(input: &[u8]) -> bool {
    let Ok(entry) = Entry::parse(input) else {
        return false;
    };
    assert!(is_canonical(input));
    assert_eq!(entry.to_bytes().ok().as_deref(), Some(input));
    let placed = entry.event.instance_link().map(|(session, _, _)| session);
    assert!(placed.is_none() || placed == entry.event.session());
    true
}

/// A disclosure opens its own commitment and no other.
pub(crate) fn disclosure(input: &[u8]) -> bool {
    const OTHER: &str = "another value";
    let Ok(disclosure) = serde_json::from_slice::<Disclosure>(input) else {
        return false;
    };
    let (name, value) = (disclosure.name.as_str(), disclosure.value.as_str());
    let own = commit(name, &disclosure.salt, value.as_bytes());
    assert_eq!(disclosure.open(name, &own).ok(), Some(value));
    let other = commit(name, &disclosure.salt, OTHER.as_bytes());
    assert_eq!(disclosure.open(name, &other).is_ok(), value == OTHER);
    true
}
