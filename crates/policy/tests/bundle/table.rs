//! Tables of tests: what they say, and what they may not be.

use chancery_policy::{Bundle, BundleError, Cause, Question, Table, bundle_digest};
use serde_json::{Value, json};

use crate::support::{files, load};

const PATH: &str = "tests/pay.json";

const POLICIES: &str = "
    @id(\"small\") permit (principal, action == Chancery::Action::\"bank/pay\", resource)
      when { context.args.amount <= 10 && context.session.calls < 5 };
    @id(\"large\") @effect(\"ask\") permit (principal, action == Chancery::Action::\"bank/pay\", resource)
      when { context.args.amount > 10 };
    @id(\"isolated\") forbid (principal, action, resource) unless { principal.isolated };";

fn given() -> Value {
    json!({
        "tool": "bank/pay", "now": "2027-01-31T09:30:00Z", "session": {"calls": 1},
        "principal": {
            "instance": "spiffe://example.org/agent/clerk/instance/1",
            "agent": "spiffe://example.org/agent/clerk", "principal": "p1", "mission": "m1",
            "depth": 1, "attestation_level": 2, "isolated": true, "asserted": false,
        },
    })
}

fn row(args: &Value, expect: &str, by: &[&str]) -> Value {
    json!({"row": "one", "args": args, "expect": expect, "by": by})
}

fn table(given: &Value, rows: &[Value]) -> String {
    json!({"tests": "chancery/policy-tests/v1", "given": given, "rows": rows}).to_string()
}

fn parse(text: &str) -> Result<Table, BundleError> {
    Table::parse(PATH, text)
}

/// A row with members put in or taken out, of a table that is otherwise right.
fn altered(name: &str, value: Option<Value>) -> Result<Table, BundleError> {
    let mut row = row(&json!({"amount": 5, "to": "a"}), "allow", &["small"]);
    let members = row.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    parse(&table(&given(), &[row]))
}

fn problem(parsed: Result<Table, BundleError>) -> String {
    let error = parsed.unwrap_err();
    assert!(matches!(error, BundleError::Table { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with(PATH), "{text}");
    text
}

#[test]
fn a_row_is_met_by_its_outcome_and_exactly_its_policies() {
    let bundle = load(POLICIES).unwrap();
    let small = json!({"amount": 5, "to": "a"});
    let met = |row: Value| {
        let table = parse(&table(&given(), &[row])).unwrap();
        table.rows()[0].run(&bundle).1
    };
    assert!(met(row(&small, "allow", &["small"])));
    for (expect, by) in [
        ("deny", vec!["small"]),
        ("escalate", vec!["small"]),
        ("allow", vec![]),
        ("allow", vec!["small", "large"]),
        ("allow", vec!["large"]),
    ] {
        assert!(!met(row(&small, expect, &by)), "{expect} {by:?}");
    }
    let mut with_cause = row(&small, "allow", &["small"]);
    with_cause["cause"] = json!("granted");
    assert!(!met(with_cause.clone()));
    with_cause["cause"] = json!("permit");
    assert!(met(with_cause));
}

#[test]
fn what_cannot_be_evaluated_meets_no_expectation_that_does_not_say_so() {
    let bundle = load(POLICIES).unwrap();
    let mut silent = row(&json!({"to": "a"}), "deny", &[]);
    let run = |row: &Value| {
        let table = parse(&table(&given(), std::slice::from_ref(row))).unwrap();
        table.rows()[0].run(&bundle)
    };
    let (decision, met) = run(&silent);
    assert_eq!((decision.cause, met), (Cause::EvaluationError, false));
    silent["cause"] = json!("evaluation_error");
    assert!(run(&silent).1);
}

#[test]
fn a_row_has_what_is_given_where_it_does_not_say_otherwise() {
    let bundle = load(POLICIES).unwrap();
    let small = json!({"amount": 5, "to": "a"});
    let mut late = row(&small, "deny", &[]);
    late["session"] = json!({"calls": 5});
    let mut loose = row(&small, "deny", &["isolated"]);
    loose["row"] = json!("two");
    loose["principal"] = json!({"isolated": false});
    let mut granted = row(&json!({"amount": 50, "to": "a"}), "allow", &["large"]);
    granted["row"] = json!("three");
    granted["grants"] = json!(["large"]);
    let parsed = parse(&table(&given(), &[late, loose, granted])).unwrap();
    for row in parsed.rows() {
        let (decision, met) = row.run(&bundle);
        assert!(met, "{}: {decision:?}", row.name());
    }
    let request = parsed.rows()[1].question().request();
    assert_eq!(request.principal.agent, "spiffe://example.org/agent/clerk");
    assert_eq!(request.session.calls, 1);
    // Arguments are a row's own, whole.
    let mut with_args = given();
    with_args["args"] = json!({"amount": 5, "to": "a"});
    let bare = json!({"row": "one", "args": {"amount": 6}, "expect": "deny", "by": []});
    let parsed = parse(&table(&with_args, &[bare])).unwrap();
    assert_eq!(
        parsed.rows()[0].question().request().arguments,
        &json!({"amount": 6})
    );
}

#[test]
fn a_table_that_is_not_one_is_refused_at_its_place() {
    for bad in [
        "",
        "{}",
        "[]",
        "null",
        "{\"tests\":\"chancery/policy-tests/v1\",\"rows\":[]}",
        "{\"tests\":\"chancery/policy-tests/v2\",\"rows\":[{}]}",
        "{\"tests\":\"chancery/policy-tests/v1\",\"rows\":[{}],\"more\":1}",
        "{\"tests\":\"chancery/policy-tests/v1\",\"rows\":[{}],\"rows\":[{}]}",
        "{\"tests\":\"chancery/policy-tests/v1\",\"rows\":{}}",
        "{\"tests\":\"chancery/policy-tests/v1\",\"rows\":[1]}",
        "{\"tests\":\"chancery/policy-tests/v1\",\"rows\":[null]}",
    ] {
        problem(parse(bad));
    }
    for name in ["row", "expect", "cause", "by"] {
        let mut given = given();
        given[name] = json!("x");
        let row = row(&json!({}), "deny", &[]);
        assert!(problem(parse(&table(&given, &[row]))).contains(name));
    }
    let one = row(&json!({"amount": 5, "to": "a"}), "allow", &["small"]);
    let twice = problem(parse(&table(&given(), &[one.clone(), one])));
    assert!(twice.contains("stands before already"), "{twice}");
    let text = table(&given(), &[json!({"row": "x"})]);
    let column = text.find("{\"row\"").unwrap() + 1;
    let place = problem(parse(&text));
    assert!(
        place.starts_with(&format!("{PATH}:1:{column}: ")),
        "{place}"
    );
}

#[test]
fn a_row_says_all_that_it_has_to_and_nothing_unknown() {
    for missing in ["row", "expect", "by"] {
        problem(altered(missing, None));
    }
    for (name, bad) in [
        ("row", json!("")),
        ("row", json!("two\nlines")),
        ("row", json!("\u{1b}[31mred")),
        ("row", json!("x".repeat(201))),
        ("row", json!(1)),
        ("expect", json!("permit")),
        ("expect", json!("Allow")),
        ("cause", json!("because")),
        ("by", json!("small")),
        ("by", json!([1])),
        ("args", json!([])),
        ("args", json!("x")),
        ("args", json!({"amount": 1.5})),
        ("tool", json!("pay")),
        ("tool", json!("/pay")),
        ("tool", json!("bank/")),
        ("prompt", json!("bank/pay")),
        ("now", json!(0)),
        ("now", json!("now")),
        ("now", json!("2027-01-31")),
        ("session", json!({"call": 1})),
        ("session", json!({"calls": -1})),
        ("session", json!(1)),
        ("annotations", json!({"read_only": true})),
        ("annotations", json!({"readOnly": true})),
        ("principal", json!({"level": 1})),
        ("principal", json!({"depth": -1})),
        ("principal", json!({"attestation_level": 256})),
        ("grants", json!("large")),
        ("outcome", json!("allow")),
    ] {
        let text = problem(altered(name, Some(bad.clone())));
        assert!(text.len() > PATH.len() + 4, "{name} {bad}: {text}");
    }
    for part in ["agent", "principal", "isolated", "asserted", "depth"] {
        let mut given = given();
        given["principal"].as_object_mut().unwrap().remove(part);
        problem(parse(&table(&given, &[row(&json!({}), "deny", &[])])));
    }
    for part in ["tool", "now", "principal"] {
        let mut given = given();
        given.as_object_mut().unwrap().remove(part);
        problem(parse(&table(&given, &[row(&json!({}), "deny", &[])])));
    }
}

#[test]
fn loading_a_bundle_covers_its_tables_and_runs_none() {
    let plain = files(POLICIES);
    let failing = table(
        &given(),
        &[row(&json!({"amount": 5, "to": "a"}), "deny", &[])],
    );
    let mut with_table = plain.clone();
    with_table.insert(PATH.to_owned(), failing.into_bytes());
    let bundle = Bundle::load(&with_table).unwrap();
    assert_eq!(bundle.digest(), bundle_digest(&with_table).unwrap());
    assert_ne!(bundle.digest(), bundle_digest(&plain).unwrap());
    let tables = Table::read(&with_table).unwrap();
    assert_eq!(tables.len(), 1);
    assert!(!tables[0].rows()[0].run(&bundle).1);
    // What is no table is left to who reads them.
    with_table.insert("tests/b.json".to_owned(), b"{".to_vec());
    Bundle::load(&with_table).unwrap();
    assert!(Table::read(&with_table).is_err());
    for stray in [
        "tests/a.txt",
        "tests/more/a.json",
        "tests/.json",
        "a.json",
        "test/a.json",
    ] {
        let mut files = plain.clone();
        files.insert(stray.to_owned(), b"{}".to_vec());
        let refused = Bundle::load(&files).unwrap_err();
        let known = matches!(refused, BundleError::UnknownFile(_) | BundleError::Path(_));
        assert!(known, "{stray}: {refused}");
    }
}

#[test]
fn a_question_is_read_as_it_is_written() {
    for (kind, target) in [
        ("tool", "bank/pay"),
        ("resource", "files/file:///a/b"),
        ("prompt", "bank/greet"),
    ] {
        let mut whole = given();
        let members = whole.as_object_mut().unwrap();
        members.remove("tool");
        members.insert(kind.to_owned(), json!(target));
        members.insert("args".to_owned(), json!({"x": 1.5}));
        let question = Question::parse(whole.to_string().as_bytes()).unwrap();
        let written = serde_json::to_vec(&question).unwrap();
        assert_eq!(Question::parse(&written).unwrap(), question);
        assert_eq!(Question::from(&question.request()), question);
    }
    assert!(Question::parse(b"{}").is_err());
    assert!(Question::parse(b"{\"tool\":1,\"tool\":2}").is_err());
}
