//! The repository's vectors, judged by this implementation, and both implementations compared.
#![expect(
    clippy::disallowed_methods,
    reason = "vectors are files, and the other implementation is another program"
)]
#![cfg(test)]

#[cfg(test)]
mod differential;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod mutation;
#[cfg(test)]
mod python;
#[cfg(test)]
mod random;
#[cfg(test)]
mod random_requests;
#[cfg(test)]
mod requests;

use std::collections::BTreeSet;
use std::path::PathBuf;

use chancery_delegation::{Reason, RuleReason};
use serde_json::Value;

/// The repository's `vectors` folder.
fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors"))
}

/// Every file of vectors, by its name.
fn files() -> Vec<(String, Value)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|found| found == "json") {
            let file = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            files.push((path.file_name().unwrap().display().to_string(), file));
        }
    }
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

#[test]
fn every_vector_gets_its_verdict() {
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, file) in files() {
        for vector in file["vectors"].as_array().unwrap() {
            let id = vector["id"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            let verdict = judge::judge(&file, vector).unwrap_or_else(|| panic!("{name}: format"));
            let differing = judge::differing(&verdict, vector);
            if !differing.is_empty() {
                wrong.push(format!("{id}: {differing:?}: {}", Value::Object(verdict)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    assert!(ids.len() >= 2_293, "{} vectors", ids.len());
}

#[test]
fn every_reason_has_a_vector() {
    let mut open: BTreeSet<_> = Reason::ALL.map(Reason::code).into();
    open.extend(RuleReason::ALL.map(RuleReason::code));
    for (_, file) in files() {
        for vector in file["vectors"].as_array().unwrap() {
            open.remove(vector["reason"].as_str().unwrap_or_default());
        }
    }
    assert!(open.is_empty(), "no vector is refused as {open:?}");
}
