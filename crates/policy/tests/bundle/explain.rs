//! Why a question is decided as it is.

use std::collections::BTreeSet;

use chancery_policy::{
    Annotations, Bundle, Cause, Effect, Explanation, Kind, Request, Said, SessionFacts, Target,
};
use chancery_types::Timestamp;
use serde_json::{Value, json};

use crate::support::{load, principal};

const POLICIES: &str = "@id(\"small\")
@reason(\"Small amounts are routine.\")
permit (principal, action == Chancery::Action::\"bank/pay\", resource)
  when { context.args.amount <= 10 && context.args.to == \"rent\" }
  unless { principal.asserted || principal.depth > 3 };

@id(\"urgent\") @effect(\"ask\")
permit (principal in Chancery::Agent::\"spiffe://example.org/agent/other\", action, resource in Chancery::Server::\"bank\");

@id(\"hurry\")
permit (principal, action == Chancery::Action::\"bank/pay\", resource)
  when { context.args has urgent && context.args.urgent };

@id(\"never\")
forbid (principal, action == Chancery::Action::\"bank/pay\", resource)
  when { context.args.amount + 9223372036854775807 > 0 && context.args.to == \"overflow\" };

@id(\"elsewhere\")
permit (principal, action == Chancery::Action::\"files/read\", resource);
";

fn explain(bundle: &Bundle, tool: &str, arguments: &Value) -> Explanation {
    let (server, name) = tool.split_once('/').unwrap();
    let request = Request {
        principal: principal(),
        target: Target {
            kind: Kind::Tool,
            server,
            name,
        },
        annotations: Annotations::default(),
        arguments,
        session: SessionFacts::default(),
        now: Timestamp::from_seconds(1_800_000_000),
        grants: &BTreeSet::new(),
    };
    let explanation = bundle.explain(&request).unwrap();
    assert_eq!(explanation.decision, bundle.decide(&request));
    explanation
}

fn said<'a>(explanation: &'a Explanation, id: &str) -> &'a Said {
    let account = explanation.policies.iter().find(|one| one.id == id);
    &account.unwrap().said
}

fn is_false(said: &Said) -> &[String] {
    match said {
        Said::False(conditions) => conditions,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_policy_that_does_not_match_is_told_by_its_false_conditions_alone() {
    let bundle = load(POLICIES).unwrap();
    let told = explain(&bundle, "bank/pay", &json!({"amount": -20, "to": "x"}));
    assert_eq!(told.decision.cause, Cause::NoMatch);
    let conditions = is_false(said(&told, "small"));
    assert_eq!(conditions.len(), 1, "{conditions:?}");
    assert!(conditions[0].contains("rent"), "{conditions:?}");
    let told = explain(&bundle, "bank/pay", &json!({"amount": -20, "to": "rent"}));
    assert_eq!(said(&told, "small"), &Said::Matches);
    assert_eq!(told.decision.determining, ["small"]);

    // Of the scope, whom it names.
    let asked = is_false(said(&told, "urgent"));
    assert_eq!(
        asked,
        ["principal in Chancery::Agent::\"spiffe://example.org/agent/other\""]
    );
    // What guards another condition is false; the guarded one was not reached.
    let guarded = is_false(said(&told, "hurry"));
    assert_eq!(guarded.len(), 1, "{guarded:?}");
    assert!(guarded[0].contains("has urgent"), "{guarded:?}");
    let told = explain(
        &bundle,
        "bank/pay",
        &json!({"amount": -20, "to": "x", "urgent": false}),
    );
    let guarded = is_false(said(&told, "hurry"));
    assert_eq!(guarded.len(), 1, "{guarded:?}");
    assert!(guarded[0].contains("urgent") && !guarded[0].contains("has"));
}

#[test]
fn an_account_has_the_text_the_place_and_the_words_for_people() {
    let bundle = load(POLICIES).unwrap();
    let told = explain(&bundle, "bank/pay", &json!({"amount": 5, "to": "x"}));
    let ids: Vec<&str> = told.policies.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["hurry", "never", "small", "urgent"]);
    let small = &told.policies[2];
    assert_eq!(small.place.to_string(), "policies.cedar:1:1");
    assert_eq!(small.reason.as_deref(), Some("Small amounts are routine."));
    assert!(small.text.starts_with("@id(\"small\")"), "{}", small.text);
    let effects: Vec<Effect> = told.policies.iter().map(|one| one.effect).collect();
    let expected = [Effect::Permit, Effect::Forbid, Effect::Permit, Effect::Ask];
    assert_eq!(effects, expected);
}

#[test]
fn what_fails_is_told_as_that() {
    let bundle = load(POLICIES).unwrap();
    let told = explain(&bundle, "bank/pay", &json!({"amount": 5, "to": "x"}));
    assert_eq!(told.decision.cause, Cause::EvaluationError);
    assert_eq!(told.decision.determining, ["never"]);
    assert!(matches!(said(&told, "never"), Said::Fails(error) if error.contains("overflow")));

    let told = explain(&bundle, "bank/pay", &json!({"to": "x"}));
    assert_eq!(told.decision.cause, Cause::EvaluationError);
    assert!(told.policies.is_empty());
    assert!(told.unfit.unwrap().contains("amount"));

    let told = explain(&bundle, "bank/unknown", &json!({}));
    assert_eq!(told.decision.cause, Cause::NoMatch);
    assert_eq!((told.policies.len(), told.unfit), (0, None));
}
