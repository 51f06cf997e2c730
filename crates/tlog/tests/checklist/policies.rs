//! `vectors/log_policies.jsonl`: each policy has the verdict, the line and the reason that it
//! states.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_tlog::{LogPolicy, PolicyProblem, VerifierKey};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../vectors/log_policies.jsonl");

fn reason(problem: &PolicyProblem) -> &'static str {
    match problem {
        PolicyProblem::TooLong => "too_long",
        PolicyProblem::NoFinalNewline => "final_newline",
        PolicyProblem::Control => "control",
        PolicyProblem::Keyword => "keyword",
        PolicyProblem::Words(_) => "words",
        PolicyProblem::Key(_) => "key",
        PolicyProblem::KeyType { .. } => "key_type",
        PolicyProblem::DuplicateKey(_) => "duplicate_key",
        PolicyProblem::TooMany(_) => "too_many",
        PolicyProblem::DuplicateName(_) => "duplicate_name",
        PolicyProblem::ReservedName => "reserved_name",
        PolicyProblem::UnknownName => "unknown_name",
        PolicyProblem::MemberTwice => "member_twice",
        PolicyProblem::Threshold => "threshold",
        PolicyProblem::SecondQuorum(_) => "second_quorum",
        PolicyProblem::NoQuorum => "no_quorum",
    }
}

/// Whether a vector has the verdict that it states; otherwise what was found.
fn judge(vector: &Value) -> Result<(), String> {
    let policy = STANDARD.decode(vector["policy"].as_str().unwrap()).unwrap();
    let parsed = LogPolicy::parse(&policy);
    match (vector["expect"].as_str().unwrap(), parsed) {
        ("reject", Err(error)) => {
            let found = (error.line as u64, reason(&error.source));
            let stated = (
                vector["line"].as_u64().unwrap(),
                vector["reason"].as_str().unwrap(),
            );
            (found == stated)
                .then_some(())
                .ok_or_else(|| format!("{found:?}, not {stated:?}"))
        }
        ("accept", Ok(policy)) => {
            for case in vector["met"].as_array().unwrap() {
                let names: Vec<&str> = case["cosigned"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|name| name.as_str().unwrap())
                    .collect();
                let known = |name: &str| {
                    let mut witnesses = policy.witnesses().iter();
                    witnesses.any(|witness| witness.name() == name.as_bytes())
                };
                assert!(names.iter().all(|name| known(name)), "{names:?}");
                let met = policy.is_met(|place| {
                    let witness = &policy.witnesses()[place];
                    names.iter().any(|name| name.as_bytes() == witness.name())
                });
                if met != case["is"].as_bool().unwrap() {
                    return Err(format!("{names:?}: {met}"));
                }
            }
            Ok(())
        }
        (_, found) => Err(format!("{found:?}")),
    }
}

#[test]
fn v7_policy_vectors_have_the_verdicts_that_they_state() {
    let vectors: Vec<Value> = VECTORS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let wrong: Vec<String> = vectors
        .iter()
        .filter_map(|vector| {
            let found = judge(vector).err()?;
            Some(format!("{} {}: {found}", vector["number"], vector["name"]))
        })
        .collect();
    println!("{} vectors", vectors.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    let refused = vectors.iter().filter(|it| it["expect"] == "reject").count();
    assert!(refused > 60 && vectors.len() - refused > 20);
}

#[test]
fn v7_policies_are_bounded() {
    let comment = format!("# {}\nquorum none\n", "x".repeat(1 << 18));
    let error = LogPolicy::parse(comment.as_bytes()).unwrap_err();
    assert_eq!(error.source, PolicyProblem::TooLong);
    let group = |n| format!("group g{n} any g{}\n", n - 1);
    let chain = |last: u32| {
        let key = VerifierKey::cosignature("w".parse().unwrap(), &[9; 32]).unwrap();
        let groups: String = (1..=last).map(group).collect();
        format!("witness g0 {key}\n{groups}quorum g{last}\n")
    };
    let deepest: LogPolicy = chain(64).parse().unwrap();
    assert!(deepest.is_met(|_| true) && !deepest.is_met(|_| false));
    let error = chain(65).parse::<LogPolicy>().unwrap_err();
    assert_eq!(error.source, PolicyProblem::TooMany("group"));
}
