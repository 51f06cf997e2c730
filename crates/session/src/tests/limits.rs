use chancery_audit::Ruling;
use serde_json::{Value, json};

use super::world::{Terms3, World, everything, tool};
use crate::{Budgets, Event, Reason};

fn limited(limits: Value) -> Terms3 {
    Terms3 {
        entries: vec![tool("pay", limits.clone()), tool("list", limits)],
        ..Terms3::default()
    }
}

fn pay(cents: i64) -> (&'static str, Value) {
    ("pay", json!({"amount": cents}))
}

const LIST: (&str, Value) = ("list", Value::Null);

#[test]
fn two_steps_do_not_pass_what_one_would_not() {
    let mut world = World::new();
    // 500 cents are 5,000,000 micros.
    let chain = world.root(0, limited(json!({"max_cost_micros": 5_000_000})));
    let mut live = world.open(&chain);
    let (first, _) = world.call(&mut live, 0, &chain, 1, pay(300));
    assert_eq!(first.ruling(), Ruling::Allow);
    let (second, permit) = world.call(&mut live, 0, &chain, 2, pay(300));
    assert_eq!((second.reason(), permit), (Reason::CostLimit, None));
    let (third, _) = world.call(&mut live, 0, &chain, 3, pay(200));
    assert_eq!(third.ruling(), Ruling::Allow);
    let (fourth, _) = world.call(&mut live, 0, &chain, 4, pay(1));
    assert_eq!(fourth.reason(), Reason::CostLimit);
    // What was denied cost nothing.
    assert_eq!(
        live.session
            .as_ref()
            .unwrap()
            .as_open()
            .unwrap()
            .counts()
            .cost_micros,
        5_000_000
    );
    live.check(world.session);
}

#[test]
fn fan_out_multiplies_no_limit() {
    let mut world = World::new();
    let chain = world.root(0, limited(json!({"max_calls": 3})));
    let mut live = world.open(&chain);
    let workers: Vec<_> = (1..4)
        .map(|n| {
            let worker = world.link(&chain, 0, n, limited(json!({"max_calls": 3})));
            live.step(Event::Join(Box::new(world.joining(n, &worker))))
                .unwrap();
            worker
        })
        .collect();
    let mut allowed = 0;
    let mut execution = 0;
    for _ in 0..3 {
        for (n, worker) in (1..).zip(&workers) {
            execution += 1;
            let (judged, _) = world.call(&mut live, n, worker, execution, LIST);
            allowed += u64::from(judged.ruling() == Ruling::Allow);
        }
    }
    assert_eq!(allowed, 3);
    let (own, _) = world.call(&mut live, 0, &chain, 99, LIST);
    assert_eq!(own.reason(), Reason::CallLimit);
    // The other tool has a limit of its own.
    let (other, _) = world.call(&mut live, 0, &chain, 98, pay(1));
    assert_eq!(other.ruling(), Ruling::Allow);
    live.check(world.session);
}

#[test]
fn a_middle_link_limits_all_below_it() {
    let mut world = World::new();
    let chain = world.root(0, limited(json!({"max_calls": 9})));
    let middle = world.link(&chain, 0, 1, limited(json!({"max_calls": 2})));
    let (left, right) = (
        world.link(&middle, 1, 2, limited(json!({"max_calls": 2}))),
        world.link(&middle, 1, 3, limited(json!({"max_calls": 1}))),
    );
    let mut live = world.open(&chain);
    for (n, chain) in [(2, &left), (3, &right)] {
        live.step(Event::Join(Box::new(world.joining(n, chain))))
            .unwrap();
    }
    let (first, _) = world.call(&mut live, 3, &right, 1, LIST);
    assert_eq!(first.ruling(), Ruling::Allow);
    let (second, _) = world.call(&mut live, 3, &right, 2, LIST);
    assert_eq!(second.reason(), Reason::CallLimit);
    let (third, _) = world.call(&mut live, 2, &left, 3, LIST);
    assert_eq!(third.ruling(), Ruling::Allow);
    let (fourth, _) = world.call(&mut live, 2, &left, 4, LIST);
    assert_eq!(fourth.reason(), Reason::CallLimit);
    let (fifth, _) = world.call(&mut live, 0, &chain, 5, LIST);
    assert_eq!(fifth.ruling(), Ruling::Allow);
    live.check(world.session);
}

#[test]
fn a_further_root_multiplies_nothing() {
    let mut world = World::new();
    let chain = world.root(0, limited(json!({"max_calls": 2})));
    let mut live = world.open(&chain);
    world.call(&mut live, 0, &chain, 1, LIST);
    world.call(&mut live, 0, &chain, 2, LIST);
    let same = world.root(0, limited(json!({"max_calls": 2})));
    let (judged, _) = world.call(&mut live, 0, &same, 3, LIST);
    assert_eq!(judged.reason(), Reason::CallLimit);
    // One that the person signed in view of what was spent.
    let more = world.root(0, limited(json!({"max_calls": 3})));
    let (judged, _) = world.call(&mut live, 0, &more, 4, LIST);
    assert_eq!(judged.ruling(), Ruling::Allow);
    let (judged, _) = world.call(&mut live, 0, &more, 5, LIST);
    assert_eq!(judged.reason(), Reason::CallLimit);
    live.check(world.session);
}

#[test]
fn entries_of_one_root_add_up() {
    let mut world = World::new();
    let what = |lo, hi, most| {
        let mut entry = tool("pay", json!({"max_calls": most})).to_json();
        entry["args"] = json!({"amount": {"int_range": [lo, hi]}});
        chancery_delegation::Entry::parse(&entry).unwrap()
    };
    let chain = world.root(
        0,
        Terms3 {
            entries: vec![what(1, 10, 1), what(11, 20, 2)],
            ..Terms3::default()
        },
    );
    let mut live = world.open(&chain);
    let mut reasons = Vec::new();
    for (execution, cents) in (1..).zip([5, 15, 15, 5, 15]) {
        reasons.push(
            world
                .call(&mut live, 0, &chain, execution, pay(cents))
                .0
                .reason(),
        );
    }
    use Reason::{CallLimit, Permit};
    assert_eq!(reasons, [Permit, Permit, Permit, CallLimit, CallLimit]);
    live.check(world.session);
}

#[test]
fn a_limit_of_zero_is_none_at_all() {
    let mut world = World::new();
    let chain = world.root(0, limited(json!({"max_calls": 0})));
    let live = world.open(&chain);
    assert_eq!(
        world.judge(&live, 0, &chain, 1, LIST).reason(),
        Reason::CallLimit
    );
    let chain = world.root(0, limited(json!({"max_cost_micros": 0})));
    assert_eq!(
        world.judge(&live, 0, &chain, 1, LIST).reason(),
        Reason::Permit
    );
    assert_eq!(
        world.judge(&live, 0, &chain, 1, pay(1)).reason(),
        Reason::CostLimit
    );
}

#[test]
fn the_budget_is_the_whole_sessions() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let budgets = Budgets {
        max_calls: Some(3),
        max_cost_micros: Some(4_000_000),
    };
    let mut live = world.open_with(&chain, budgets);
    let worker = world.link(&chain, 0, 1, everything());
    live.step(Event::Join(Box::new(world.joining(1, &worker))))
        .unwrap();
    assert_eq!(
        world.call(&mut live, 0, &chain, 1, pay(300)).0.ruling(),
        Ruling::Allow
    );
    assert_eq!(
        world.call(&mut live, 1, &worker, 2, pay(300)).0.reason(),
        Reason::SessionCostLimit
    );
    assert_eq!(
        world.call(&mut live, 1, &worker, 3, LIST).0.ruling(),
        Ruling::Allow
    );
    assert_eq!(
        world.call(&mut live, 1, &worker, 4, LIST).0.ruling(),
        Ruling::Allow
    );
    assert_eq!(
        world.call(&mut live, 0, &chain, 5, LIST).0.reason(),
        Reason::SessionCallLimit
    );
    live.check(world.session);
}

#[test]
fn nobody_is_asked_for_what_a_limit_denies() {
    let mut world = World::new();
    let chain = world.root(0, limited(json!({"max_cost_micros": 5_000_000})));
    let live = world.open(&chain);
    assert_eq!(
        world.judge(&live, 0, &chain, 1, pay(2_000)).reason(),
        Reason::CostLimit
    );
}
