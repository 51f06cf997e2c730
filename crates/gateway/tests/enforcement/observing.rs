//! Observe mode at a real gateway: what passes, what does not, and what a stranger makes of it.

use std::time::Duration;

use chancery_api::ClientError;
use chancery_audit::{Event, ObservedBy, Ruling};
use chancery_crypto::AwsLc;
use chancery_delegation::Verdict;
use chancery_evidence::{NoteValue, ReportOutcome, asked};
use chancery_types::id::SessionId;
use serde_json::json;

use super::plane::{POLICIES, now};
use super::said;
use super::world::{World, count, reasons, tools};

/// Longer than a gateway takes to put another policy in force.
const NEXT_SNAPSHOT: Duration = Duration::from_millis(2_800);

fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
    match result {
        Err(ClientError::Refused(problem)) => problem.reason,
        other => panic!("{other:?}"),
    }
}

/// What policy denies passes and is enrolled as denied; a chain that does not cover it, a proof that is not
/// one and a brake are what they were; and with the next bundle the next call is enforced.
#[tokio::test(flavor = "multi_thread")]
async fn what_policy_denies_passes_until_a_bundle_enforces_it() {
    said::listen();
    let start = said::mark();
    let rules = json!({"observe": {"tools": ["fs/wipe", "fs/note"]}});
    let silent = r#"@id("reads") permit(principal, action == Chancery::Action::"fs/read", resource);
        @id("no-wipe") forbid(principal, action == Chancery::Action::"fs/wipe", resource);"#;
    let world = World::ruled(silent, rules).await;
    said::hear(start, "policy is observed, not enforced").await;
    let mut opened = world.open(&tools()).await;
    let note = || json!({"text": "a"});
    assert_eq!(opened.call("note", note()).await.reason(), "ok");
    assert_eq!(opened.call("wipe", json!({})).await.reason(), "ok");
    assert_eq!(
        opened.call("read", json!({"path": "/a"})).await.reason(),
        "ok"
    );
    // Not observed.
    let paid = opened.call("pay", json!({"amount": 5})).await;
    assert_eq!(paid.reason(), "policy_no_match");
    // Not policy's to say.
    let listed = opened.call("list", json!({})).await;
    assert_eq!(listed.reason(), "not_in_scope");
    let (agent, chain) = (&opened.agent, &opened.chain);
    let proof = agent.proof(chain, "note", &json!({"text": "b"}));
    let connection = &mut opened.connection;
    let other = connection.call_with(chain, &proof, "note", &note()).await;
    assert_eq!(other.reason(), "pop_mismatch");
    assert_eq!(world.forwarded().len(), 3);

    let session: SessionId = opened.session.parse().unwrap();
    let view = world.operator().session(session).await.unwrap();
    assert_eq!(view.observed.as_deref(), Some("fs/note, fs/wipe"));
    assert_eq!(view.counts.unenforced, Some(2));

    world.plane.publish(3, silent).await;
    tokio::time::sleep(NEXT_SNAPSHOT).await;
    assert_eq!(
        opened.call("note", note()).await.reason(),
        "policy_no_match"
    );
    assert_eq!(
        opened.call("wipe", json!({})).await.reason(),
        "policy_forbid"
    );
    let view = world.operator().session(session).await.unwrap();
    assert_eq!(view.observed, None);
    opened.end().await;

    let log = world.log().await;
    let said: Vec<_> = log
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Decision(it) => it.unenforced.as_ref().map(|said| {
                (
                    it.outcome,
                    it.reason.to_string(),
                    said.outcome,
                    said.reason.to_string(),
                    said.by,
                )
            }),
            _ => None,
        })
        .collect();
    let passed = |reason: &str| {
        let reason = reason.to_owned();
        let observed = "observed".to_owned();
        (
            Ruling::Allow,
            observed,
            Ruling::Deny,
            reason,
            ObservedBy::Tool,
        )
    };
    assert_eq!(said, [passed("policy_no_match"), passed("policy_forbid")]);
    // The decision stands in the log before the outcome, as of any other call.
    let place = |wanted: &dyn Fn(&Event) -> bool| log.iter().position(|it| wanted(&it.event));
    let decided = place(&|it| matches!(it, Event::Decision(it) if it.reason == "observed"));
    let ended = place(&|it| matches!(it, Event::Outcome(_)));
    assert!(decided.unwrap() < ended.unwrap());

    let files = world.evidence(&opened.session).await;
    let report = world.report(&opened.session).await;
    assert_eq!(report.findings, [], "{report:?}");
    assert_eq!(report.outcome, ReportOutcome::Unenforced);
    let noted = report.notes.iter();
    let noted = noted.filter(|note| note.value == NoteValue::Unenforced);
    assert_eq!(noted.count(), 2);
    let recorded = asked(&files, &world.plane.trust, &AwsLc, now()).unwrap();
    let unenforced = recorded.asked.iter().filter(|one| one.unenforced);
    assert_eq!(unenforced.count(), 2);
}

/// One session, by the operator's act, where the bundle lets them.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_one_session_observed_where_the_bundle_lets_them() {
    let mut world = World::ruled(POLICIES, json!({"observe": {"named_sessions": true}})).await;
    let mut opened = world.open(&tools()).await;
    let mut other = world.open(&tools()).await;
    let session: SessionId = opened.session.parse().unwrap();
    let pay = || json!({"amount": 5});
    let question = world.asked(&mut opened, &pay()).await;
    world.plane.answer(&question, Verdict::Deny).await;
    assert_eq!(opened.call("pay", pay()).await.reason(), "approval_denied");

    world.operator().observe(session).await.unwrap();
    assert_eq!(
        refusal(world.operator().observe(session).await),
        "observed_already"
    );
    let view = world.operator().session(session).await.unwrap();
    assert_eq!(view.observed.as_deref(), Some("every call of this session"));
    // What a person refused stays refused; what may destroy asks; other sessions are enforced.
    assert_eq!(opened.call("pay", pay()).await.reason(), "approval_denied");
    let wiped = opened.call("wipe", json!({})).await;
    assert_eq!(wiped.reason(), "approval-pending");
    let question = world.plane.question().await;
    let told = &question.request.subject.policies;
    assert_eq!(told, &["irreversible", "unenforced:policy_forbid"]);
    world.plane.answer(&question, Verdict::Approve).await;
    assert_eq!(opened.call("wipe", json!({})).await.reason(), "ok");
    assert_eq!(
        other.call("wipe", json!({})).await.reason(),
        "policy_forbid"
    );
    assert_eq!(world.forwarded().len(), 1);

    // It outlives a restart, and ends with the operator's word.
    world.stop_gateway().await;
    world.start_gateway(|_| {}).await;
    let view = world.operator().session(session).await.unwrap();
    assert_eq!(view.observed.as_deref(), Some("every call of this session"));
    world.operator().enforce(session).await.unwrap();
    assert_eq!(
        refusal(world.operator().enforce(session).await),
        "observe_unknown"
    );
    let mut connection = opened.agent.connect(world.address).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let reply = connection.call(agent, chain, "wipe", json!({})).await;
    assert_eq!(reply.reason(), "policy_forbid");
    let ended = connection.control("POST", &opened.session, "/end").await;
    assert_eq!(ended.reason(), "ok");
    assert_eq!(
        refusal(world.operator().observe(session).await),
        "session_unknown"
    );

    let log = world.log().await;
    assert_eq!(count(&log, "observe.set"), 1);
    assert_eq!(count(&log, "observe.end"), 1);
    assert_eq!(
        reasons(&log).iter().filter(|it| **it == "observed").count(),
        1
    );
    let report = world.report(&opened.session).await;
    assert_eq!(report.findings, [], "{report:?}");
    assert_eq!(report.outcome, ReportOutcome::Unenforced);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_is_observed_against_the_bundle_nor_by_an_agent() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let session: SessionId = opened.session.parse().unwrap();
    let operator = world.operator();
    assert_eq!(
        refusal(operator.observe(session).await),
        "observe_not_offered"
    );
    assert_eq!(refusal(operator.enforce(session).await), "observe_unknown");
    let path = format!("/v1/sessions/{session}/observe");
    for method in ["POST", "GET", "PUT"] {
        let reply = opened
            .connection
            .send(method, &path, &[], "{}".to_owned())
            .await;
        // There is no such way at all, not one that is refused.
        assert_eq!(reply.status.as_u16(), 404, "{method}: {reply:?}");
    }
    // Nor by what an agent says beside its call.
    assert_eq!(
        opened.call("wipe", json!({})).await.reason(),
        "policy_forbid"
    );
    // The same connection is heard where there is a way.
    opened.end().await;
    let log = world.log().await;
    let marks = ["observe.set", "observe.end"].map(|name| count(&log, name));
    assert_eq!(marks, [0, 0]);
    assert_eq!(count(&log, "session.end"), 1);
}
