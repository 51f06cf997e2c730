//! What the command says of bundles in a folder; no deployment is needed.

use std::path::{Path, PathBuf};

use super::place::{Place, checkout};

/// A copy of a bundle of the checkout that may be changed.
pub(crate) fn copied(place: &Place, folder: &str, name: &str) -> PathBuf {
    let (from, to) = (checkout().join(folder), place.at(name));
    copy(&from, &to);
    to
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(std::fs::copy(&path, to).unwrap()),
        }
    }
}

/// Changes a file of a bundle.
pub(crate) fn change(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from:?} is not in {}", file.display());
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_row_that_is_decided_otherwise_is_named_with_its_place_and_ends_with_one() {
    let place = Place::new();
    let policy = copied(&place, "demo/policy", "policy");
    let tested = place.chancery(&["policy", "test", "policy", "--format", "json"]);
    let tested = tested.json();
    assert_eq!(tested["failures"], serde_json::json!([]));
    assert_eq!(tested["untested"], serde_json::json!([]));

    change(&policy.join("ledger.cedar"), "\"equity\"", "\"capital\"");
    let failed = place.chancery(&["policy", "test", "policy", "--format", "json"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let failed: serde_json::Value = serde_json::from_str(&failed.out).unwrap();
    assert_eq!(failed["untested"], serde_json::json!(["never-to-equity"]));
    let failures = failed["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert_eq!(failures[0]["row"], "nobody posts to equity");
    assert_eq!(failures[0]["expected"]["expect"], "deny");
    assert_eq!(failures[0]["decided"]["outcome"], "allow");
    let by = &failures[0]["decided"]["determining"];
    assert_eq!(by, &serde_json::json!(["post-small-amounts"]));
    let at = failures[0]["place"].as_str().unwrap();
    let line = at.split(':').nth(1).unwrap().parse::<usize>().unwrap();
    let table = std::fs::read_to_string(policy.join("tests/ledger.json")).unwrap();
    assert!(
        table
            .lines()
            .nth(line - 1)
            .unwrap()
            .contains("nobody posts to equity")
    );

    let shown = place.chancery(&["policy", "test", "policy"]);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.out.contains(at), "{shown:?}");
}

#[test]
fn what_tests_nothing_or_is_no_table_is_refused() {
    let place = Place::new();
    let policy = copied(&place, "demo/policy", "policy");
    let table = policy.join("tests/ledger.json");
    change(&table, "\"expect\": \"escalate\"", "\"expect\": \"ask\"");
    let said = place.chancery(&["policy", "test", "policy"]);
    said.refused(1, &["tests/ledger.json:28:5", "unknown variant `ask`"]);
    std::fs::remove_file(&table).unwrap();
    place
        .chancery(&["policy", "test", "policy"])
        .refused(1, &["policy", "tests/NAME.json"]);
    std::fs::remove_dir(policy.join("tests")).unwrap();
    place
        .chancery(&["policy", "test", "policy"])
        .refused(1, &["policy", "tests/NAME.json"]);
    place
        .chancery(&["policy", "test", "nowhere"])
        .refused(1, &["nowhere"]);
}
