//! Permissions: none at the start, made just in time, for one tool and one resource.

use chancery_audit::Ruling;
use chancery_types::Timestamp;
use serde_json::{Value, json};

use super::world::{Live, POLICIES, START, World, all_tools, everything, id, with_rules};
use crate::{Basis, Event, Fault, Permission, Reason};

const LISTING: &str = r#"
@id("look") @effect("ask") permit (principal, action == Chancery::Action::"bank/list", resource);
"#;

fn list(account: &str) -> (&'static str, Value) {
    ("list", json!({"account": account}))
}

fn permissions(live: &Live) -> Vec<Permission> {
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    open.permissions(live.now)
}

fn approve(world: &World, live: &mut Live, execution: u8, approval: u8) {
    live.step(Event::Ask(world.question(execution, approval)))
        .unwrap();
    let answer = world.answer(world.statement(live, approval));
    live.step(Event::Answer(Box::new(answer))).unwrap();
}

/// A world in which an approval of `list` holds for a minute for the same account.
fn standing() -> (World, Live, chancery_delegation::VerifiedChain) {
    let mut world = World::new();
    world.policy = with_rules(
        LISTING,
        json!({"tools": {"bank/list": {"resource_arg": "account", "grant_seconds": 60}}}),
    );
    let chain = world.root(0, all_tools());
    let live = world.open(&chain);
    (world, live, chain)
}

#[test]
fn s2_a_session_opens_with_no_permission() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = Live::new(world.session);
    live.step(Event::Open(Box::new(world.opening(0, &chain))))
        .unwrap();
    assert_eq!(permissions(&live), []);
    live.step(Event::Join(Box::new(world.joining(0, &chain))))
        .unwrap();
    assert_eq!(permissions(&live), []);
}

#[test]
fn z5_a_decision_permits_one_execution_while_it_runs() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    world.call(&mut live, 0, &chain, 1, ("pay", json!({"amount": 5})));
    let held = permissions(&live);
    let [held] = held.as_slice() else {
        panic!("{held:?}")
    };
    assert_eq!(held.basis, Basis::Decision(id(1)));
    assert_eq!(
        (&held.reach.server, &held.reach.name),
        (&"bank".parse().unwrap(), &"pay".parse().unwrap())
    );
    assert_eq!(held.reach.instance, world.name(0));
    assert_eq!(held.expires, Timestamp::from_seconds(START + 3_600));
    live.end_execution(1).unwrap();
    assert_eq!(permissions(&live), []);
    // What is denied or asked permits nothing.
    world.call(
        &mut live,
        0,
        &chain,
        2,
        ("pay", json!({"amount": 2_000_000})),
    );
    world.call(&mut live, 0, &chain, 3, ("pay", json!({"amount": 5_000})));
    assert_eq!(permissions(&live), []);
    live.check(world.session);
}

#[test]
fn z5_an_approval_permits_the_exact_action_once() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let large = || ("pay", json!({"amount": 5_000}));
    world.call(&mut live, 0, &chain, 1, large());
    approve(&world, &mut live, 1, 1);
    assert_eq!(permissions(&live)[0].basis, Basis::Approval(id(1)));
    let other = world.judge(&live, 0, &chain, 2, ("pay", json!({"amount": 5_001})));
    assert_eq!(other.ruling(), Ruling::Escalate);
    let (done, _) = world.call(&mut live, 0, &chain, 2, large());
    assert_eq!(done.reason(), Reason::Approved);
    live.end_execution(2).unwrap();
    assert_eq!(permissions(&live), []);
    assert_eq!(
        world.judge(&live, 0, &chain, 3, large()).ruling(),
        Ruling::Escalate
    );
    live.check(world.session);
}

#[test]
fn z2_an_approval_may_hold_for_one_tool_and_one_resource_until_it_lapses() {
    let (world, mut live, chain) = standing();
    world.call(&mut live, 0, &chain, 1, list("a"));
    approve(&world, &mut live, 1, 1);
    let held = permissions(&live);
    assert_eq!(held[0].basis, Basis::Standing(id(1)));
    assert_eq!(held[0].expires, Timestamp::from_seconds(START + 60));
    for execution in 2..5 {
        let (judged, _) = world.call(&mut live, 0, &chain, execution, list("a"));
        assert_eq!(judged.reason(), Reason::Approved, "{execution}");
    }
    // Other arguments on the same resource are the same class.
    let rows = ("list", json!({"account": "a", "rows": 5}));
    assert_eq!(
        world.judge(&live, 0, &chain, 9, rows).reason(),
        Reason::Approved
    );
    assert_eq!(
        world.judge(&live, 0, &chain, 9, list("b")).ruling(),
        Ruling::Escalate
    );
    live.now = live.now.plus_seconds(60);
    assert_eq!(
        world.judge(&live, 0, &chain, 9, list("a")).ruling(),
        Ruling::Escalate
    );
    live.check(world.session);
}

#[test]
fn z2_a_standing_approval_is_one_instances_own() {
    let (mut world, mut live, chain) = standing();
    let worker = world.link(&chain, 0, 1, all_tools());
    live.step(Event::Join(Box::new(world.joining(1, &worker))))
        .unwrap();
    world.call(&mut live, 0, &chain, 1, list("a"));
    approve(&world, &mut live, 1, 1);
    assert_eq!(
        world.judge(&live, 1, &worker, 2, list("a")).ruling(),
        Ruling::Escalate
    );
    assert_eq!(
        world.judge(&live, 0, &chain, 2, list("a")).ruling(),
        Ruling::Allow
    );
}

#[test]
fn z2_a_standing_approval_answers_no_sum_and_no_mission() {
    let (mut world, mut live, chain) = standing();
    world.policy = with_rules(
        LISTING,
        json!({
            "ask_beyond": {"calls": 1},
            "tools": {"bank/list": {"resource_arg": "account", "grant_seconds": 60}}
        }),
    );
    live = {
        drop(live);
        world.open(&chain)
    };
    world.call(&mut live, 0, &chain, 1, list("a"));
    approve(&world, &mut live, 1, 1);
    let (first, _) = world.call(&mut live, 0, &chain, 2, list("a"));
    assert_eq!(first.reason(), Reason::Approved);
    let second = world.judge(&live, 0, &chain, 3, list("a"));
    assert_eq!(second.ruling(), Ruling::Escalate);
    assert_eq!(second.determining(), ["budget:calls"]);
    world.step = None;
    let off_plan = world.judge(&live, 0, &chain, 3, list("a"));
    assert_eq!(off_plan.determining(), ["budget:calls", "mission:no-step"]);
}

const PAYING: &str = r#"
@id("any-pay") @effect("ask")
  permit (principal, action == Chancery::Action::"bank/pay", resource);
"#;

/// A world in which an approval of `pay` holds for a minute for the same amount's account.
fn standing_pay() -> (World, Live, chancery_delegation::VerifiedChain) {
    let mut world = World::new();
    world.policy = with_rules(
        PAYING,
        json!({"tools": {"bank/pay": {"resource_arg": "to", "grant_seconds": 60}}}),
    );
    let chain = world.root(0, all_tools());
    let live = world.open(&chain);
    (world, live, chain)
}

fn pay(amount: u64) -> (&'static str, Value) {
    ("pay", json!({"amount": amount, "to": "x"}))
}

#[test]
fn z2_a_standing_approval_covers_nothing_dearer() {
    let (world, mut live, chain) = standing_pay();
    world.call(&mut live, 0, &chain, 1, pay(5));
    approve(&world, &mut live, 1, 1);
    for amount in [5, 4] {
        let judged = world.judge(&live, 0, &chain, 2, pay(amount));
        assert_eq!(judged.reason(), Reason::Approved, "{amount}");
    }
    for amount in [6, 999_999] {
        let judged = world.judge(&live, 0, &chain, 2, pay(amount));
        assert_eq!(judged.ruling(), Ruling::Escalate, "{amount}");
    }
}

#[test]
fn z2_an_anomaly_ends_what_stands() {
    let (mut world, mut live, chain) = standing();
    world.call(&mut live, 0, &chain, 1, list("a"));
    approve(&world, &mut live, 1, 1);
    assert_eq!(
        world.judge(&live, 0, &chain, 2, list("a")).reason(),
        Reason::Approved
    );
    let mut draft = world.root_draft(0, all_tools());
    draft.sid = id::<chancery_types::id::SessionKind>(9).to_string();
    let foreign = world.sign(&draft);
    let (denied, _) = world.call(&mut live, 0, &foreign, 2, list("a"));
    assert_eq!(denied.reason(), Reason::WrongSession);
    assert_eq!(permissions(&live), []);
    assert_eq!(
        world.judge(&live, 0, &chain, 3, list("a")).ruling(),
        Ruling::Escalate
    );
    live.check(world.session);
}

#[test]
fn z2_another_policy_voids_what_stands() {
    let (mut world, mut live, chain) = standing();
    world.call(&mut live, 0, &chain, 1, list("a"));
    approve(&world, &mut live, 1, 1);
    world.policy = with_rules(
        &format!(
            "{LISTING}@id(\"more\") forbid (principal, action, resource) when {{ context.session.calls > 99 }};"
        ),
        json!({"tools": {"bank/list": {"resource_arg": "account", "grant_seconds": 60}}}),
    );
    assert_eq!(
        world.judge(&live, 0, &chain, 2, list("a")).ruling(),
        Ruling::Escalate
    );
}

#[test]
fn s1_a_grant_of_another_session_is_refused() {
    let (world, mut live, chain) = standing();
    world.call(&mut live, 0, &chain, 1, list("a"));
    approve(&world, &mut live, 1, 1);
    // Another session of the same person, agent and mission.
    let mut elsewhere = World::new();
    elsewhere.policy = world.policy.clone();
    elsewhere.session = id(9);
    let other_chain = elsewhere.root(0, all_tools());
    let mut other = elsewhere.open(&other_chain);
    let (judged, _) = elsewhere.call(&mut other, 0, &other_chain, 1, list("a"));
    assert_eq!(judged.ruling(), Ruling::Escalate);
    assert_eq!(permissions(&other), []);
    // Nor is the answer itself taken there.
    other.step(Event::Ask(elsewhere.question(1, 2))).unwrap();
    let mut statement = elsewhere.statement(&other, 2);
    statement.session = world.session;
    let answer = elsewhere.answer(statement);
    assert_eq!(
        other.step(Event::Answer(Box::new(answer))),
        Err(Fault::ApprovalMismatch)
    );
    assert_eq!(permissions(&other), []);
}

#[test]
fn s3_what_leaves_or_ends_holds_nothing() {
    let (world, mut live, chain) = standing();
    world.call(&mut live, 0, &chain, 1, list("a"));
    approve(&world, &mut live, 1, 1);
    live.step(Event::Leave(crate::Leaving {
        instance: world.name(0),
        reason: chancery_audit::LeaveReason::Completed,
    }))
    .unwrap();
    assert_eq!(permissions(&live), []);
    live.check(world.session);
}

#[test]
fn z10_no_answer_and_a_refusal_permit_nothing() {
    let (world, mut live, chain) = standing();
    world.call(&mut live, 0, &chain, 1, list("a"));
    live.step(Event::Ask(world.question(1, 1))).unwrap();
    let mut statement = world.statement(&live, 1);
    statement.verdict = chancery_delegation::Verdict::Deny;
    let refusal = world.answer(statement);
    live.step(Event::Answer(Box::new(refusal))).unwrap();
    assert_eq!(permissions(&live), []);
    world.call(&mut live, 0, &chain, 2, list("b"));
    live.step(Event::Ask(world.question(2, 2))).unwrap();
    let answer = world.answer(world.statement(&live, 2));
    live.now = live.now.plus_seconds(600);
    assert_eq!(
        live.step(Event::Answer(Box::new(answer))),
        Err(Fault::ApprovalExpired)
    );
    assert_eq!(permissions(&live), []);
}

/// The policies of every other test grant nothing that stands.
#[test]
fn z5_without_rules_nothing_stands() {
    let mut world = World::new();
    world.policy = with_rules(POLICIES, json!({}));
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let large = || ("pay", json!({"amount": 5_000}));
    world.call(&mut live, 0, &chain, 1, large());
    approve(&world, &mut live, 1, 1);
    world.call(&mut live, 0, &chain, 2, large());
    assert_eq!(
        world.judge(&live, 0, &chain, 3, large()).ruling(),
        Ruling::Escalate
    );
}
