use serde_json::{Map, Value, json};

use super::*;
use crate::mission::{Progress, Unserved};
use crate::token::{Call, Target};

fn document() -> Value {
    json!({
        "mission": "chancery/mission/v1",
        "goal": "Close the month.\nAll three books.",
        "outcome": {"clearing_cents": 0},
        "steps": [
            {"id": "look", "text": "Read the books.", "means": [
                {"type": "mcp_tool", "server": "ledger", "tool": "read"},
                {"type": "mcp_tool", "server": "ledger", "tool": "balance"}
            ]},
            {"id": "post", "text": "Post the difference.", "means": [
                {"type": "mcp_tool", "server": "ledger", "tool": "post",
                 "args": {"amount": {"int_range": [-100, 100]}}},
                {"type": "mcp_tool", "server": "ledger", "tool": "balance"}
            ]}
        ],
        "forbid": [
            {"type": "mcp_tool", "server": "ledger", "tool": "post",
             "args": {"account": {"exact": "equity"}}}
        ],
        "stop": [{"when": "denials-in-a-row", "count": 3}, {"when": "budget-used"}],
        "budget": {"calls": 10, "cost_micros": 5, "seconds": 60},
        "approver": {"role": "approver"},
        "expires": "2030-01-01T00:00:00Z"
    })
}

fn parse(document: &Value) -> Result<Mission, MissionError> {
    Mission::parse(document.to_string().into_bytes())
}

fn mission() -> Mission {
    parse(&document()).unwrap()
}

fn call<'a>(tool: &'a str, args: &'a Map<String, Value>) -> Call<'a> {
    Call {
        server: "ledger",
        target: Target::Tool(tool),
        args,
    }
}

fn args(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

#[test]
fn every_byte_counts() {
    let compact = document().to_string();
    let pretty = serde_json::to_string_pretty(&document()).unwrap();
    let read = |text: &str| Mission::parse(text.into()).unwrap();
    assert_eq!(
        read(&compact).digest(),
        chancery_types::Digest::of(&compact)
    );
    assert_ne!(read(&compact).digest(), read(&pretty).digest());
    assert_eq!(read(&pretty).as_bytes(), pretty.as_bytes());
    assert_eq!(read(&pretty).goal(), read(&compact).goal());
}

#[test]
fn reads_every_part() {
    let mut whole = document();
    let person = "per_00000000000000000000000001";
    whole["approver"] = json!({ "person": person });
    let mission = parse(&whole).unwrap();
    assert_eq!(mission.steps()[1].id(), "post");
    assert_eq!(mission.steps()[0].means().len(), 2);
    assert_eq!(mission.outcome()["clearing_cents"], 0);
    assert_eq!(mission.budget().seconds, 60);
    assert_eq!(mission.expires().to_string(), "2030-01-01T00:00:00.000000Z");
    assert_eq!(mission.approver().person(), Some(person.parse().unwrap()));
    assert_eq!(
        mission.stop_conditions(),
        [StopCondition::DenialsInARow(3), StopCondition::BudgetUsed]
    );
}

/// Each defect alone, at its place, by its field.
#[test]
fn names_the_field_that_is_refused() {
    let cases: &[(&str, Value, &str)] = &[
        (
            "/mission",
            json!("chancery/mission/v2"),
            "mission: expected",
        ),
        ("/mission", json!(1), "mission: expected"),
        ("/goal", json!(""), "goal: expected 1 to 4096"),
        ("/goal", json!(" \n"), "goal: expected 1 to 4096"),
        ("/goal", json!(7), "goal: expected a text"),
        ("/goal", json!("a\u{202e}b"), "goal: expected 1 to 4096"),
        ("/goal", json!("a\u{7}b"), "goal: expected 1 to 4096"),
        (
            "/goal",
            json!("x".repeat(4_097)),
            "goal: expected 1 to 4096",
        ),
        ("/outcome", json!({}), "outcome: expected an object"),
        ("/outcome", json!("done"), "outcome: expected an object"),
        ("/steps", json!([]), "steps: expected 1 to 64"),
        ("/steps", json!({}), "steps: expected a list"),
        ("/steps/1", json!([]), "steps[1]: expected an object"),
        (
            "/steps/1/id",
            json!("look"),
            "steps[1].id: another step has the id \"look\"",
        ),
        (
            "/steps/0/id",
            json!(""),
            "steps[0].id: expected 1 to 64 letters",
        ),
        (
            "/steps/0/id",
            json!("a b"),
            "steps[0].id: expected 1 to 64 letters",
        ),
        (
            "/steps/0/id",
            json!("x".repeat(65)),
            "steps[0].id: expected 1 to 64 letters",
        ),
        (
            "/steps/0/text",
            json!(null),
            "steps[0].text: expected a text",
        ),
        (
            "/steps/0/means/0/tool",
            json!("*"),
            "steps[0].means[0]: not an entry",
        ),
        (
            "/steps/0/means/0/type",
            json!("http"),
            "steps[0].means[0]: not an entry",
        ),
        (
            "/steps/0/means/0",
            json!("ledger/read"),
            "steps[0].means[0]: not an entry",
        ),
        (
            "/steps/0/means/0",
            json!({"type": "mcp_tool", "server": "l", "tool": "t", "limits": {"max_calls": 1}}),
            "steps[0].means[0].limits: limits stand in `budget`",
        ),
        (
            "/forbid/0/args/account",
            json!({"like": "e"}),
            "forbid[0]: not an entry",
        ),
        ("/stop/0/when", json!("tired"), "stop[0].when: expected"),
        (
            "/stop/0/count",
            json!(0),
            "stop[0].count: expected an integer from 1",
        ),
        (
            "/stop/1",
            json!({"when": "budget-used", "count": 1}),
            "stop[1].count: no such member",
        ),
        (
            "/stop/1",
            json!({"when": "elapsed"}),
            "stop[1].seconds: the member is missing",
        ),
        (
            "/budget/calls",
            json!(0),
            "budget.calls: expected an integer from 1",
        ),
        (
            "/budget/calls",
            json!("9"),
            "budget.calls: expected an integer from 1",
        ),
        (
            "/budget/cost_micros",
            json!(-1),
            "budget.cost_micros: expected an integer from 0",
        ),
        (
            "/budget/seconds",
            json!(9_007_199_254_740_992_u64),
            "budget.seconds: expected an integer from 1",
        ),
        ("/approver", json!("me"), "approver: expected"),
        (
            "/approver",
            json!({"role": "principal"}),
            "approver: expected",
        ),
        (
            "/approver",
            json!({"person": "per_1"}),
            "approver: expected",
        ),
        (
            "/approver",
            json!({"person": "per_00000000000000000000000001", "role": "approver"}),
            "approver: expected",
        ),
        ("/approver", json!({}), "approver: expected"),
        (
            "/expires",
            json!("2030-01-01"),
            "expires: expected an instant",
        ),
        (
            "/expires",
            json!(1_900_000_000),
            "expires: expected an instant",
        ),
    ];
    for (place, value, expected) in cases {
        let mut changed = document();
        *changed.pointer_mut(place).unwrap() = value.clone();
        let error = parse(&changed).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{place}: {error}");
    }
}

#[test]
fn no_member_may_be_missing_or_added() {
    let whole = document();
    let names: Vec<&String> = whole.as_object().unwrap().keys().collect();
    for name in names {
        let mut changed = whole.clone();
        changed.as_object_mut().unwrap().remove(name);
        let error = parse(&changed).unwrap_err();
        assert_eq!(error.field(), name);
        assert!(
            matches!(error.problem(), MissionProblem::Missing),
            "{error}"
        );
    }
    for (place, field) in [
        ("", "extra"),
        ("/steps/0", "steps[0].extra"),
        ("/budget", "budget.extra"),
        ("/stop/0", "stop[0].extra"),
    ] {
        let mut changed = whole.clone();
        let object = changed.pointer_mut(place).and_then(Value::as_object_mut);
        object.unwrap().insert("extra".to_owned(), json!(1));
        let error = parse(&changed).unwrap_err();
        assert_eq!(error.field(), field);
        assert!(
            matches!(error.problem(), MissionProblem::Unknown),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_strict_json_is_no_document() {
    let twice = document().to_string().replacen('{', r#"{"goal":"x","#, 1);
    for bad in [
        String::new(),
        "[]".to_owned(),
        "# Mission\n".to_owned(),
        format!("{} x", document()),
        twice,
        document()
            .to_string()
            .replace("\"calls\":10", "\"calls\":1e1"),
        " ".repeat(MAX_MISSION_BYTES + 1),
    ] {
        let error = Mission::parse(bad.into_bytes()).unwrap_err();
        assert_eq!(error.field(), "document", "{error}");
    }
    assert!(Mission::parse(vec![0xff]).is_err());
}

#[test]
fn a_call_serves_the_step_that_lists_it() {
    let mission = mission();
    let none = Map::new();
    let small = args(json!({"amount": 5, "account": "fees"}));
    let large = args(json!({"amount": 500, "account": "fees"}));
    let served = |step, tool, args| mission.served(step, &call(tool, args));
    assert_eq!(served(Some("look"), "read", &none), Ok(()));
    assert_eq!(served(Some("post"), "post", &small), Ok(()));
    assert_eq!(served(None, "read", &none), Err(Unserved::NoStep));
    assert_eq!(
        served(Some("Look"), "read", &none),
        Err(Unserved::UnknownStep("Look"))
    );
    for (tool, args) in [
        ("post", &large),
        ("post", &none),
        ("read", &none),
        ("drop", &none),
    ] {
        let unserved = served(Some("post"), tool, args).unwrap_err();
        assert_eq!(unserved.label(), "mission:unlisted:post", "{tool}");
    }
}

#[test]
fn a_step_is_meant_only_where_it_is_the_only_one() {
    let mission = mission();
    let none = Map::new();
    let only = |tool| mission.only_step_for(&call(tool, &none)).map(Step::id);
    assert_eq!(only("read"), Some("look"));
    assert_eq!(only("balance"), None, "two steps list it");
    assert_eq!(only("drop"), None);
}

#[test]
fn a_prohibition_that_cannot_be_judged_applies() {
    let mission = mission();
    let forbids = |tool, value: Value| mission.forbids(&call(tool, &args(value)));
    assert_eq!(forbids("post", json!({"account": "equity"})), [0]);
    assert_eq!(forbids("post", json!({"account": ["equity"]})), [0]);
    assert_eq!(forbids("post", json!({})), [0]);
    assert!(forbids("post", json!({"account": "fees"})).is_empty());
    assert!(forbids("read", json!({"account": "equity"})).is_empty());
}

#[test]
fn each_stop_condition_holds_from_its_count_on() {
    let budget = mission().budget();
    let at = |progress: Progress, condition: StopCondition| condition.holds(budget, &progress);
    let none = Progress::default();
    for (condition, before, from) in [
        (
            StopCondition::BudgetUsed,
            Progress {
                calls: 9,
                cost_micros: 4,
                micros: 59_999_999,
                ..none
            },
            vec![
                Progress { calls: 10, ..none },
                Progress {
                    cost_micros: 5,
                    ..none
                },
                Progress {
                    micros: 60_000_000,
                    ..none
                },
            ],
        ),
        (
            StopCondition::Elapsed(7),
            Progress {
                micros: 6_999_999,
                ..none
            },
            vec![Progress {
                micros: 7_000_000,
                ..none
            }],
        ),
        (
            StopCondition::DenialsInARow(3),
            Progress {
                denials_in_a_row: 2,
                ..none
            },
            vec![Progress {
                denials_in_a_row: 3,
                ..none
            }],
        ),
        (
            StopCondition::Escalations(2),
            Progress {
                escalations: 1,
                ..none
            },
            vec![Progress {
                escalations: 2,
                ..none
            }],
        ),
    ] {
        assert!(!at(before, condition), "{condition:?}");
        for progress in from {
            assert!(at(progress, condition), "{condition:?} {progress:?}");
        }
    }
    let free = Budget {
        cost_micros: 0,
        ..budget
    };
    assert!(!StopCondition::BudgetUsed.holds(free, &none));
    let progress = Progress {
        denials_in_a_row: 3,
        ..none
    };
    assert_eq!(mission().stopped(&progress), Some(0));
    assert_eq!(mission().stopped(&none), None);
}
