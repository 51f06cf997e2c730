//! Both implementations judge the same mutated chains, and agree on every code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::judge::judge_chain;
use crate::mutation::{Dice, Keys, mutate};
use crate::python::{Python, scratch};
use crate::{files, folder};

const SEED: u64 = 20_261_128;
const CASES: usize = 12_000;

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
    let Some(python) = Python::find() else {
        return;
    };
    let (mut dice, keys, chains) = (Dice(SEED), Keys::new(), accepted());
    let context = files().swap_remove(0).1["context"].clone();
    let vectors: Vec<_> = (0..CASES)
        .map(|number| {
            let chain = mutate(&mut dice, &keys, &chains);
            json!({"id": format!("case-{number}"), "chain": chain})
        })
        .collect();
    let mine: Vec<_> = vectors
        .iter()
        .map(|vector| judge_chain(&context, vector))
        .collect();
    let path = scratch("mutated-chains.json");
    let file = json!({"format": "adt-vectors/1", "context": context, "vectors": vectors});
    std::fs::write(&path, file.to_string()).unwrap();
    let output = python.run(&["vectors", "--verdicts"], &path);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    let theirs: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(theirs.len(), mine.len());
    let mut reasons = BTreeMap::new();
    let mut differing = Vec::new();
    for ((mine, theirs), vector) in mine.iter().zip(&theirs).zip(&vectors) {
        for name in ["expect", "reason", "link"] {
            if mine[name] != theirs[name] {
                differing.push(format!("{mine} {theirs} {vector}"));
                break;
            }
        }
        *reasons.entry(mine["reason"].to_string()).or_insert(0_usize) += 1;
    }
    let shown = differing.iter().take(5).collect::<Vec<_>>();
    assert!(differing.is_empty(), "{}: {shown:#?}", differing.len());
    println!("{CASES} cases: {reasons:?}");
    // A mutation that reaches few checks compares little.
    assert!(reasons.len() >= 18, "{reasons:?}");
    assert!(reasons["null"] > CASES / 50, "{reasons:?}");
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
