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

#[test]
fn v7_a_smallest_quorum_is_one_and_no_smaller_set_is() {
    let line = |name: &str, seed: u8| {
        let key = VerifierKey::cosignature("w".parse().unwrap(), &[seed; 32]).unwrap();
        format!("witness {name} {key}\n")
    };
    let six: String = (0..6).map(|n| line(&format!("w{n}"), 9 + n)).collect();
    let mut judged = 0;
    for rest in [
        "quorum none\n",
        "quorum w3\n",
        "group g any w0 w1 w2 w3 w4 w5\nquorum g\n",
        "group g all w0 w1 w2 w3 w4 w5\nquorum g\n",
        "group g 3 w5 w4 w3 w2 w1 w0\nquorum g\n",
        "group a all w0 w1 w2\ngroup b 2 w3 w4\ngroup g any a b w5\nquorum g\n",
        "group a 2 w0 w1 w2\ngroup b any w3 w4\ngroup g all a b\nquorum g\n",
        "group a all w0 w1\ngroup b all a w2\ngroup g 2 b w3 w4\nquorum g\n",
    ] {
        let policy: LogPolicy = format!("{six}{rest}").parse().unwrap();
        let in_set = |set: u32, place: usize| set >> place & 1 == 1;
        for there in 0..64_u32 {
            let met = |set: u32| policy.is_met(|place| in_set(set, place));
            let least = (0..64_u32)
                .filter(|set| set & !there == 0 && met(*set))
                .map(u32::count_ones)
                .min();
            let found = policy.smallest_quorum(|place| in_set(there, place));
            assert_eq!(
                found.as_ref().map(|set| set.len() as u32),
                least,
                "{rest} {there}"
            );
            if let Some(found) = found {
                let set = found.iter().fold(0, |set, place| set | 1 << place);
                assert!(met(set) && set & !there == 0, "{rest} {there}");
                judged += 1;
            }
        }
    }
    assert!(judged > 200);
}
