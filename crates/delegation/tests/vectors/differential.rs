//! Both implementations judge the same mutated chains, random constraints and random arguments, and
//! agree on every code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::judge::{Verdict, judge};
use crate::mutation::{Dice, Keys, mutate, seeded};
use crate::python::{Python, scratch};
use crate::random::{constraint_case, text};
use crate::random_requests::mutated;
use crate::{files, folder};

const SEED: u64 = 20_261_128;
const CHAINS: usize = 8_000;
const CONSTRAINTS: usize = 20_000;
const TEXTS: usize = 20_000;
const REQUESTS: usize = 5_000;

/// The accepted chains of the vectors under the default context, short enough to be judged often.
fn accepted() -> Vec<Vec<String>> {
    let mut chains = Vec::new();
    for (name, file) in files() {
        if !["linkage.json", "entries.json", "calls.json"].contains(&&*name) {
            continue;
        }
        for vector in file["vectors"].as_array().unwrap() {
            if vector["expect"] == "accept" && vector["context"].is_null() {
                chains.push(serde_json::from_value(vector["chain"].clone()).unwrap());
            }
        }
    }
    chains
}

#[test]
fn python_judges_mutated_chains_alike() {
    let (mut dice, keys, chains) = (Dice(SEED), Keys::new(), accepted());
    let vectors = (0..CHAINS).map(|_| json!({"chain": mutate(&mut dice, &keys, &chains)}));
    let file = json!({
        "format": "adt-vectors/1",
        "context": files().swap_remove(0).1["context"],
        "vectors": numbered(vectors),
    });
    let Some(found) = compare("mutated-chains.json", &file, "reason") else {
        return;
    };
    // A mutation that reaches few checks compares little.
    assert!(found.len() >= 19, "{found:?}");
    assert!(found["null"] > CHAINS / 50, "{found:?}");
}

#[test]
fn python_judges_random_constraints_alike() {
    let mut dice = Dice(SEED);
    let vectors = numbered((0..CONSTRAINTS).map(|_| constraint_case(&mut dice)));
    let file = json!({"format": "chancery-constraint-vectors/1", "vectors": vectors});
    if let Some(found) = compare("random-constraints.json", &file, "expect") {
        assert_eq!(found.len(), 6, "{found:?}");
    }
}

#[test]
fn python_writes_random_arguments_alike() {
    let mut dice = Dice(SEED);
    let vectors = numbered((0..TEXTS).map(|_| json!({"json": text(&mut dice)})));
    let file = json!({"format": "chancery-canonical-vectors/1", "vectors": vectors});
    if let Some(found) = compare("random-arguments.json", &file, "expect") {
        assert!(found["\"accept\""] > TEXTS / 4, "{found:?}");
    }
}

#[test]
fn python_judges_mutated_requests_alike() {
    let mut dice = Dice(SEED);
    let (_, requests) = files()
        .into_iter()
        .find(|(name, _)| name == "requests.json")
        .unwrap();
    let plain = |vector: &&Value| vector["expect"] == "accept" && vector["context"].is_null();
    let accepted: Vec<Value> = requests["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .filter(plain)
        .cloned()
        .collect();
    let holder = seeded("holder-1");
    let vectors = (0..REQUESTS).map(|_| mutated(&mut dice, &holder, &accepted));
    let file = json!({
        "format": "chancery-request-vectors/1",
        "context": requests["context"],
        "vectors": numbered(vectors),
    });
    if let Some(found) = compare("mutated-requests.json", &file, "reason") {
        assert!(found.len() >= 11, "{found:?}");
        assert!(found["null"] > REQUESTS / 100, "{found:?}");
    }
}

fn numbered(vectors: impl Iterator<Item = Value>) -> Vec<Value> {
    let number = |(at, mut vector): (usize, Value)| {
        vector["id"] = json!(format!("case-{at}"));
        vector
    };
    vectors.enumerate().map(number).collect()
}

/// Judges every vector of the file in both, and returns how often each verdict fell; nothing where
/// there is no Python.
fn compare(name: &str, file: &Value, counted: &str) -> Option<BTreeMap<String, usize>> {
    let python = Python::find()?;
    let path = scratch(name);
    std::fs::write(&path, file.to_string()).unwrap();
    let output = python.run(&["vectors", "--verdicts"], &path);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    let theirs = String::from_utf8(output.stdout).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(theirs.lines().count(), vectors.len());
    let (mut found, mut differing) = (BTreeMap::new(), Vec::new());
    for (line, vector) in theirs.lines().zip(vectors) {
        let mut theirs: Verdict = serde_json::from_str(line).unwrap();
        theirs.remove("id");
        let mine = judge(file, vector).unwrap();
        *found.entry(mine[counted].to_string()).or_insert(0) += 1;
        if mine != theirs {
            differing.push(format!("{mine:?} {theirs:?} {vector}"));
        }
    }
    let shown = differing.iter().take(5).collect::<Vec<_>>();
    assert!(differing.is_empty(), "{}: {shown:#?}", differing.len());
    println!("{name}: {} cases: {found:?}", vectors.len());
    Some(found)
}

#[test]
fn python_gives_every_vector_its_verdict() {
    let Some(python) = Python::find() else {
        return;
    };
    let output = python.run(&["vectors"], &folder());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{found:#}");
    let count: usize = files()
        .iter()
        .map(|(_, file)| file["vectors"].as_array().unwrap().len())
        .sum();
    assert_eq!(found["judged"], count);
}
