//! Trust: earned in this session by this instance, and by nothing else.

use chancery_audit::{Event as Logged, OutcomeStatus, Ruling};
use serde_json::{Value, json};

use super::world::{Live, World, bundle, everything, id};
use crate::{Event, ExecutionEnd, Reason, Session};

const FLOOR: &str = r#"
@id("reads") permit (principal, action == Chancery::Action::"bank/list", resource);
@id("pays") permit (principal, action == Chancery::Action::"bank/pay", resource);
@id("floor") @effect("ask")
  permit (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.session.trust < 120 };
"#;

const LIST: (&str, Value) = ("list", Value::Null);

fn list(account: u8) -> (&'static str, Value) {
    ("list", json!({"account": account.to_string()}))
}

fn pay() -> (&'static str, Value) {
    ("pay", json!({"amount": 5}))
}

fn trust(live: &Live, holder: usize, world: &World) -> u64 {
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    let name = world.name(holder);
    open.trust(live.now)
        .find(|(known, _)| **known == name)
        .map(|(_, trust)| trust)
        .unwrap()
}

fn ended(live: &mut Live, execution: u8, status: OutcomeStatus) {
    live.step(Event::Outcome(ExecutionEnd {
        execution: id(execution),
        status,
        result: None,
        bytes: 0,
        micros: 1,
    }))
    .unwrap();
}

#[test]
fn s6_more_trust_is_earned_and_then_the_call_passes() {
    let mut world = World::new();
    world.policy = bundle(FLOOR);
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let (asked, _) = world.call(&mut live, 0, &chain, 1, pay());
    assert_eq!(
        (asked.ruling(), asked.determining()),
        (Ruling::Escalate, &["floor".parse().unwrap()][..])
    );
    for execution in 2..4 {
        world.call(&mut live, 0, &chain, execution, list(execution));
        live.end_execution(execution).unwrap();
    }
    assert_eq!(trust(&live, 0, &world), 120);
    let (passed, _) = world.call(&mut live, 0, &chain, 4, pay());
    assert_eq!(passed.reason(), Reason::Permit);
    // What was earned decays.
    live.now = live.now.plus_seconds(600);
    assert_eq!(
        world.judge(&live, 0, &chain, 5, pay()).ruling(),
        Ruling::Escalate
    );
    live.check(world.session);
}

#[test]
fn s4_trust_is_not_inherited() {
    let mut world = World::new();
    world.policy = bundle(FLOOR);
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    for execution in 1..6 {
        world.call(&mut live, 0, &chain, execution, list(execution));
        live.end_execution(execution).unwrap();
    }
    assert_eq!(trust(&live, 0, &world), 150);
    // Not by a worker of the trusted one,
    let worker = world.link(&chain, 0, 1, everything());
    live.step(Event::Join(Box::new(world.joining(1, &worker))))
        .unwrap();
    assert_eq!(trust(&live, 1, &world), 100);
    assert_eq!(
        world.judge(&live, 1, &worker, 9, pay()).ruling(),
        Ruling::Escalate
    );
    // and not by the next session of the same one.
    let mut next = World::new();
    next.policy = bundle(FLOOR);
    next.session = id(9);
    let chain = next.root(0, everything());
    let other = next.open(&chain);
    assert_eq!(trust(&other, 0, &next), 100);
}

/// Who lost its trust does not go on through a fresh worker, nor through a worker's worker.
#[test]
fn s4_distrust_is_not_washed_by_a_worker() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    for execution in 1..5 {
        let huge = ("pay", json!({"amount": 2_000_000}));
        world.call(&mut live, 0, &chain, execution, huge);
    }
    assert_eq!(trust(&live, 0, &world), 20);
    let worker = world.link(&chain, 0, 1, everything());
    live.step(Event::Join(Box::new(world.joining(1, &worker))))
        .unwrap();
    assert_eq!(trust(&live, 1, &world), 20);
    // Nor once it has left.
    live.step(Event::Leave(crate::Leaving {
        instance: world.name(0),
        reason: chancery_audit::LeaveReason::Completed,
    }))
    .unwrap();
    let last = world.link(&worker, 1, 2, everything());
    live.step(Event::Join(Box::new(world.joining(2, &last))))
        .unwrap();
    assert_eq!(trust(&live, 2, &world), 20);
    live.check(world.session);
}

#[test]
fn s5_the_same_call_again_earns_nothing() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    for execution in 1..10 {
        world.call(&mut live, 0, &chain, execution, LIST);
        live.end_execution(execution).unwrap();
    }
    assert_eq!(trust(&live, 0, &world), 110);
}

#[test]
fn h5_an_anomaly_lowers_trust_and_raises_an_ask() {
    let mut world = World::new();
    world.policy = bundle(&FLOOR.replace("120", "60"));
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let (before, _) = world.call(&mut live, 0, &chain, 1, pay());
    assert_eq!(before.ruling(), Ruling::Allow);
    // A seeded anomaly: the chain of another session.
    let mut draft = world.root_draft(0, everything());
    draft.sid = id::<chancery_types::id::SessionKind>(9).to_string();
    let foreign = world.sign(&draft);
    let (denied, _) = world.call(&mut live, 0, &foreign, 2, LIST);
    assert_eq!(denied.reason(), Reason::WrongSession);
    assert_eq!(trust(&live, 0, &world), 40);
    let (after, _) = world.call(&mut live, 0, &chain, 3, pay());
    assert_eq!(after.ruling(), Ruling::Escalate);
    // Waiting wins nothing back; work does.
    live.now = live.now.plus_seconds(1_700);
    assert_eq!(trust(&live, 0, &world), 40);
    live.check(world.session);
}

#[test]
fn h5_failures_denials_and_refusals_lower_trust() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    world.call(&mut live, 0, &chain, 1, LIST);
    ended(&mut live, 1, OutcomeStatus::ToolError);
    assert_eq!(trust(&live, 0, &world), 95);
    world.call(
        &mut live,
        0,
        &chain,
        2,
        ("pay", json!({"amount": 2_000_000})),
    );
    assert_eq!(trust(&live, 0, &world), 75);
    world.call(&mut live, 0, &chain, 3, ("pay", json!({"amount": 5_000})));
    live.step(Event::Ask(world.question(3, 1))).unwrap();
    let mut statement = world.statement(&live, 1);
    statement.verdict = chancery_delegation::Verdict::Deny;
    let refusal = world.answer(statement);
    live.step(Event::Answer(Box::new(refusal))).unwrap();
    assert_eq!(trust(&live, 0, &world), 25);
    // Nothing falls below nothing.
    for execution in 4..9 {
        world.call(
            &mut live,
            0,
            &chain,
            execution,
            ("pay", json!({"amount": 2_000_000})),
        );
    }
    assert_eq!(trust(&live, 0, &world), 0);
    live.check(world.session);
}

#[test]
fn s5_off_plan_calls_earn_nothing() {
    let mut world = World::new();
    world.policy = bundle(FLOOR);
    world.step = None;
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    world.call(&mut live, 0, &chain, 1, LIST);
    live.step(Event::Ask(world.question(1, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    let (approved, _) = world.call(&mut live, 0, &chain, 2, LIST);
    assert_eq!(approved.reason(), Reason::Approved);
    live.end_execution(2).unwrap();
    assert_eq!(trust(&live, 0, &world), 100);
}

#[test]
fn s5_the_formula_and_the_level_stand_in_every_decision() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let (judged, _) = world.call(&mut live, 0, &chain, 1, LIST);
    let Some((_, entry)) = live.log.last() else {
        panic!()
    };
    let Logged::Decision(decision) = &entry.event else {
        panic!("{entry:?}")
    };
    let facts = decision.facts.as_ref().unwrap();
    assert_eq!((facts.trust, facts.formula), (100, crate::trust::formula()));
    // A log that says another trust or formula is not what the state gives.
    for change in [0, 1] {
        let mut lie = decision.clone();
        let facts = lie.facts.as_mut().unwrap();
        match change {
            0 => facts.trust = 900,
            _ => facts.formula = chancery_types::Digest::of("chancery/trust/v0"),
        }
        assert!(!judged.matches(&lie));
    }
    let mut silent = decision.clone();
    silent.facts = None;
    assert!(!judged.matches(&silent));
}

#[test]
fn s4_replay_gives_the_same_trust() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let mut seen = Vec::new();
    for execution in 1..12 {
        live.now = live.now.plus_seconds(97);
        let what = match execution % 3 {
            0 => ("pay", json!({"amount": 2_000_000})),
            _ => list(execution),
        };
        let (judged, _) = world.call(&mut live, 0, &chain, execution, what);
        if judged.ruling() == Ruling::Allow {
            live.end_execution(execution).unwrap();
        }
        seen.push((live.log.len(), trust(&live, 0, &world)));
        let entries = live.log.iter().map(|(leaf, entry)| (leaf, entry));
        let replayed = Session::replay(world.session, entries).unwrap();
        assert_eq!(replayed, *live.session.as_ref().unwrap());
    }
    for (length, expected) in seen {
        let prefix = live.log[..length].iter().map(|(leaf, entry)| (leaf, entry));
        let at = live.log[length - 1].1.at;
        let replayed = Session::replay(world.session, prefix).unwrap();
        let levels: Vec<u64> = replayed
            .as_open()
            .unwrap()
            .trust(at)
            .map(|(_, it)| it)
            .collect();
        assert_eq!(levels, [expected]);
    }
}
