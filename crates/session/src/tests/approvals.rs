use chancery_audit::{LeaveReason, Ruling};
use chancery_delegation::{
    ApprovalStatement, Revocable, Revocation, RevocationSet, Verdict, VerifiedChain,
};
use chancery_types::id::{PersonKind, SessionKind};
use chancery_types::{Digest, RevocationKind, Timestamp};
use serde_json::{Value, json};

use super::world::{Live, POLICIES, START, Terms3, World, bundle, everything, id, tool};
use crate::{Effect, Event, Fault, Leaving, Reason};

type Change = fn(&mut ApprovalStatement);

fn pay(cents: i64) -> (&'static str, Value) {
    ("pay", json!({"amount": cents}))
}

/// A payment that was escalated and put before a person.
fn asked() -> (World, VerifiedChain, Live) {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let (judged, permit) = world.call(&mut live, 0, &chain, 1, pay(5_000));
    assert_eq!(
        (judged.ruling(), judged.reason()),
        (Ruling::Escalate, Reason::Ask)
    );
    assert_eq!((judged.determining()[0].as_str(), permit), ("large", None));
    let effects = live.step(Event::Ask(world.question(1, 1))).unwrap();
    assert!(effects.contains(&Effect::Notify(id(1))));
    (world, chain, live)
}

fn answer(
    world: &World,
    live: &mut Live,
    statement: ApprovalStatement,
) -> Result<Vec<Effect>, Fault> {
    live.step(Event::Answer(Box::new(world.answer(statement))))
}

#[test]
fn an_approval_admits_its_action_once() {
    let (world, chain, mut live) = asked();
    let statement = world.statement(&live, 1);
    answer(&world, &mut live, statement.clone()).unwrap();
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    assert_eq!(open.grants().count(), 1);
    // Neither another amount nor another tool rests on it.
    for (execution, cents) in [(2, 5_001), (3, 4_999)] {
        let judged = world.judge(&live, 0, &chain, execution, pay(cents));
        assert_eq!(judged.reason(), Reason::Ask, "{cents}");
    }
    let (judged, permit) = world.call(&mut live, 0, &chain, 4, pay(5_000));
    assert_eq!(
        (judged.ruling(), judged.reason()),
        (Ruling::Allow, Reason::Approved)
    );
    assert!(permit.is_some());
    let (again, permit) = world.call(&mut live, 0, &chain, 5, pay(5_000));
    assert_eq!((again.reason(), permit), (Reason::Ask, None));
    assert_eq!(
        answer(&world, &mut live, statement),
        Err(Fault::ApprovalUnknown)
    );
    live.check(world.session);
}

#[test]
fn an_answer_for_something_else_is_refused() {
    let (world, _, mut live) = asked();
    let cases: [(Change, Fault); 5] = [
        (|s| s.id = id(9), Fault::ApprovalUnknown),
        (|s| s.action = Digest::of("other"), Fault::ApprovalMismatch),
        (|s| s.display = Digest::of("other"), Fault::ApprovalMismatch),
        (|s| s.policy = Digest::of("other"), Fault::ApprovalMismatch),
        (
            |s| s.session = id::<SessionKind>(9),
            Fault::ApprovalMismatch,
        ),
    ];
    for (change, fault) in cases {
        let mut statement = world.statement(&live, 1);
        change(&mut statement);
        assert_eq!(answer(&world, &mut live, statement), Err(fault));
    }
    let mut late = world.statement(&live, 1);
    late.expires_at = Timestamp::from_seconds(START + 1);
    live.now = Timestamp::from_seconds(START + 1);
    assert_eq!(answer(&world, &mut live, late), Err(Fault::ApprovalExpired));
    live.now = Timestamp::from_seconds(START + 600);
    let mut long = world.statement(&live, 1);
    long.expires_at = Timestamp::from_seconds(START + 9_000);
    assert_eq!(answer(&world, &mut live, long), Err(Fault::ApprovalExpired));
    live.check(world.session);
}

#[test]
fn the_requester_is_never_the_approver() {
    let (world, chain, mut live) = asked();
    let statement = world.statement(&live, 1);
    let mut by_agent = world.answer(statement.clone());
    by_agent.approver_key = chain.leaf_key().thumbprint();
    assert_eq!(
        live.step(Event::Answer(Box::new(by_agent))),
        Err(Fault::SelfApproval)
    );
    world.call(&mut live, 0, &chain, 2, pay(6_000));
    let mut question = world.question(2, 2);
    question.requester = Some(id::<PersonKind>(1));
    live.step(Event::Ask(question)).unwrap();
    let own = world.statement(&live, 2);
    assert_eq!(
        answer(&world, &mut live, own.clone()),
        Err(Fault::SelfApproval)
    );
    let mut other = world.answer(own);
    other.approver = id(2);
    live.step(Event::Answer(Box::new(other))).unwrap();
    live.check(world.session);
}

#[test]
fn a_denial_grants_nothing_and_is_final() {
    let (world, chain, mut live) = asked();
    let mut statement = world.statement(&live, 1);
    let approval = statement.clone();
    statement.verdict = Verdict::Deny;
    answer(&world, &mut live, statement).unwrap();
    assert_eq!(
        world.judge(&live, 0, &chain, 2, pay(5_000)).reason(),
        Reason::Ask
    );
    assert_eq!(
        answer(&world, &mut live, approval),
        Err(Fault::ApprovalUnknown)
    );
    live.check(world.session);
}

#[test]
fn a_grant_lapses_and_does_not_outlive_its_policy() {
    let (world, chain, mut live) = asked();
    let statement = world.statement(&live, 1);
    answer(&world, &mut live, statement).unwrap();
    let newer = bundle(&format!("{POLICIES} // newer"));
    let judged = world.judge_under(&live, &chain, 2, pay(5_000), &newer);
    assert_eq!(judged.reason(), Reason::Ask);
    live.now = Timestamp::from_seconds(START + 499);
    assert_eq!(
        world.judge(&live, 0, &chain, 2, pay(5_000)).reason(),
        Reason::Approved
    );
    live.now = Timestamp::from_seconds(START + 500);
    assert_eq!(
        world.judge(&live, 0, &chain, 2, pay(5_000)).reason(),
        Reason::Ask
    );
}

#[test]
fn a_grant_falls_with_the_person_who_gave_it() {
    let (world, chain, mut live) = asked();
    let statement = world.statement(&live, 1);
    answer(&world, &mut live, statement).unwrap();
    let judged = |person: u8| {
        let id = id::<PersonKind>(person).to_string();
        let what = Revocable::new(RevocationKind::Person, &id).unwrap();
        let at = Timestamp::from_seconds(START);
        let revoked: &mut RevocationSet = Box::leak(Box::default());
        revoked.revoke(&Revocation { what, at }).unwrap();
        let judged = world.judge_with(&live, 0, &chain, 2, pay(5_000), |input| {
            input.standing.revoked = revoked;
        });
        judged.reason()
    };
    // The approver, and somebody else.
    assert_eq!(judged(1), Reason::Ask);
    assert_eq!(judged(2), Reason::Approved);
}

#[test]
fn a_grant_is_the_instances_own_and_cannot_outweigh_a_forbid() {
    let (mut world, chain, mut live) = asked();
    let worker = world.link(&chain, 0, 1, everything());
    live.step(Event::Join(Box::new(world.joining(1, &worker))))
        .unwrap();
    let statement = world.statement(&live, 1);
    answer(&world, &mut live, statement).unwrap();
    assert_eq!(
        world.judge(&live, 1, &worker, 2, pay(5_000)).reason(),
        Reason::Ask
    );
    assert_eq!(
        world.judge(&live, 0, &chain, 2, pay(5_000)).reason(),
        Reason::Approved
    );
    let narrow = Terms3 {
        forbid: vec![tool("pay", json!({}))],
        ..everything()
    };
    let forbidden = world.root(0, narrow);
    assert_eq!(
        world.judge(&live, 0, &forbidden, 2, pay(5_000)).reason(),
        Reason::ChainForbid
    );
}

#[test]
fn a_chain_asks_too() {
    let mut world = World::new();
    let asking = Terms3 {
        ask: vec![tool("list", json!({})), tool("pay", json!({}))],
        ..everything()
    };
    let chain = world.root(0, asking);
    let mut live = world.open(&chain);
    let list = ("list", json!({}));
    let (judged, _) = world.call(&mut live, 0, &chain, 1, list.clone());
    let chain_ask = format!("chain:{}", chain.root().jti());
    assert_eq!(
        (judged.reason(), judged.determining()),
        (
            Reason::Ask,
            &[chancery_audit::Label::or_digest(&chain_ask)][..]
        )
    );
    live.step(Event::Ask(world.question(1, 1))).unwrap();
    let statement = world.statement(&live, 1);
    answer(&world, &mut live, statement).unwrap();
    assert_eq!(
        world.judge(&live, 0, &chain, 2, list.clone()).reason(),
        Reason::Approved
    );
    // Chain and policy ask together; one answer serves both.
    let (both, _) = world.call(&mut live, 0, &chain, 3, pay(5_000));
    assert_eq!(both.determining().len(), 2);
    live.step(Event::Ask(world.question(3, 3))).unwrap();
    let statement = world.statement(&live, 3);
    answer(&world, &mut live, statement).unwrap();
    let (judged, permit) = world.call(&mut live, 0, &chain, 4, pay(5_000));
    assert_eq!(
        (judged.reason(), permit.is_some()),
        (Reason::Approved, true)
    );
    live.check(world.session);
}

#[test]
fn questions_are_about_escalations_and_not_twice_about_one_action() {
    let (world, chain, mut live) = asked();
    assert_eq!(
        live.step(Event::Ask(world.question(1, 2))),
        Err(Fault::ExecutionUnknown)
    );
    assert_eq!(
        live.step(Event::Ask(world.question(9, 2))),
        Err(Fault::ExecutionUnknown)
    );
    let (judged, _) = world.call(&mut live, 0, &chain, 2, pay(5_000));
    assert_eq!(
        live.step(Event::Ask(world.question(2, 2))),
        Err(Fault::AlreadyAsked)
    );
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    let action = judged.action().digest().unwrap();
    assert_eq!(open.pending_for(action, live.now), Some(id(1)));
    assert_eq!(
        open.pending_for(action, Timestamp::from_seconds(START + 600)),
        None
    );
    world.call(&mut live, 0, &chain, 3, pay(7_000));
    assert_eq!(
        live.step(Event::Ask(world.question(3, 1))),
        Err(Fault::ApprovalUnknown)
    );
    let mut over = world.question(3, 3);
    over.expires = live.now;
    assert_eq!(live.step(Event::Ask(over)), Err(Fault::ApprovalExpired));
    world.call(&mut live, 0, &chain, 4, ("list", json!({})));
    assert_eq!(
        live.step(Event::Ask(world.question(4, 4))),
        Err(Fault::ExecutionUnknown)
    );
    live.check(world.session);
}

#[test]
fn who_leaves_takes_questions_and_grants_along() {
    let (world, chain, mut live) = asked();
    let statement = world.statement(&live, 1);
    world.call(&mut live, 0, &chain, 2, pay(6_000));
    let leaving = Leaving {
        instance: world.name(0),
        reason: LeaveReason::Gone,
    };
    live.step(Event::Leave(leaving)).unwrap();
    assert_eq!(
        answer(&world, &mut live, statement),
        Err(Fault::ApprovalUnknown)
    );
    assert_eq!(
        live.step(Event::Ask(world.question(2, 2))),
        Err(Fault::ExecutionUnknown)
    );
    live.check(world.session);
}
