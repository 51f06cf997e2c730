//! Decision 8, case by case.

use std::collections::BTreeSet;

use chancery_policy::{
    Annotations, Bundle, Cause, Decision, Kind, Outcome, Principal, Request, SessionFacts, Target,
};
use chancery_types::{Timestamp, to_canonical};
use serde_json::{Value, json};

use crate::support::{ask, ask_for, files, load, principal};

fn decision(outcome: Outcome, cause: Cause, determining: &[&str]) -> Decision {
    Decision {
        outcome,
        cause,
        determining: determining.iter().map(|id| (*id).to_owned()).collect(),
    }
}

const DENY: fn(Cause, &[&str]) -> Decision = |cause, ids| decision(Outcome::Deny, cause, ids);

/// Every combination of a matching forbid, failing rule, open ask, granted ask and permit.
#[test]
fn the_truth_table() {
    for bits in 0..32_u32 {
        let has = |bit: u32| bits & (1 << bit) != 0;
        let mut text = String::new();
        if has(0) {
            text +=
                "@id(\"f\") forbid (principal, action, resource == Chancery::Tool::\"bank/list\");";
        }
        if has(1) {
            text += "@id(\"e\") forbid (principal, action, resource == Chancery::Tool::\"bank/list\") when { context.session.calls + 9223372036854775807 > 0 };";
        }
        if has(2) {
            text += "@id(\"a\") @effect(\"ask\") permit (principal, action == Chancery::Action::\"bank/list\", resource);";
        }
        if has(3) {
            text += "@id(\"g\") @effect(\"ask\") permit (principal, action, resource in Chancery::Server::\"bank\");";
        }
        if has(4) {
            text += "@id(\"p\") permit (principal, action, resource);";
        }
        let bundle = load(&text).unwrap();
        let expected = if has(0) {
            DENY(Cause::Forbid, &["f"])
        } else if has(1) {
            DENY(Cause::EvaluationError, &["e"])
        } else if has(2) {
            decision(Outcome::Escalate, Cause::Ask, &["a"])
        } else if has(3) {
            decision(Outcome::Allow, Cause::Granted, &["g"])
        } else if has(4) {
            decision(Outcome::Allow, Cause::Permit, &["p"])
        } else {
            DENY(Cause::NoMatch, &[])
        };
        assert_eq!(
            ask(&bundle, "bank/list", &json!({}), &["g"]),
            expected,
            "{text}"
        );
    }
}

#[test]
fn what_is_not_an_ask_cannot_be_granted() {
    let bundle = load(
        "@id(\"f\") forbid (principal, action == Chancery::Action::\"bank/pay\", resource);
         @id(\"e\") permit (principal, action == Chancery::Action::\"bank/list\", resource) when { context.session.calls * 9223372036854775807 > 0 };",
    )
    .unwrap();
    let pay = json!({"amount": 1, "to": "x"});
    assert_eq!(
        ask(&bundle, "bank/pay", &pay, &["f"]),
        DENY(Cause::Forbid, &["f"])
    );
    assert_eq!(
        ask(&bundle, "bank/list", &json!({}), &["e"]),
        DENY(Cause::EvaluationError, &["e"])
    );
    assert_eq!(
        ask(&bundle, "files/read", &json!({"path": "/"}), &["x"]),
        DENY(Cause::NoMatch, &[])
    );
    assert!(!bundle.is_ask("f") && !bundle.is_ask("x"));
}

#[test]
fn an_evaluation_error_in_an_ask_denies_too() {
    let bundle = load(
        "@id(\"p\") permit (principal, action, resource);
         @id(\"a\") @effect(\"ask\") permit (principal, action == Chancery::Action::\"bank/list\", resource) when { context.session.calls + 9223372036854775807 > 0 };",
    )
    .unwrap();
    assert_eq!(
        ask(&bundle, "bank/list", &json!({}), &["a"]),
        DENY(Cause::EvaluationError, &["a"])
    );
}

#[test]
fn arguments_of_another_shape_deny() {
    let bundle = load("@id(\"p\") permit (principal, action, resource);").unwrap();
    for bad in [
        json!(null),
        json!({}),
        json!([]),
        json!("x"),
        json!({"amount": 1}),
        json!({"amount": "1", "to": "x"}),
        json!({"amount": 1.0, "to": "x"}),
        json!({"amount": 1.5, "to": "x"}),
        json!({"amount": 9_223_372_036_854_775_808_u64, "to": "x"}),
        json!({"amount": null, "to": "x"}),
        json!({"amount": 1, "to": null}),
        json!({"amount": 1, "to": ["x"]}),
        json!({"amount": 1, "to": "x", "urgent": "true"}),
        json!({"amount": 1, "to": "x", "urgent": null}),
    ] {
        assert_eq!(
            ask(&bundle, "bank/pay", &bad, &[]),
            DENY(Cause::EvaluationError, &[]),
            "{bad}"
        );
    }
    for good in [
        json!({"amount": 1, "to": "x"}),
        json!({"amount": i64::MIN, "to": "", "urgent": true}),
        json!({"amount": 1, "to": "x", "undeclared": {"deep": [1.5, null]}}),
    ] {
        assert_eq!(
            ask(&bundle, "bank/pay", &good, &[]).outcome,
            Outcome::Allow,
            "{good}"
        );
    }
}

#[test]
fn policies_see_declared_arguments_only() {
    let bundle = load(
        "@id(\"small\") permit (principal, action == Chancery::Action::\"bank/pay\", resource)
           when { context.args.amount <= 1000 && !(context.args has urgent) };
         @id(\"large\") @effect(\"ask\") @reason(\"a large payment\")
           permit (principal, action == Chancery::Action::\"bank/pay\", resource)
           when { context.args.amount > 1000 };
         @id(\"thief\") forbid (principal, action == Chancery::Action::\"bank/pay\", resource)
           when { context.args.to like \"*thief*\" };",
    )
    .unwrap();
    let pay = |amount: i64, to: &str, grants: &[&str]| {
        ask(
            &bundle,
            "bank/pay",
            &json!({"amount": amount, "to": to}),
            grants,
        )
    };
    assert_eq!(
        pay(5, "a", &[]),
        decision(Outcome::Allow, Cause::Permit, &["small"])
    );
    assert_eq!(
        pay(1001, "a", &[]),
        decision(Outcome::Escalate, Cause::Ask, &["large"])
    );
    assert_eq!(
        pay(1001, "a", &["large"]),
        decision(Outcome::Allow, Cause::Granted, &["large"])
    );
    assert_eq!(
        pay(1001, "a thief", &["large"]),
        DENY(Cause::Forbid, &["thief"])
    );
    assert_eq!(bundle.reason("large"), Some("a large payment"));
    let urgent = json!({"amount": 5, "to": "a", "urgent": false});
    assert_eq!(
        ask(&bundle, "bank/pay", &urgent, &[]),
        DENY(Cause::NoMatch, &[])
    );
}

#[test]
fn undeclared_tools_are_denied() {
    let bundle = load("@id(\"p\") permit (principal, action, resource);").unwrap();
    for tool in [
        "bank/delete",
        "bank/pay/x",
        "other/pay",
        "read_resource/x",
        "bank/",
        "/pay",
    ] {
        assert_eq!(
            ask(&bundle, tool, &json!({}), &[]),
            DENY(Cause::NoMatch, &[]),
            "{tool}"
        );
    }
}

#[test]
fn resources_and_prompts_are_decided_by_uri_server_and_kind() {
    let bundle = load(
        "@id(\"r\") permit (principal, action == Chancery::Action::\"read_resource\", resource)
           when { resource.uri like \"file:///data/*\" };
         @id(\"rs\") forbid (principal, action, resource in Chancery::Server::\"secret\");
         @id(\"one\") forbid (principal, action, resource == Chancery::Resource::\"files/file:///data/x\");
         @id(\"q\") @effect(\"ask\") permit (principal, action == Chancery::Action::\"get_prompt\", resource == Chancery::Prompt::\"files/summary\");",
    )
    .unwrap();
    let on = |kind, server, name| {
        ask_for(
            &bundle,
            Target { kind, server, name },
            &json!({"any": 1.5}),
            &[],
        )
    };
    use Kind::{Prompt, Resource};
    let allowed = decision(Outcome::Allow, Cause::Permit, &["r"]);
    assert_eq!(on(Resource, "files", "file:///data/a"), allowed);
    assert_eq!(
        on(Resource, "files", "file:///etc/a"),
        DENY(Cause::NoMatch, &[])
    );
    assert_eq!(
        on(Resource, "files", "file:///data/x"),
        DENY(Cause::Forbid, &["one"])
    );
    assert_eq!(on(Resource, "other", "file:///data/x"), allowed);
    assert_eq!(
        on(Resource, "secret", "file:///data/a"),
        DENY(Cause::Forbid, &["rs"])
    );
    assert_eq!(
        on(Prompt, "secret", "summary"),
        DENY(Cause::Forbid, &["rs"])
    );
    assert_eq!(
        on(Prompt, "files", "summary"),
        decision(Outcome::Escalate, Cause::Ask, &["q"])
    );
    assert_eq!(on(Prompt, "files", "other"), DENY(Cause::NoMatch, &[]));
    // A slash in a server's name could make two targets one.
    assert_eq!(
        on(Resource, "files/file:", "//data/a"),
        DENY(Cause::EvaluationError, &[])
    );
    assert_eq!(
        on(Resource, "", "file:///data/a"),
        DENY(Cause::EvaluationError, &[])
    );
}

#[test]
fn principal_session_and_time_are_seen() {
    let bundle = load(
        "@id(\"p\") permit (principal in Chancery::Agent::\"spiffe://example.org/agent/clerk\", action, resource)
           when { principal.isolated && !principal.asserted && principal.attestation_level >= 2 && principal.depth <= 1
             && principal.principal == \"p1\" && principal.mission == \"m1\"
             && context.session.calls < 5 && context.session.cost_micros == 0 && context.session.minutes < 60
             && context.now < datetime(\"2027-01-15T09:00:00Z\") && context.now.toTime() >= duration(\"8h\") };
         @id(\"d\") forbid (principal, action, resource is Chancery::Tool) when { resource.destructive && !resource.read_only };",
    )
    .unwrap();
    let (arguments, grants) = (json!({}), BTreeSet::new());
    let base = Request {
        principal: principal(),
        target: Target {
            kind: Kind::Tool,
            server: "bank",
            name: "list",
        },
        annotations: Annotations::default(),
        arguments: &arguments,
        session: SessionFacts::default(),
        now: Timestamp::from_seconds(1_800_000_000),
        grants: &grants,
    };
    assert_eq!(bundle.decide(&base).outcome, Outcome::Allow);
    let with = |change: fn(&mut Principal<'static>)| {
        let mut changed = principal();
        change(&mut changed);
        bundle
            .decide(&Request {
                principal: changed,
                ..base
            })
            .cause
    };
    for change in [
        (|p| p.isolated = false) as fn(&mut Principal<'static>),
        |p| p.asserted = true,
        |p| p.attestation_level = 1,
        |p| p.depth = 2,
        |p| p.depth = u64::MAX,
        |p| p.principal = "p2",
        |p| p.mission = "m2",
        |p| p.agent = "spiffe://example.org/agent/other",
    ] {
        assert_eq!(with(change), Cause::NoMatch);
    }
    for session in [
        SessionFacts {
            calls: 5,
            ..SessionFacts::default()
        },
        SessionFacts {
            cost_micros: 1,
            ..SessionFacts::default()
        },
        SessionFacts {
            minutes: u64::MAX,
            ..SessionFacts::default()
        },
    ] {
        assert_eq!(
            bundle.decide(&Request { session, ..base }).cause,
            Cause::NoMatch
        );
    }
    for (seconds, cause) in [
        (1_800_003_599, Cause::Permit),
        (1_800_003_600, Cause::NoMatch),
        (1_799_999_999, Cause::NoMatch),
        (u64::MAX / 1_000_000, Cause::EvaluationError),
    ] {
        let now = Timestamp::from_seconds(seconds);
        assert_eq!(
            bundle.decide(&Request { now, ..base }).cause,
            cause,
            "{now}"
        );
    }
    let destructive = Annotations {
        read_only: false,
        destructive: true,
    };
    assert_eq!(
        bundle
            .decide(&Request {
                annotations: destructive,
                ..base
            })
            .cause,
        Cause::Forbid
    );
}

#[test]
fn trust_taint_rows_and_resources_are_seen() {
    let bundle = load(
        "@id(\"p\") permit (principal, action, resource);
         @id(\"untrusted\") @effect(\"ask\") permit (principal, action, resource)
           when { context.session.trust < 100 || context.session.tainted };
         @id(\"wide\") forbid (principal, action, resource)
           when { context.session.rows > 9 || context.session.resources > 9 };",
    )
    .unwrap();
    let with = |session| {
        let grants = BTreeSet::new();
        let request = Request {
            principal: principal(),
            target: Target {
                kind: Kind::Tool,
                server: "bank",
                name: "list",
            },
            annotations: Annotations::default(),
            arguments: &Value::Null,
            session,
            now: Timestamp::from_seconds(1_800_000_000),
            grants: &grants,
        };
        bundle.decide(&request).cause
    };
    let trusted = SessionFacts {
        trust: 100,
        rows: 9,
        resources: 9,
        ..SessionFacts::default()
    };
    assert_eq!(with(trusted), Cause::Permit);
    for (session, cause) in [
        (
            SessionFacts {
                trust: 99,
                ..trusted
            },
            Cause::Ask,
        ),
        (
            SessionFacts {
                tainted: true,
                ..trusted
            },
            Cause::Ask,
        ),
        (
            SessionFacts {
                rows: 10,
                ..trusted
            },
            Cause::Forbid,
        ),
        (
            SessionFacts {
                resources: 10,
                ..trusted
            },
            Cause::Forbid,
        ),
    ] {
        assert_eq!(with(session), cause, "{session:?}");
    }
}

#[test]
fn action_groups_of_the_operator_are_followed() {
    let mut files = files(
        "@id(\"g\") permit (principal, action in Chancery::Action::\"reads\", resource);
         @id(\"h\") permit (principal, action in [Chancery::Action::\"bank/pay\"], resource);",
    );
    let schema = String::from_utf8(files["schema.cedarschema"].clone()).unwrap();
    let schema = schema.replace(
        "action \"bank/list\"",
        "action \"all\"; action \"reads\" in [\"all\"]; action \"bank/list\" in [\"reads\"]",
    );
    files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
    let bundle = Bundle::load(&files).unwrap();
    assert_eq!(
        ask(&bundle, "bank/list", &json!({}), &[]).determining,
        ["g"]
    );
    assert_eq!(
        ask(&bundle, "bank/pay", &json!({"amount": 1, "to": ""}), &[]).determining,
        ["h"]
    );
    assert_eq!(
        ask(&bundle, "files/read", &json!({"path": ""}), &[]).cause,
        Cause::NoMatch
    );
}

#[test]
fn the_same_question_gives_the_same_bytes() {
    let text = (0..20)
        .map(|n| format!("@id(\"p{n}\") permit (principal, action, resource);"))
        .collect::<String>();
    let bundle = load(&text).unwrap();
    let bytes =
        |bundle: &Bundle| to_canonical(&ask(bundle, "bank/list", &Value::Null, &[])).unwrap();
    let first = bytes(&bundle);
    for _ in 0..20 {
        assert_eq!(bytes(&bundle), first);
        assert_eq!(bytes(&load(&text).unwrap()), first);
    }
}
