use chancery_audit::{Event as Logged, Ruling};
use chancery_delegation as delegation;
use chancery_delegation::{Revocable, Revocation, RevocationSet, Standing};
use chancery_policy::Annotations;
use chancery_types::{Digest, RevocationKind, Timestamp};
use serde_json::{Value, json};

use super::world::{Live, START, Terms3, World, bundle, everything, id, tool};
use crate::{CallInput, CatalogFacts, Ending, Event, Fault, Reason, Session};

fn pay(amount: i64) -> (&'static str, Value) {
    ("pay", json!({"amount": amount}))
}

#[test]
fn what_chain_and_policy_both_permit_is_allowed() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let (judged, permit) = world.call(&mut live, 0, &chain, 1, pay(100));
    assert_eq!(
        (judged.ruling(), judged.reason()),
        (Ruling::Allow, Reason::Permit)
    );
    assert_eq!(judged.determining(), ["small"]);
    assert_eq!(judged.cost_micros(), 1_000_000);
    assert_eq!(permit.unwrap().execution(), id(1));
    live.end_execution(1).unwrap();
    let Logged::Decision(decision) = &live.log[3].1.event else {
        panic!("{:?}", live.log[3])
    };
    assert!(judged.matches(decision));
    let mut other = decision.clone();
    other.determining.clear();
    assert!(!judged.matches(&other));
    live.check(world.session);
}

/// A fixed task: two policies, ten calls, and nobody is asked anything. What is beside it is denied, not asked.
#[test]
fn p6_a_fixed_task_needs_two_policies_and_nobodys_answer() {
    const TASK: &str = r#"
@id("look") permit (principal, action == Chancery::Action::"bank/list", resource);
@id("pay-the-rent") permit (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount == 900 && context.args has to && context.args.to == "landlord" };
"#;
    let mut world = World::new();
    world.policy = bundle(TASK);
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let rent = || ("pay", json!({"amount": 900, "to": "landlord"}));
    for execution in 1..=10 {
        let what = match execution % 2 {
            0 => rent(),
            _ => ("list", json!({})),
        };
        let (judged, permit) = world.call(&mut live, 0, &chain, execution, what);
        assert_eq!(judged.reason(), Reason::Permit);
        assert!(permit.is_some());
        live.end_execution(execution).unwrap();
    }
    let others = [pay(900), ("pay", json!({"amount": 901, "to": "landlord"}))];
    for (execution, other) in (20..).zip(others) {
        let (judged, _) = world.call(&mut live, 0, &chain, execution, other);
        assert_eq!(judged.reason(), Reason::PolicyNoMatch);
    }
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    assert_eq!((open.counts().allowed, open.counts().escalated), (10, 0));
    assert_eq!((open.pending().count(), open.grants().count()), (0, 0));
    live.check(world.session);
}

#[test]
fn every_denial_has_its_reason() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let narrow = world.root(
        0,
        Terms3 {
            entries: vec![tool("list", json!({})), tool("pay", json!({}))],
            forbid: vec![tool("pay", json!({}))],
            ..Terms3::default()
        },
    );
    let only_list = world.root(
        0,
        Terms3 {
            entries: vec![tool("list", json!({}))],
            ..Terms3::default()
        },
    );
    let live = world.open(&chain);
    let reason = |chain, what| world.judge(&live, 0, chain, 1, what).reason();
    assert_eq!(reason(&narrow, pay(1)), Reason::ChainForbid);
    assert_eq!(
        reason(&only_list, pay(1)),
        Reason::Chain(delegation::Reason::NotInScope)
    );
    assert_eq!(
        reason(&chain, ("other", json!({}))),
        Reason::Chain(delegation::Reason::NotInScope)
    );
    assert_eq!(reason(&chain, pay(1_000_001)), Reason::PolicyForbid);
    assert_eq!(reason(&chain, pay(-5)), Reason::CostUnknown);
    assert_eq!(
        reason(&chain, ("pay", json!({"amount": "5"}))),
        Reason::CostUnknown
    );
    assert_eq!(reason(&chain, ("pay", json!({}))), Reason::CostUnknown);
    let strict =
        bundle("@id(\"x\") permit (principal, action, resource) when { principal.depth > 5 };");
    let overflow = bundle(
        "@id(\"p\") permit (principal, action, resource);
         @id(\"e\") forbid (principal, action, resource) when { context.session.minutes + 9223372036854775807 + 1 > 0 };",
    );
    let with = |change: &dyn Fn(&mut CallInput<'_>)| {
        world
            .judge_with(&live, 0, &chain, 1, pay(5), |input| change(input))
            .reason()
    };
    assert_eq!(with(&|_| {}), Reason::Permit);
    for (policy, reason) in [
        (&strict, Reason::PolicyNoMatch),
        (&overflow, Reason::PolicyError),
    ] {
        let judged = world.judge_under(&live, &chain, 1, pay(5), policy);
        assert_eq!((judged.ruling(), judged.reason()), (Ruling::Deny, reason));
    }
    let mut gone = RevocationSet::default();
    let what = Revocable::new(RevocationKind::Token, chain.leaf().jti()).unwrap();
    let at = Timestamp::from_seconds(START);
    gone.revoke(&Revocation { what, at }).unwrap();
    let gone: &'static RevocationSet = Box::leak(Box::new(gone));
    let none = RevocationSet::none();
    let standing = |now: u64, epoch, revoked| Standing {
        now: Timestamp::from_seconds(now),
        epoch,
        revoked,
    };
    for (changed, reason) in [
        (standing(START - 1, 1, none), Reason::ClockSteppedBack),
        (standing(START + 3_600, 1, none), Reason::SessionExpired),
        (
            standing(START, 2, none),
            Reason::Chain(delegation::Reason::StaleEpoch),
        ),
        (
            standing(START, 1, gone),
            Reason::Chain(delegation::Reason::Revoked),
        ),
    ] {
        assert_eq!(with(&|input| input.standing = changed), reason);
    }
    let catalog = |digest, annotations| CatalogFacts {
        digest: Digest::of(digest),
        annotations,
    };
    assert_eq!(
        with(&|input| input.catalog = catalog("other", Some(Annotations::default()))),
        Reason::CatalogChanged
    );
    assert_eq!(
        with(&|input| input.catalog = catalog("catalog", None)),
        Reason::NotInCatalog
    );
}

#[test]
fn a_chain_of_another_session_mission_person_or_holder_is_denied_and_logged() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut drafts = Vec::new();
    for change in 0..3 {
        let mut draft = world.root_draft(0, everything());
        match change {
            0 => draft.sid = id::<chancery_types::id::SessionKind>(9).to_string(),
            1 => draft.mission = Digest::of("other"),
            _ => draft.person.subject = "p-2".to_owned(),
        }
        drafts.push(world.sign(&draft));
    }
    let reasons = [
        Reason::WrongSession,
        Reason::WrongMission,
        Reason::WrongPrincipal,
    ];
    let mut live = world.open(&chain);
    for (n, (other, reason)) in (1..).zip(drafts.iter().zip(reasons)) {
        let (judged, permit) = world.call(&mut live, 0, other, n, ("list", json!({})));
        assert_eq!((judged.reason(), permit), (reason, None));
        assert!(judged.new_links().is_empty());
    }
    let worker = world.link(&chain, 0, 1, everything());
    let (judged, _) = world.call(&mut live, 1, &worker, 9, ("list", json!({})));
    assert_eq!(judged.reason(), Reason::NotJoined);
    assert_eq!(
        live.session
            .as_ref()
            .unwrap()
            .as_open()
            .unwrap()
            .counts()
            .denied,
        3
    );
    live.check(world.session);
}

#[test]
fn an_execution_is_decided_once_and_is_the_one_that_the_proof_means() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    world.call(&mut live, 0, &chain, 1, ("list", json!({})));
    let judged = world.judge(&live, 0, &chain, 1, ("list", json!({})));
    assert_eq!(judged.reason(), Reason::WrongExecution);
    assert_eq!(
        live.step(Event::Decide(Box::new(judged))),
        Err(Fault::ExecutionKnown)
    );
    let args = serde_json::Map::new();
    let call = delegation::Call {
        server: "bank",
        target: delegation::Target::Tool("list"),
        args: &args,
    };
    let proof = world.proof(0, &chain, call, live.now, Some(id(5)));
    let principal = world.principal(&chain);
    for (execution, reason) in [(5, Reason::Permit), (6, Reason::WrongExecution)] {
        let input = world.input(&live, execution, &chain, call, &proof, &principal);
        assert_eq!(
            live.session.as_ref().unwrap().judge(&input).reason(),
            reason
        );
    }
}

#[test]
fn a_judgement_is_taken_only_for_the_state_it_was_made_in() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let stale = world.judge(&live, 0, &chain, 1, ("list", json!({})));
    world.call(&mut live, 0, &chain, 2, ("list", json!({})));
    assert_eq!(
        live.step(Event::Decide(Box::new(stale.clone()))),
        Err(Fault::StaleJudgement)
    );
    let fresh = world.judge(&live, 0, &chain, 3, ("list", json!({})));
    live.now = live.now.plus_seconds(1);
    assert_eq!(
        live.step(Event::Decide(Box::new(fresh))),
        Err(Fault::StaleJudgement)
    );
    let mut other = Live::new(id(8));
    let mut draft = world.root_draft(0, everything());
    draft.sid = id::<chancery_types::id::SessionKind>(8).to_string();
    let elsewhere = world.sign(&draft);
    other
        .step(Event::Open(Box::new(world.opening(0, &elsewhere))))
        .unwrap();
    assert_eq!(
        other.step(Event::Decide(Box::new(stale))),
        Err(Fault::Foreign)
    );
}

#[test]
fn nothing_is_forwarded_before_its_decision_is_durable() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let judged = world.judge(&live, 0, &chain, 1, ("list", json!({})));
    let effects = live.step_only(Event::Decide(Box::new(judged))).unwrap();
    assert!(
        effects
            .iter()
            .all(|effect| matches!(effect, crate::Effect::Enrol { .. }))
    );
    assert_eq!(live.end_execution(1), Err(Fault::NotDurable));
    let next = world.judge(&live, 0, &chain, 2, ("list", json!({})));
    assert_eq!(
        live.step(Event::Decide(Box::new(next))),
        Err(Fault::NotDurable)
    );
    let leaf = chancery_audit::LeafRef {
        index: 3,
        hash: Digest::of("leaf"),
    };
    let instance = world.name(0);
    let effects = live
        .step_only(Event::Enrolled {
            instance: instance.clone(),
            leaf: leaf.clone(),
        })
        .unwrap();
    assert!(matches!(effects.as_slice(), [crate::Effect::Forward(_)]));
    assert_eq!(
        live.step_only(Event::Enrolled {
            instance,
            leaf: leaf.clone()
        }),
        Err(Fault::NothingToEnrol)
    );
    assert_eq!(
        live.step_only(Event::Enrolled {
            instance: world.name(2),
            leaf
        }),
        Err(Fault::NotJoined)
    );
}

#[test]
fn an_ended_session_denies() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let end = || {
        Event::End(Ending {
            reason: chancery_audit::EndReason::Revoked,
            cause: None,
            evidence: None,
        })
    };
    live.step(end()).unwrap();
    assert!(matches!(live.session, Some(Session::Ended(_))));
    let judged = world.judge(&live, 0, &chain, 1, ("list", json!({})));
    assert_eq!(
        (judged.ruling(), judged.reason()),
        (Ruling::Deny, Reason::Ended)
    );
    assert_eq!(
        live.step(Event::Decide(Box::new(judged))),
        Err(Fault::Ended)
    );
    assert_eq!(live.step(end()), Err(Fault::Ended));
    live.check(world.session);
}
