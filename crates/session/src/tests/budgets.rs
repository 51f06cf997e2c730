//! Sums of the whole session: what is beyond them asks, and a sweep suspends.

use chancery_audit::{BrakeOn, BrakeRelease, Label, Ruling};
use serde_json::{Value, json};

use super::world::{Live, World, all_tools, with_rules};
use crate::{Event, Reason};

const EVERYTHING: &str = r#"@id("all") permit (principal, action, resource);"#;

fn world(rules: Value) -> (World, Live, chancery_delegation::VerifiedChain) {
    let mut world = World::new();
    world.policy = with_rules(EVERYTHING, rules);
    let chain = world.root(0, all_tools());
    let live = world.open(&chain);
    (world, live, chain)
}

fn pay(units: u64) -> (&'static str, Value) {
    ("pay", json!({"amount": units * 100}))
}

fn list(account: u64) -> (&'static str, Value) {
    ("list", json!({"account": account.to_string()}))
}

#[test]
fn z6_two_steps_of_thirty_thousand_under_fifty_the_second_asks() {
    let (world, mut live, chain) =
        world(json!({"ask_beyond": {"cost_micros": 50_000_000_000_u64}}));
    let (first, _) = world.call(&mut live, 0, &chain, 1, pay(30_000));
    assert_eq!(first.ruling(), Ruling::Allow);
    let (second, permit) = world.call(&mut live, 0, &chain, 2, pay(30_000));
    assert_eq!((second.ruling(), permit), (Ruling::Escalate, None));
    assert_eq!(second.determining(), ["budget:cost"]);
    // A smaller one still fits, and what was asked cost nothing.
    let (third, _) = world.call(&mut live, 0, &chain, 3, pay(20_000));
    assert_eq!(third.ruling(), Ruling::Allow);
    let (fourth, _) = world.call(&mut live, 0, &chain, 4, pay(1));
    assert_eq!(fourth.ruling(), Ruling::Escalate);
    live.check(world.session);
}

#[test]
fn z6_what_was_judged_beside_another_is_not_taken() {
    let (world, mut live, chain) =
        world(json!({"ask_beyond": {"cost_micros": 50_000_000_000_u64}}));
    let left = world.judge(&live, 0, &chain, 1, pay(30_000));
    let right = world.judge(&live, 0, &chain, 2, pay(30_000));
    assert_eq!(
        (left.ruling(), right.ruling()),
        (Ruling::Allow, Ruling::Allow)
    );
    live.step(Event::Decide(Box::new(left))).unwrap();
    assert_eq!(
        live.step(Event::Decide(Box::new(right))),
        Err(crate::Fault::StaleJudgement)
    );
}

#[test]
fn z6_calls_cost_and_resources_ask_beyond_their_limits() {
    for (limits, name, within) in [
        (json!({"calls": 2}), "budget:calls", [list(1), list(2)]),
        (
            json!({"cost_micros": 2_000_000}),
            "budget:cost",
            [pay(1), pay(1)],
        ),
        (
            json!({"resources": 2}),
            "budget:resources",
            [list(1), list(2)],
        ),
    ] {
        let (world, mut live, chain) = world(json!({
            "ask_beyond": limits,
            "tools": {"bank/list": {"resource_arg": "account"}}
        }));
        for (execution, call) in (1..).zip(within) {
            let (judged, _) = world.call(&mut live, 0, &chain, execution, call);
            assert_eq!(judged.ruling(), Ruling::Allow, "{name}");
        }
        let beyond = match name {
            "budget:cost" => pay(1),
            _ => list(3),
        };
        let judged = world.judge(&live, 0, &chain, 9, beyond);
        assert_eq!(
            (judged.ruling(), judged.determining()),
            (Ruling::Escalate, &[Label::or_digest(name)][..])
        );
    }
}

#[test]
fn z6_rows_are_those_that_a_call_asks_for() {
    let (world, mut live, chain) = world(json!({
        "ask_beyond": {"rows": 20},
        "tools": {"bank/list": {"rows_arg": "rows"}}
    }));
    let rows = |rows: Value| ("list", json!({"rows": rows}));
    for execution in 1..3 {
        let (judged, _) = world.call(&mut live, 0, &chain, execution, rows(json!(10)));
        assert_eq!(judged.ruling(), Ruling::Allow);
    }
    let judged = world.judge(&live, 0, &chain, 9, rows(json!(1)));
    assert_eq!(judged.determining(), ["budget:rows"]);
    for unknown in [json!(-1), json!(0), json!("10"), json!(null)] {
        let judged = world.judge(&live, 0, &chain, 9, rows(unknown));
        assert_eq!(judged.reason(), Reason::RowsUnknown);
    }
    let judged = world.judge(&live, 0, &chain, 9, ("list", json!({})));
    assert_eq!(judged.reason(), Reason::RowsUnknown);
}

#[test]
fn z6_time_asks_once_it_is_over() {
    let (world, mut live, chain) = world(json!({"ask_beyond": {"minutes": 10}}));
    live.now = live.now.plus_seconds(659);
    assert_eq!(
        world.judge(&live, 0, &chain, 1, list(1)).ruling(),
        Ruling::Allow
    );
    live.now = live.now.plus_seconds(1);
    let judged = world.judge(&live, 0, &chain, 1, list(1));
    assert_eq!(judged.determining(), ["budget:minutes"]);
}

#[test]
fn z6_workers_and_roots_share_one_sum() {
    let (mut world, mut live, chain) =
        world(json!({"ask_beyond": {"cost_micros": 50_000_000_000_u64}}));
    let worker = world.link(&chain, 0, 1, all_tools());
    live.step(Event::Join(Box::new(world.joining(1, &worker))))
        .unwrap();
    world.call(&mut live, 0, &chain, 1, pay(30_000));
    let (second, _) = world.call(&mut live, 1, &worker, 2, pay(30_000));
    assert_eq!(second.ruling(), Ruling::Escalate);
    let further = world.root(0, all_tools());
    let third = world.judge(&live, 0, &further, 3, pay(30_000));
    assert_eq!(third.ruling(), Ruling::Escalate);
}

#[test]
fn z6_a_person_lets_one_act_pass_and_the_next_asks_again() {
    let (world, mut live, chain) =
        world(json!({"ask_beyond": {"cost_micros": 50_000_000_000_u64}}));
    world.call(&mut live, 0, &chain, 1, pay(30_000));
    world.call(&mut live, 0, &chain, 2, pay(30_000));
    live.step(Event::Ask(world.question(2, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    let (approved, _) = world.call(&mut live, 0, &chain, 3, pay(30_000));
    assert_eq!(approved.reason(), Reason::Approved);
    assert_eq!(approved.determining(), ["all", "budget:cost"]);
    let (again, _) = world.call(&mut live, 0, &chain, 4, pay(30_000));
    assert_eq!(again.ruling(), Ruling::Escalate);
    live.check(world.session);
}

/// What is approved beyond a sum is approved at that sum.
#[test]
fn z6_an_approval_beyond_a_sum_is_void_once_the_sum_has_grown() {
    let (world, mut live, chain) =
        world(json!({"ask_beyond": {"cost_micros": 50_000_000_000_u64}}));
    world.call(&mut live, 0, &chain, 1, pay(20_000));
    let (asked, _) = world.call(&mut live, 0, &chain, 2, pay(40_000));
    assert_eq!(asked.determining(), ["budget:cost"]);
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    let [sum] = open.sums(world.policy.sessions())[..] else {
        panic!()
    };
    assert_eq!(
        (sum.name, sum.total, sum.limit),
        ("budget:cost", 20_000_000_000, 50_000_000_000)
    );
    live.step(Event::Ask(world.question(2, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    // Before it resumes, another call fills the sum.
    let (between, _) = world.call(&mut live, 0, &chain, 3, pay(30_000));
    assert_eq!(between.ruling(), Ruling::Allow);
    let (resumed, _) = world.call(&mut live, 0, &chain, 4, pay(40_000));
    assert_eq!(resumed.ruling(), Ruling::Escalate);
    assert_eq!(resumed.determining(), ["budget:cost"]);
    live.check(world.session);
}

#[test]
fn o2_a_sweep_through_a_tool_whose_resource_is_not_named_suspends_too() {
    let (world, mut live, chain) = world(json!({"suspend_beyond": {"resources": 50}}));
    let mut reasons = Vec::new();
    for account in 0..60_u8 {
        let (judged, _) = world.call(&mut live, 0, &chain, account + 1, list(account.into()));
        reasons.push(judged.reason());
    }
    assert!(reasons[..50].iter().all(|reason| *reason == Reason::Permit));
    assert_eq!(reasons[50], Reason::BreadthLimit);
}

fn sweeping() -> (World, Live, chancery_delegation::VerifiedChain) {
    world(json!({
        "suspend_beyond": {"resources": 50},
        "tools": {"bank/list": {"resource_arg": "account"}}
    }))
}

#[test]
fn o2_five_linked_resources_pass() {
    let (world, mut live, chain) = sweeping();
    for round in 0..4_u8 {
        for account in 0..5_u8 {
            let call = list(account.into());
            let (judged, _) = world.call(&mut live, 0, &chain, round * 5 + account + 1, call);
            assert_eq!(judged.ruling(), Ruling::Allow);
        }
    }
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    assert_eq!(open.resources(), 5);
}

#[test]
fn o2_a_sweep_of_two_hundred_trips_and_suspends() {
    let (world, mut live, chain) = sweeping();
    let mut reasons = Vec::new();
    for account in 0..200_u8 {
        let (judged, _) = world.call(&mut live, 0, &chain, account + 1, list(account.into()));
        reasons.push(judged.reason());
    }
    assert!(reasons[..50].iter().all(|reason| *reason == Reason::Permit));
    assert_eq!(reasons[50], Reason::BreadthLimit);
    assert!(reasons[51..].iter().all(|reason| *reason == Reason::Paused));
    // What was known before is stopped too, and so are the workers.
    let known = world.judge(&live, 0, &chain, 250, list(1));
    assert_eq!(known.reason(), Reason::Paused);
    assert_eq!(
        known.determining(),
        [Label::or_digest(&format!(
            "brake:session:{}",
            world.session
        ))]
    );
    live.check(world.session);
    // Released, it goes on with what it knows; one more resource suspends it again.
    let release = BrakeRelease {
        on: BrakeOn::Session,
        name: Label::or_digest(&world.session.to_string()),
    };
    live.commons.take(&release.into());
    assert_eq!(
        world.judge(&live, 0, &chain, 250, list(1)).reason(),
        Reason::Permit
    );
    assert_eq!(
        world.judge(&live, 0, &chain, 250, list(99)).reason(),
        Reason::BreadthLimit
    );
}

#[test]
fn o2_a_call_that_hides_its_resource_is_denied() {
    let (world, live, chain) = sweeping();
    for hidden in [
        json!({}),
        json!({"account": null}),
        json!({"account": ["1", "2"]}),
    ] {
        let judged = world.judge(&live, 0, &chain, 1, ("list", hidden));
        assert_eq!(judged.reason(), Reason::ResourceUnknown);
    }
}
