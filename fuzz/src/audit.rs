//! Log entries and what opens their commitments.

use chancery_audit::{Disclosure, Entry, commit};
use chancery_types::canonical::is_canonical;

/// An entry that is read is what would be written.
pub(crate) fn entry(input: &[u8]) {
    if let Ok(entry) = Entry::parse(input) {
        assert!(is_canonical(input));
        assert_eq!(entry.to_bytes().ok().as_deref(), Some(input));
        let _ = entry.event.instance_link();
        let _ = entry.event.session();
    }
}

/// A disclosure opens its own commitment and no other.
pub(crate) fn disclosure(input: &[u8]) {
    let Ok(disclosure) = serde_json::from_slice::<Disclosure>(input) else {
        return;
    };
    let name = disclosure.name.as_str();
    let own = commit(name, &disclosure.salt, disclosure.value.as_bytes());
    assert_eq!(disclosure.open(name, &own).ok(), Some(&*disclosure.value));
    let other = commit(name, &disclosure.salt, b"another value, 7c1e");
    assert!(disclosure.open(name, &other).is_err() || disclosure.value == "another value, 7c1e");
}
