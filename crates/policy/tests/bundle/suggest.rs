//! What is drafted is a bundle, allows what was observed, and nothing beside it.

use chancery_policy::{Bundle, Cause, Files, Index, Question, suggest};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{INDEX, files};

fn question(target: (&str, &str), args: &Value, agent: &str) -> Question {
    let (kind, target) = target;
    let question = json!({
        kind: target, "args": args, "now": "2027-01-31T09:30:00Z",
        "principal": {
            "instance": format!("{agent}/instance/1"), "agent": agent, "principal": "p",
            "mission": "m", "depth": 1, "attestation_level": 2, "isolated": true, "asserted": false,
        },
    });
    Question::parse(question.to_string().as_bytes()).unwrap()
}

const CLERK: &str = "spiffe://example.org/agent/clerk";

fn pay(args: &Value) -> Question {
    question(("tool", "bank/pay"), args, CLERK)
}

fn drafted(observed: &[Question]) -> (String, Bundle) {
    let (text, bundle) = drafted_as(observed.iter().map(|one| (one, Cause::Permit)));
    assert_eq!(bundle.analyse().unwrap(), [], "{text}");
    (text, bundle)
}

fn drafted_as<'a>(observed: impl IntoIterator<Item = (&'a Question, Cause)>) -> (String, Bundle) {
    let index = Files::from([("bundle.json".to_owned(), INDEX.as_bytes().to_vec())]);
    let text = suggest(&Index::parse(&index).unwrap(), observed);
    let bundle = Bundle::load(&files(&text)).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (text, bundle)
}

fn allows(bundle: &Bundle, question: &Question) -> bool {
    bundle.decide(&question.request()).cause == Cause::Permit
}

#[test]
fn what_was_observed_is_allowed_and_what_differs_is_not() {
    let observed = [
        pay(&json!({"amount": -3, "to": "rent"})),
        pay(&json!({"amount": 70, "to": "it's \"quoted\"\n\\ \u{e9}\u{0}"})),
        question(("tool", "bank/list"), &json!({}), CLERK),
        question(("resource", "files/file:///a?b=\"c\""), &json!({}), CLERK),
        question(("prompt", "bank/greet"), &json!({}), CLERK),
    ];
    let (text, bundle) = drafted(&observed);
    for question in &observed {
        assert!(allows(&bundle, question), "{question:?}\n{text}");
    }
    let mut again: Vec<Question> = observed.to_vec();
    again.reverse();
    assert_eq!(drafted(&again).0, text);
    let other = "spiffe://example.org/agent/other";
    for differs in [
        pay(&json!({"amount": -4, "to": "rent"})),
        pay(&json!({"amount": 71, "to": "rent"})),
        pay(&json!({"amount": 5, "to": "Rent"})),
        pay(&json!({"amount": 5, "to": ""})),
        pay(&json!({"amount": 5})),
        pay(&json!({"amount": 5, "to": "rent", "urgent": false})),
        question(
            ("tool", "bank/pay"),
            &json!({"amount": 5, "to": "rent"}),
            other,
        ),
        question(("tool", "bank/list"), &json!({}), other),
        question(("tool", "files/read"), &json!({"path": "/a"}), CLERK),
        question(("resource", "files/file:///a"), &json!({}), CLERK),
        question(("resource", "bank/greet"), &json!({}), CLERK),
        question(("prompt", "files/greet"), &json!({}), CLERK),
    ] {
        assert!(!allows(&bundle, &differs), "{differs:?}\n{text}");
    }
}

/// What a person is to be asked about is not drafted as though nobody were.
#[test]
fn what_policy_asks_about_is_drafted_as_an_ask_and_the_verdict_is_said() {
    let paid = |amount: i64| pay(&json!({"amount": amount, "to": "rent"}));
    let calls = [paid(1), paid(200), paid(300), paid(4_000)];
    let causes = [Cause::NoMatch, Cause::Ask, Cause::Granted, Cause::Forbid];
    let (text, bundle) = drafted_as(calls.iter().zip(causes));
    let outcomes = [
        &calls[0],
        &calls[1],
        &calls[2],
        &paid(250),
        &calls[3],
        &paid(2),
    ]
    .map(|call| bundle.decide(&call.request()).cause);
    let expected = [
        Cause::Permit,
        Cause::Ask,
        Cause::Ask,
        Cause::Ask,
        Cause::Permit,
        Cause::NoMatch,
    ];
    assert_eq!(outcomes, expected, "{text}");
    for said in [
        "1 observed calls, which no policy matched",
        "2 observed calls, which policy asks a person about",
        "1 observed calls, which policy forbade",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // The same call, permitted once and asked about once, is asked about.
    let (text, bundle) = drafted_as([(&calls[0], Cause::Permit), (&calls[0], Cause::Ask)]);
    assert_eq!(
        bundle.decide(&calls[0].request()).cause,
        Cause::Ask,
        "{text}"
    );
}

#[test]
fn an_argument_that_may_be_absent_is_drafted_as_it_was_seen() {
    let with = |urgent: Value| pay(&json!({"amount": 5, "to": "rent", "urgent": urgent}));
    let without = pay(&json!({"amount": 5, "to": "rent"}));
    for (observed, allowed) in [
        (vec![without.clone()], [true, false, false]),
        (vec![with(json!(true))], [false, true, false]),
        (vec![with(json!(false))], [false, false, true]),
        (
            vec![without.clone(), with(json!(true))],
            [true, true, false],
        ),
        (
            vec![with(json!(false)), with(json!(true))],
            [false, true, true],
        ),
        (
            vec![without.clone(), with(json!(false)), with(json!(true))],
            [true, true, true],
        ),
    ] {
        let (text, bundle) = drafted(&observed);
        let asked = [&without, &with(json!(true)), &with(json!(false))];
        assert_eq!(
            asked.map(|question| allows(&bundle, question)),
            allowed,
            "{text}"
        );
    }
}

#[test]
fn what_no_policy_can_allow_is_left_out() {
    let observed = [
        question(("tool", "bank/unknown"), &json!({}), CLERK),
        pay(&json!({"to": "rent"})),
        pay(&json!({"amount": "5", "to": "rent"})),
        pay(&json!({"amount": 5, "to": "rent", "urgent": "yes"})),
    ];
    let (text, bundle) = drafted(&observed);
    assert_eq!((text.as_str(), bundle.policy_ids().count()), ("", 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever texts and numbers come, the draft is a bundle that allows all of it.
    #[test]
    fn a_draft_covers_what_it_was_made_from(
        seen in prop::collection::vec((any::<i64>(), "[ -~\\n\\t]{0,12}", any::<Option<bool>>()), 1..6)
    ) {
        let observed: Vec<Question> = seen
            .iter()
            .map(|(amount, to, urgent)| {
                let mut args = json!({"amount": amount, "to": to});
                if let Some(urgent) = urgent {
                    args["urgent"] = json!(urgent);
                }
                pay(&args)
            })
            .collect();
        let (text, bundle) = drafted(&observed);
        for question in &observed {
            prop_assert!(allows(&bundle, question), "{text}");
        }
    }
}
