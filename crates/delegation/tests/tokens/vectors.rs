use std::collections::BTreeSet;
use std::path::Path;

use chancery_delegation::{Constraint, Entry, Judgement, Reason};
use serde_json::{Value, json};

/// One vector: a constraint, and a child or a value with the verdict on it.
fn check(vector: &Value) {
    let id = &vector["id"];
    let read = |constraint: &Value| -> Result<Constraint, Reason> {
        let entry = json!({
            "type": "mcp_tool", "server": "s", "tool": "t", "args": {"a": constraint}
        });
        Entry::parse(&entry).map(|entry| entry.args()["a"].clone())
    };
    let expected = vector["expect"].as_str().unwrap();
    let constraint = match read(&vector["constraint"]) {
        Ok(constraint) => constraint,
        Err(reason) => return assert_eq!(reason.code(), expected, "{id}"),
    };
    let found = if let Some(child) = vector.get("child") {
        match read(child) {
            Ok(child) if constraint.subsumes(&child) => "accept",
            Ok(_) => Reason::ScopeEscalation.code(),
            Err(reason) => reason.code(),
        }
    } else {
        match constraint.judge(vector.get("value")) {
            Judgement::Holds => "holds",
            Judgement::Fails => "fails",
            Judgement::Unclear => "unclear",
        }
    };
    assert_eq!(found, expected, "{id}: {}", vector["why"]);
}

#[test]
fn every_vector_gets_its_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut ids = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read(file.unwrap().path()).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(file["format"], "chancery-constraint-vectors/1");
        for vector in file["vectors"].as_array().unwrap() {
            assert!(
                ids.insert(vector["id"].to_string()),
                "{} twice",
                vector["id"]
            );
            check(vector);
        }
    }
    assert!(ids.len() >= 40);
}
