//! The mission and a model's opinion: what they forbid, stop, ask for and lower.

use chancery_audit::{Event as Logged, LeaveReason, Ruling};
use chancery_delegation::VerifiedChain;
use chancery_types::id::PersonKind;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Live, START, World, everything, id, mission, mission_document, tool};
use crate::{Event, Fault, Judgement, Leaving, Opinion, Reason};

const LIST: (&str, Value) = ("list", Value::Null);

fn pay(amount: i64) -> (&'static str, Value) {
    ("pay", json!({"amount": amount}))
}

/// A world whose mission is changed, with an open session of one instance.
fn with(change: impl FnOnce(&mut Value)) -> (World, VerifiedChain, Live) {
    let mut world = World::new();
    let mut document = mission_document();
    change(&mut document);
    world.mission = mission(document);
    let chain = world.root(0, everything());
    let live = world.open(&chain);
    (world, chain, live)
}

fn decide(live: &mut Live, judged: &Judgement) {
    live.step(Event::Decide(Box::new(judged.clone()))).unwrap();
}

#[test]
fn a_means_that_the_mission_forbids_is_denied_whatever_chain_and_policy_say() {
    let (world, chain, live) = with(|document| {
        document["forbid"] = json!([
            {"type": "mcp_tool", "server": "bank", "tool": "list"},
            {"type": "mcp_tool", "server": "bank", "tool": "pay",
             "args": {"amount": {"int_range": [500, 600]}}},
        ]);
    });
    let judge = |what| world.judge(&live, 0, &chain, 1, what);
    let denied = judge(pay(550));
    assert_eq!(denied.reason(), Reason::MissionForbid);
    assert_eq!(denied.ruling(), Ruling::Deny);
    assert_eq!(denied.determining(), ["mission:forbid:1"]);
    assert_eq!(judge(LIST).determining(), ["mission:forbid:0"]);
    assert_eq!(judge(pay(499)).reason(), Reason::Permit);
    // What cannot be judged is forbidden.
    let unclear = judge(("pay", json!({"amount": "550"})));
    assert_ne!(unclear.ruling(), Ruling::Allow);
}

#[test]
fn a_step_that_does_not_list_the_means_is_put_before_a_person_and_passes_once_approved() {
    let (mut world, chain, mut live) = with(|document| {
        document["steps"] = json!([
            {"id": "step-1", "text": "Look.", "means": [
                {"type": "mcp_tool", "server": "bank", "tool": "list"},
            ]},
            {"id": "step-2", "text": "Pay.", "means": [
                {"type": "mcp_tool", "server": "bank", "tool": "pay"},
            ]},
        ]);
    });
    assert_eq!(
        world.judge(&live, 0, &chain, 1, LIST).reason(),
        Reason::Permit
    );
    for (step, label) in [
        (Some("step-1"), "mission:unlisted:step-1"),
        (Some("step-9"), "mission:unknown-step:step-9"),
        (None, "mission:no-step"),
    ] {
        world.step = step;
        let judged = world.judge(&live, 0, &chain, 1, pay(5));
        assert_eq!(
            (judged.ruling(), judged.reason()),
            (Ruling::Escalate, Reason::Ask)
        );
        assert_eq!(judged.determining(), [label]);
    }
    world.step = Some("step-2");
    assert_eq!(
        world.judge(&live, 0, &chain, 1, pay(5)).reason(),
        Reason::Permit
    );

    world.step = Some("step-1");
    let asked = world.judge(&live, 0, &chain, 1, pay(5));
    decide(&mut live, &asked);
    live.step(Event::Ask(world.question(1, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    // The answer was about that step and no other.
    world.step = None;
    let other = world.judge(&live, 0, &chain, 2, pay(5));
    assert_eq!(other.ruling(), Ruling::Escalate);
    world.step = Some("step-1");
    let (approved, permit) = world.call(&mut live, 0, &chain, 2, pay(5));
    assert_eq!(approved.reason(), Reason::Approved);
    assert_eq!(approved.determining(), ["mission:unlisted:step-1", "small"]);
    assert!(permit.is_some());
    // Once.
    let again = world.judge(&live, 0, &chain, 3, pay(5));
    assert_eq!(again.ruling(), Ruling::Escalate);
    live.check(world.session);
}

#[test]
fn nobody_is_asked_about_a_step_where_something_else_denies() {
    let (mut world, chain, live) = with(|document| {
        document["steps"][0]["means"] = json!([]);
    });
    world.step = None;
    let reason = |what| world.judge(&live, 0, &chain, 1, what).reason();
    assert_eq!(reason(pay(1_000_001)), Reason::PolicyForbid);
    assert_eq!(
        reason(("none", json!({}))),
        Reason::Chain(chancery_delegation::Reason::NotInScope)
    );
    assert_eq!(reason(pay(5)), Reason::Ask);
}

#[test]
fn the_budget_of_the_mission_is_counted_by_the_session() {
    let (world, chain, mut live) = with(|document| {
        document["budget"] = json!({"calls": 2, "cost_micros": 4_000_000, "seconds": 60});
    });
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    assert_eq!(
        open.opened().entry.expires,
        chancery_types::Timestamp::from_seconds(START + 60)
    );
    assert_eq!(
        world.judge(&live, 0, &chain, 1, pay(401)).reason(),
        Reason::SessionCostLimit
    );
    world.call(&mut live, 0, &chain, 1, pay(400));
    world.call(&mut live, 0, &chain, 2, LIST);
    assert_eq!(
        world.judge(&live, 0, &chain, 3, LIST).reason(),
        Reason::SessionCallLimit
    );
    live.now = live.now.plus_seconds(60);
    assert_eq!(
        world.judge(&live, 0, &chain, 3, LIST).reason(),
        Reason::SessionExpired
    );
}

#[test]
fn a_stop_condition_stops_every_further_call() {
    let (world, chain, mut live) = with(|document| {
        document["stop"] = json!([
            {"when": "elapsed", "seconds": 100},
            {"when": "denials-in-a-row", "count": 2},
        ]);
    });
    let unknown = || ("none", json!({}));
    world.call(&mut live, 0, &chain, 1, unknown());
    // An allowed call begins the row anew.
    let (allowed, _) = world.call(&mut live, 0, &chain, 2, LIST);
    assert_eq!(allowed.ruling(), Ruling::Allow);
    world.call(&mut live, 0, &chain, 3, unknown());
    assert_eq!(
        world.judge(&live, 0, &chain, 4, LIST).reason(),
        Reason::Permit
    );
    world.call(&mut live, 0, &chain, 4, unknown());
    let (stopped, _) = world.call(&mut live, 0, &chain, 5, LIST);
    assert_eq!(stopped.reason(), Reason::MissionStopped);
    assert_eq!(stopped.determining(), ["mission:stop:1"]);
    live.check(world.session);
    live.now = live.now.plus_seconds(100);
    let both = world.judge(&live, 0, &chain, 6, LIST);
    assert_eq!(both.determining(), ["mission:stop:0"]);
}

#[test]
fn no_root_outlives_its_mission_and_no_other_mission_is_served() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let live = world.open(&chain);
    let mut document = mission_document();
    document["goal"] = json!("Something else.");
    let other = mission(document.clone());
    let judged = world.judge_for(&live, &chain, 1, LIST, &other, None);
    assert_eq!(judged.reason(), Reason::WrongMission);
    let mut opening = world.opening(0, &chain);
    opening.mission = other;
    let refused = Live::new(world.session).step(Event::Open(Box::new(opening)));
    assert_eq!(refused.unwrap_err(), Fault::Unfit(Reason::WrongMission));

    // One second short of the root's end.
    document["expires"] = json!("2027-01-15T08:59:59Z");
    world.mission = mission(document);
    let chain = world.root(0, everything());
    let opening = world.opening(0, &chain);
    let refused = Live::new(world.session).step(Event::Open(Box::new(opening)));
    assert_eq!(refused.unwrap_err(), Fault::Unfit(Reason::MissionExpiry));
}

#[test]
fn a_further_root_is_held_to_the_missions_end_too() {
    let mut document = mission_document();
    document["expires"] = json!("2027-01-15T09:00:00Z");
    let mut world = World::new();
    world.mission = mission(document);
    let chain = world.root(0, everything());
    let live = world.open(&chain);
    let mut draft = world.root_draft(0, everything());
    draft.terms.expires_at = draft.terms.expires_at.plus_seconds(1);
    let longer = world.sign(&draft);
    let judged = world.judge(&live, 0, &longer, 1, LIST);
    assert_eq!(judged.reason(), Reason::MissionExpiry);
    assert_eq!(
        world.judge(&live, 0, &chain, 1, LIST).reason(),
        Reason::Permit
    );
}

#[test]
fn only_the_missions_approver_answers() {
    for (person, expected) in [(1, Ok(())), (2, Err(Fault::OtherApprover))] {
        let (world, chain, mut live) = with(|document| {
            let person = id::<PersonKind>(person);
            document["approver"] = json!({"person": person});
        });
        let asked = world.judge(&live, 0, &chain, 1, pay(2_000));
        decide(&mut live, &asked);
        live.step(Event::Ask(world.question(1, 1))).unwrap();
        let answer = world.answer(world.statement(&live, 1));
        let answered = live.step(Event::Answer(Box::new(answer)));
        assert_eq!(answered.map(drop), expected);
    }
}

#[test]
fn an_opinion_is_recorded_and_never_raises() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let opinion = |verdict: &str| Opinion::read(json!({"verdict": verdict}).to_string().as_bytes());
    let judge = |live: &Live, execution, what, opinion: &Opinion| {
        world.judge_for(live, &chain, execution, what, &world.mission, Some(opinion))
    };
    let (allow, escalate, deny) = (opinion("allow"), opinion("escalate"), opinion("deny"));
    let judged = judge(&live, 1, LIST, &deny);
    assert_eq!(
        (judged.ruling(), judged.reason()),
        (Ruling::Deny, Reason::Opinion)
    );
    let judged = judge(&live, 1, LIST, &escalate);
    assert_eq!(
        (judged.ruling(), judged.reason()),
        (Ruling::Escalate, Reason::Ask)
    );
    assert_eq!(judged.determining(), ["opinion:escalate"]);
    assert_eq!(
        judge(&live, 1, pay(2_000), &allow).ruling(),
        Ruling::Escalate
    );
    assert_eq!(
        judge(&live, 1, pay(2_000_000), &allow).reason(),
        Reason::PolicyForbid
    );
    let judged = judge(&live, 1, LIST, &allow);
    assert_eq!(judged.reason(), Reason::Permit);
    decide(&mut live, &judged);
    let Logged::Decision(decision) = &live.log.last().unwrap().1.event else {
        panic!("no decision");
    };
    assert_eq!(decision.opinion, Some(allow.digest()));
    assert!(!world.judge(&live, 0, &chain, 2, LIST).matches(decision));

    // A person answers the question that an opinion raised.
    let asked = judge(&live, 2, LIST, &escalate);
    decide(&mut live, &asked);
    live.step(Event::Ask(world.question(2, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    assert_eq!(judge(&live, 3, LIST, &escalate).reason(), Reason::Approved);
    assert_eq!(judge(&live, 3, LIST, &deny).reason(), Reason::Opinion);
    live.end_execution(1).unwrap();
    live.step(Event::Leave(Leaving {
        instance: world.name(0),
        reason: LeaveReason::Completed,
    }))
    .unwrap();
    live.check(world.session);
}

const fn severity(ruling: Ruling) -> u8 {
    match ruling {
        Ruling::Allow => 0,
        Ruling::Escalate => 1,
        Ruling::Deny => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever an opinion holds, and whatever the call, the result with it is not above the result
    /// without it; and the mission's prohibitions never allow more.
    #[test]
    fn an_opinion_and_a_prohibition_only_lower(
        opinion in prop_oneof![
            ".{0,40}",
            "\\{\"verdict\":\"(allow|escalate|deny|ALLOW|permit|)\"\\}".prop_map(|text| text),
            "\\{\"verdict\":\"allow\",\"[a-z]{1,4}\":(1|true|null|\"allow\")\\}",
        ],
        what in 0..6_usize,
        step in 0..3_usize,
        asked in any::<bool>(),
        forbidden in 0..4_usize,
    ) {
        let mut world = World::new();
        let what = match what {
            0 => LIST,
            1 => pay(5),
            2 => pay(2_000),
            3 => pay(2_000_000),
            4 => ("pay", json!({"amount": "5"})),
            _ => ("none", json!({})),
        };
        let mut terms = everything();
        if asked {
            terms.ask = vec![tool("list", json!({}))];
        }
        let chain = world.root(0, terms.clone());
        let live = world.open(&chain);
        world.step = [Some("step-1"), Some("other"), None][step];
        let opinion = Opinion::read(opinion.as_bytes());
        let without = world.judge(&live, 0, &chain, 1, what.clone());
        let with = world.judge_for(&live, &chain, 1, what.clone(), &world.mission, Some(&opinion));
        prop_assert!(severity(with.ruling()) >= severity(without.ruling()));

        let mut document = mission_document();
        document["forbid"] = ["list", "pay", "none"][..forbidden.min(3)]
            .iter()
            .map(|tool| json!({"type": "mcp_tool", "server": "bank", "tool": tool}))
            .collect();
        world.mission = mission(document);
        let chain = world.root(0, terms);
        let live = world.open(&chain);
        let less = world.judge(&live, 0, &chain, 1, what);
        prop_assert!(severity(less.ruling()) >= severity(without.ruling()));
    }
}
