//! What is proven of policies, and what must not be.

use chancery_policy::{Finding, Proven};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{ask, load};

fn findings(policies: &str) -> Vec<Finding> {
    load(policies).unwrap().analyse().unwrap()
}

/// Policies about the payment, of which nothing but effect and condition differs.
fn about_payments(policies: &[(&str, &str, &str)]) -> String {
    let each = policies.iter().map(|(id, effect, condition)| {
        let (annotation, effect) = match *effect {
            "ask" => ("@effect(\"ask\")", "permit"),
            effect => ("", effect),
        };
        format!(
            "@id(\"{id}\") {annotation} {effect} (principal, action == Chancery::Action::\"bank/pay\", resource) {condition};\n"
        )
    });
    each.collect()
}

fn proven(policies: &[(&str, &str, &str)]) -> Vec<(String, Proven, Option<String>)> {
    let found = findings(&about_payments(policies));
    let each = found.into_iter();
    each.map(|finding| (finding.policy, finding.proven, finding.by))
        .collect()
}

fn is_contradiction(condition: &str) -> bool {
    let found = proven(&[("one", "permit", condition)]);
    found
        .iter()
        .any(|(_, proven, _)| *proven == Proven::Contradiction)
}

#[test]
fn conditions_that_cannot_hold_together_are_found() {
    for bad in [
        "when { context.args.to == \"a\" && context.args.to == \"b\" }",
        "when { context.args.to == \"a\" && \"b\" == context.args.to }",
        "when { context.args.to == \"a\" } unless { context.args.to == \"a\" }",
        "when { context.args.to == \"a\" && context.args.to != \"a\" }",
        "when { context.args.amount > 5 && context.args.amount < 5 }",
        "when { context.args.amount > 5 && 6 > context.args.amount }",
        "when { context.args.amount == 5 && context.args.amount == 6 }",
        "when { context.args.amount >= 5 && context.args.amount <= -5 }",
        "when { context.args.amount > 9223372036854775807 }",
        "when { context.args.amount == 5 } unless { context.args.amount <= 7 }",
        "when { principal.isolated } unless { principal.isolated }",
        "when { principal.isolated == true && principal.isolated == false }",
        "when { principal.isolated && !principal.isolated }",
        "when { context.args.to like \"a*\" && !(context.args.to like \"a*\") }",
        "when { (context.args.to == \"a\" || context.args.to == \"b\") && context.args.to == \"c\" }",
        "when { !(context.args.amount < 5 || context.args.amount > 3) }",
    ] {
        assert!(is_contradiction(bad), "{bad}");
    }
}

#[test]
fn conditions_that_can_hold_are_not_called_contradictions() {
    for good in [
        "",
        "when { context.args.to == \"a\" && context.args.to == \"a\" }",
        "when { context.args.to == \"a\" && context.args.to != \"b\" }",
        "when { context.args.to == \"a\" || context.args.to == \"b\" }",
        "when { context.args.amount >= 5 && context.args.amount <= 5 }",
        "when { context.args.amount > 5 || context.args.amount < 5 }",
        "when { !(context.args.amount > 5 && context.args.amount < 5) }",
        "when { context.args.amount > -9223372036854775808 }",
        "when { context.args.amount + 1 > 5 && context.args.amount < 5 }",
        "when { context.args.amount < 5 } unless { context.args.to == \"a\" }",
        "when { context.args.to == \"5\" && context.args.amount == 6 }",
        "when { context.args.to == principal.agent && context.args.to == \"b\" }",
        "when { (context.args.to == \"a\" || context.args.amount > 5) && context.args.to == \"c\" }",
        "when { context.args.to like \"a*\" && !(context.args.to like \"b*\") }",
        "when { context.args has urgent && context.args.urgent }",
        "when { if principal.isolated then context.args.amount > 1 else context.args.amount < 1 }",
    ] {
        assert!(!is_contradiction(good), "{good}");
    }
}

#[test]
fn what_contradicts_is_named_as_people_write_it() {
    let policies = about_payments(&[(
        "one",
        "permit",
        "when { context.args.to == \"a\" && context.args.to == \"b\" }",
    )]);
    let found = findings(&policies);
    assert_eq!(found[0].contradict, ["context.args.to"]);
    assert_eq!(found[0].place.to_string(), "policies.cedar:1:1");
}

#[test]
fn a_scope_that_no_call_has_is_found() {
    for bad in [
        // A call of a tool has that tool as its resource, and no other.
        "@id(\"one\") permit (principal, action == Chancery::Action::\"bank/pay\", resource == Chancery::Tool::\"bank/list\");",
        "@id(\"one\") forbid (principal, action == Chancery::Action::\"bank/pay\", resource in Chancery::Server::\"files\");",
        "@id(\"one\") permit (principal, action in [Chancery::Action::\"bank/pay\", Chancery::Action::\"bank/list\"], resource == Chancery::Tool::\"files/read\");",
    ] {
        let found = findings(bad);
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert_eq!(found[0].proven, Proven::NoTarget, "{bad}");
    }
    for good in [
        "@id(\"one\") permit (principal, action, resource == Chancery::Tool::\"bank/list\");",
        "@id(\"one\") permit (principal, action, resource in Chancery::Server::\"elsewhere\");",
        "@id(\"one\") permit (principal, action, resource == Chancery::Resource::\"files/file:///a\");",
        "@id(\"one\") permit (principal, action == Chancery::Action::\"get_prompt\", resource);",
    ] {
        assert_eq!(findings(good), [], "{good}");
    }
}

#[test]
fn a_policy_that_another_always_covers_is_found() {
    let by = |id: &str| Some(id.to_owned());
    let one = |proven, other: &str| vec![("a".to_owned(), proven, by(other))];
    let narrow = "when { context.args.amount == 7 && context.args.to == \"x\" }";
    let wide = "when { context.args.amount > 5 }";
    for (effect, other, expected) in [
        ("permit", "forbid", one(Proven::AlwaysForbidden, "b")),
        ("ask", "forbid", one(Proven::AlwaysForbidden, "b")),
        ("permit", "ask", one(Proven::AlwaysAsked, "b")),
        ("permit", "permit", one(Proven::Redundant, "b")),
        ("ask", "ask", one(Proven::Redundant, "b")),
        ("forbid", "forbid", one(Proven::Redundant, "b")),
        ("forbid", "permit", vec![]),
        ("forbid", "ask", vec![]),
        ("ask", "permit", vec![]),
    ] {
        let found = proven(&[("a", effect, narrow), ("b", other, wide)]);
        assert_eq!(found, expected, "{effect} in {other}");
        let found = proven(&[("a", effect, wide), ("b", other, narrow)]);
        let theirs = found.iter().all(|(policy, ..)| policy == "b");
        assert!(theirs, "{effect} around {other}: {found:?}");
    }
    // Of two that say the same, the later one.
    let found = proven(&[("a", "permit", wide), ("b", "permit", wide)]);
    assert_eq!(found, [("b".to_owned(), Proven::Redundant, by("a"))]);
    // What never matches covers nothing.
    let never = "when { context.args.amount > 5 && context.args.amount < 5 }";
    let found = proven(&[("a", "permit", narrow), ("b", "forbid", never)]);
    assert_eq!(found, [("b".to_owned(), Proven::Contradiction, None)]);
}

#[test]
fn what_covers_a_part_alone_covers_nothing() {
    for (narrow, wide) in [
        (
            "when { context.args.amount > 4 }",
            "when { context.args.amount > 5 }",
        ),
        (
            "when { context.args.amount > 5 }",
            "when { context.args.amount == 7 }",
        ),
        ("", "when { context.args.amount > 5 }"),
        (
            "when { context.args.to == \"a\" }",
            "when { context.args.to == \"b\" }",
        ),
        (
            "when { context.args.to != \"a\" }",
            "when { context.args.to == \"b\" }",
        ),
        (
            "when { context.args.to like \"a*\" }",
            "when { context.args.to like \"*\" }",
        ),
        (
            "unless { principal.isolated }",
            "when { principal.isolated }",
        ),
        (
            "when { context.args.amount > 5 || context.args.to == \"a\" }",
            "when { context.args.amount > 5 }",
        ),
    ] {
        let found = proven(&[("a", "permit", narrow), ("b", "forbid", wide)]);
        assert_eq!(found, [], "{narrow} / {wide}");
    }
    let pay = "Chancery::Action::\"bank/pay\"";
    for scope in [
        "principal, action == Chancery::Action::\"bank/list\", resource".to_owned(),
        format!("principal, action == {pay}, resource in Chancery::Server::\"files\""),
        format!("principal == Chancery::Instance::\"i\", action == {pay}, resource"),
        format!("principal in Chancery::Agent::\"a\", action == {pay}, resource"),
        "principal, action, resource is Chancery::Resource".to_owned(),
    ] {
        let policies = format!(
            "@id(\"a\") permit (principal, action == {pay}, resource); @id(\"b\") forbid ({scope});"
        );
        let found = findings(&policies);
        let about_a = found.iter().any(|finding| finding.policy == "a");
        assert!(!about_a, "{scope}: {found:?}");
    }
    // The permit reaches further than the forbid.
    let found = findings(
        "@id(\"a\") permit (principal, action, resource);
         @id(\"b\") forbid (principal, action, resource in Chancery::Server::\"bank\");",
    );
    assert_eq!(found, []);
    let found = findings(
        "@id(\"a\") permit (principal, action, resource in Chancery::Server::\"bank\");
         @id(\"b\") forbid (principal, action, resource);",
    );
    assert_eq!(found[0].proven, Proven::AlwaysForbidden);
}

fn condition() -> impl Strategy<Value = String> {
    let number = -2_i64..3;
    let atom = prop_oneof![
            ("(<|<=|>|>=|==|!=)", number.clone())
                .prop_map(|(op, number)| format!("context.args.amount {op} {number}")),
            ("(<|<=|>|>=)", number)
                .prop_map(|(op, number)| format!("{number} {op} context.args.amount")),
            "(==|!=)".prop_flat_map(
                |op| "[ab]".prop_map(move |to| format!("context.args.to {op} \"{to}\""))
            ),
            Just("principal.isolated".to_owned()),
            Just("context.args.to like \"a*\"".to_owned()),
        ];
    atom.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Whatever is proven holds for every call that is tried: what never matches determines nothing,
    /// what is covered determines nothing without what covers it.
    #[test]
    fn what_is_proven_is_what_the_engine_decides(a in condition(), b in condition()) {
        let texts = [format!("when {{ {a} }}"), format!("unless {{ {b} }}")];
        let policies = about_payments(&[("a", "permit", &texts[0]), ("b", "permit", &texts[1])]);
        // The validator refuses some that never match itself.
        let Ok(both) = load(&policies) else { return Ok(()) };
        let found = both.analyse().unwrap();
        for amount in -4_i64..5 {
            for to in ["a", "b", "c", ""] {
                let decision = ask(&both, "bank/pay", &json!({"amount": amount, "to": to}), &[]);
                for finding in &found {
                    let matches = decision.determining.contains(&finding.policy);
                    let covered = finding.by.as_ref().is_some_and(|by| decision.determining.contains(by));
                    prop_assert!(!matches || covered, "{finding:?} {amount} {to:?} {decision:?}");
                }
            }
        }
    }
}
