//! Totality, and that a forbid never widens.

use chancery_policy::{Bundle, Kind, Outcome, Target};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{ask, ask_for, load};

const CONDITIONS: [&str; 8] = [
    "",
    "when { context.session.calls > 2 }",
    "when { context.session.calls > 3 }",
    "when { principal.isolated }",
    "when { principal.depth + 9223372036854775807 > 0 }",
    "unless { principal.asserted }",
    "when { resource in Chancery::Server::\"bank\" }",
    "when { context.args has amount && context.session.cost_micros == 0 }",
];

const SCOPES: [&str; 6] = [
    "action, resource",
    "action == Chancery::Action::\"bank/pay\", resource",
    "action, resource == Chancery::Tool::\"bank/list\"",
    "action, resource in Chancery::Server::\"files\"",
    "action in [Chancery::Action::\"files/read\", Chancery::Action::\"read_resource\"], resource",
    "action, resource is Chancery::Prompt",
];

fn policy(id: &str, effect: usize, scope: usize, condition: usize) -> String {
    let (annotation, keyword) = [
        ("", "permit"),
        ("@effect(\"ask\")", "permit"),
        ("", "forbid"),
    ][effect];
    // `has` on a closed record is known where every action in scope decides it: keep it typed.
    let condition = CONDITIONS[if condition == 7 && scope != 1 {
        0
    } else {
        condition
    }];
    let condition = if condition.contains("has amount") {
        "when { context.args.amount > 5 }"
    } else {
        condition
    };
    // Strict validation knows what a server's tools are not.
    let condition = if scope == 3 && condition.contains("bank") {
        ""
    } else {
        condition
    };
    format!(
        "@id(\"{id}\") {annotation} {keyword} (principal, {}) {condition};\n",
        SCOPES[scope]
    )
}

fn policies() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((0..3_usize, 0..6_usize, 0..8_usize), 0..8)
}

fn text(policies: &[(usize, usize, usize)]) -> String {
    policies
        .iter()
        .enumerate()
        .map(|(n, (effect, scope, condition))| {
            policy(&format!("p{n}"), *effect, *scope, *condition)
        })
        .collect()
}

fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("bank/pay", json!({"amount": 7, "to": "x"})),
        ("bank/pay", json!({"amount": "7"})),
        ("bank/list", json!({})),
        ("files/read", json!({"path": "/x"})),
        ("none/none", json!({})),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("amount|to|urgent|path|.", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn adding_a_forbid_never_widens(base in policies(), scope in 0..6_usize, condition in 0..8_usize) {
        let before = load(&text(&base)).unwrap();
        let after = load(&format!("{}{}", text(&base), policy("new", 2, scope, condition))).unwrap();
        for (tool, arguments) in calls() {
            for grants in [&[][..], &["p0", "p1", "p2"]] {
                let was = ask(&before, tool, &arguments, grants).outcome;
                let is = ask(&after, tool, &arguments, grants).outcome;
                prop_assert!(is == was || is == Outcome::Deny, "{was:?} became {is:?}");
            }
        }
    }

    #[test]
    fn an_approval_widens_nothing_but_its_asks(base in policies()) {
        let bundle = load(&text(&base)).unwrap();
        for (tool, arguments) in calls() {
            let was = ask(&bundle, tool, &arguments, &[]);
            let all: Vec<String> = bundle.policy_ids().map(str::to_owned).collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let is = ask(&bundle, tool, &arguments, &all);
            match was.outcome {
                Outcome::Escalate => prop_assert_eq!(is.outcome, Outcome::Allow),
                _ => prop_assert_eq!(is, was),
            }
        }
    }

    #[test]
    fn every_question_has_an_answer(
        base in policies(),
        arguments in value(),
        server in "[a-z/]{0,6}|bank|files",
        name in ".{0,12}|pay|list|read",
        kind in prop_oneof![Just(Kind::Tool), Just(Kind::Resource), Just(Kind::Prompt)],
    ) {
        let bundle: Bundle = load(&text(&base)).unwrap();
        let target = Target { kind, server: &server, name: &name };
        let first = ask_for(&bundle, target, &arguments, &[]);
        prop_assert_eq!(ask_for(&bundle, target, &arguments, &[]), first);
    }
}
