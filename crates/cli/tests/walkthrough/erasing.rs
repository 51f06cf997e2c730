//! Erasing a person by command: whom it refuses, and what it says.

use super::deployment::Deployment;

/// A person of a shape that nobody has.
const NOBODY: &str = "per_7zzzzzzzzzzzzzzzzzzzzzzzzz";

#[test]
fn nobody_is_erased_by_mistake() {
    let deployment = Deployment::with_person();
    let place = &deployment.place;
    let shown = place
        .chancery(&["--format", "json", "trust", "show"])
        .json();
    let person = shown["trust"]["people"][0]["id"].as_str().unwrap();
    place
        .chancery(&["erase", person])
        .refused(2, &["--reason", "--help"]);
    place
        .chancery(&["erase", "somebody", "--dry-run"])
        .refused(2, &["somebody"]);
    place
        .chancery(&["erase", NOBODY, "--reason", "a test", "--yes"])
        .refused(1, &["no such person", "chancery trust show"]);
    place
        .chancery(&["erase", person, "--reason", "a test"])
        .refused(1, &["nobody can be asked here", "--yes"]);
    place
        .chancery(&["erase", person, "--reason", " ", "--yes"])
        .refused(1, &["reason"]);
    let before = place
        .chancery(&["--format", "json", "erase", person, "--dry-run"])
        .json();
    assert!(before.get("erased").is_none() && before.get("done").is_none());

    let erase = [
        "--format", "json", "erase", person, "--reason", "a test", "--yes",
    ];
    // Who does not wait for the gateway is told by the exit code whether it has followed.
    let hasty = place.chancery(&[&erase[..], &["--wait", "0"]].concat());
    let erased: serde_json::Value = serde_json::from_str(&hasty.out).unwrap();
    let waits = erased["done"].get("gateway").is_none();
    assert_eq!(hasty.code, Some(i32::from(waits)), "{hasty:?}");
    assert_eq!(erased["done"]["before"], false);
    assert_eq!(erased["done"]["receipt"]["value"], person);
    assert!(erased["done"].get("scope").is_none(), "{erased}");
    let again = place.chancery(&erase).json();
    assert_eq!(again["done"]["before"], true);
    assert_eq!(again["done"]["log_index"], erased["done"]["log_index"]);
    assert!(again["done"]["gateway"]["log_index"].is_u64(), "{again}");
    let bodies = deployment.logged("erasure.done");
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}
