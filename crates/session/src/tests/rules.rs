//! The operator's rules for chains, held at every call.

use chancery_audit::Ruling;
use chancery_delegation::RuleReason;
use serde_json::{Value, json};

use super::world::{POLICIES, World, everything, rulebook};
use crate::{Event, Reason, Rulebook, RulebookError};

const LIST: (&str, Value) = ("list", Value::Null);

fn rules(member: &str, value: Value) -> Rulebook {
    let mut rules = json!({"rules": "chancery/delegation-rules/v1"});
    rules[member] = value;
    rulebook(POLICIES, Some(rules))
}

#[test]
fn a_chain_that_breaks_a_rule_is_denied_with_its_reason() {
    let mut world = World::new();
    let root = world.root(0, everything());
    let link = world.link(&root, 0, 1, everything());
    let mut live = world.open(&root);
    let joining = Event::Join(Box::new(world.joining(1, &link)));
    live.step(joining).unwrap();
    let worker = world.name(1).to_string();
    let kid = link.leaf_key().kid();
    for (member, value, expected) in [
        ("root", json!({"max_seconds": 3_599}), RuleReason::Lifetime),
        ("link", json!({"max_seconds": 1_799}), RuleReason::Lifetime),
        ("max_depth", json!(2), RuleReason::Depth),
        (
            "agents",
            json!({"block": [{"exact": worker}]}),
            RuleReason::Agent,
        ),
        (
            "trust_domains",
            json!({"allow": ["example.com"]}),
            RuleReason::TrustDomain,
        ),
        ("keys", json!({"block": [kid]}), RuleReason::Key),
        ("min_attestation", json!("tpm"), RuleReason::Attestation),
    ] {
        world.policy = rules(member, value);
        let judged = world.judge(&live, 1, &link, 1, LIST);
        assert_eq!(judged.ruling(), Ruling::Deny);
        assert_eq!(judged.reason(), Reason::Rules(expected), "{member}");
        assert_eq!(judged.reason().code(), expected.code());
    }
    for (member, value) in [
        ("root", json!({"max_seconds": 3_600})),
        ("link", json!({"max_seconds": 1_800})),
        ("max_depth", json!(3)),
        ("min_attestation", json!("software-only/launch")),
    ] {
        world.policy = rules(member, value);
        let judged = world.judge(&live, 1, &link, 1, LIST);
        assert_eq!(judged.reason(), Reason::Permit, "{member}");
    }
}

#[test]
fn rules_that_are_none_make_no_rulebook() {
    let mut files = chancery_policy::Files::new();
    files.insert("delegation.json".to_owned(), b"{}".to_vec());
    let error = Rulebook::load(&files).unwrap_err();
    assert!(matches!(error, RulebookError::Chains(_)), "{error}");
    assert!(
        error.to_string().starts_with("delegation.json: "),
        "{error}"
    );
}
