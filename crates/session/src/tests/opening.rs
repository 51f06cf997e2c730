use chancery_types::{Digest, Timestamp};
use serde_json::json;

use super::world::{Live, START, Terms3, World, everything, id, tool};
use crate::{Event, Fault, Opening, Reason, Session};

type Change = fn(&mut Opening);

fn refused(world: &World, opening: Opening) -> Fault {
    Live::new(world.session)
        .step(Event::Open(Box::new(opening)))
        .unwrap_err()
}

/// An instance has one session for its life: taint, trust, budgets and brakes are not shed in another.
#[test]
fn p3_an_instance_and_its_key_join_one_session() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let live = world.open(&chain);
    let commons = &live.commons;
    let member = world.member(0);
    let (name, key) = (member.instance.as_str(), member.agent_key);
    assert_eq!(commons.check_join(world.session, name, key), Ok(()));
    let (other, elsewhere) = (world.member(1), id(9));
    let refused = Err(Reason::JoinedElsewhere);
    for (name, key) in [
        (name, key),
        (name, other.agent_key),
        (other.instance.as_str(), key),
    ] {
        assert_eq!(commons.check_join(elsewhere, name, key), refused);
    }
    let fresh = commons.check_join(elsewhere, other.instance.as_str(), other.agent_key);
    assert_eq!(fresh, Ok(()));
}

#[test]
fn p3_who_ended_its_session_joins_no_other() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    live.step(Event::End(crate::Ending {
        reason: chancery_audit::EndReason::Completed,
        cause: None,
        evidence: None,
    }))
    .unwrap();
    let member = world.member(0);
    let joined = live
        .commons
        .check_join(id(9), member.instance.as_str(), member.agent_key);
    assert_eq!(joined, Err(Reason::JoinedElsewhere));
}

#[test]
fn nothing_happens_before_the_opening() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = Live::new(world.session);
    assert_eq!(
        live.step(Event::Join(Box::new(world.joining(0, &chain)))),
        Err(Fault::NotOpen)
    );
    let judged = world.judge(&live, 0, &chain, 1, ("list", json!({})));
    assert_eq!(judged.reason(), Reason::NotOpen);
    assert_eq!(
        live.step(Event::Decide(Box::new(judged))),
        Err(Fault::NotOpen)
    );
    assert_eq!(live.end_execution(1), Err(Fault::NotOpen));
}

#[test]
fn a_session_is_opened_with_what_belongs_together() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let cases: [(Change, Fault); 7] = [
        (
            |o| o.principal.value = "other".to_owned(),
            Fault::Unfit(Reason::WrongPrincipal),
        ),
        (|o| o.policy = Digest::of("other"), Fault::PolicyMismatch),
        (
            |o| o.member.agent_key = Digest::of("other"),
            Fault::Unfit(Reason::HolderMismatch),
        ),
        (
            |o| o.member.instance = "spiffe://example.org/agent/other".parse().unwrap(),
            Fault::Unfit(Reason::HolderMismatch),
        ),
        (
            |o| o.expires = Timestamp::from_seconds(START),
            Fault::AlreadyOver,
        ),
        (
            |o| o.member.expires = Timestamp::from_seconds(START),
            Fault::AlreadyOver,
        ),
        (
            |o| o.expires = Timestamp::from_seconds(0),
            Fault::AlreadyOver,
        ),
    ];
    for (change, fault) in cases {
        let mut opening = world.opening(0, &chain);
        change(&mut opening);
        assert_eq!(refused(&world, opening), fault);
    }
    let mut foreign = world.root_draft(0, everything());
    foreign.sid = id::<chancery_types::id::SessionKind>(9).to_string();
    let foreign = world.sign(&foreign);
    let opening = world.opening(0, &foreign);
    assert_eq!(refused(&world, opening), Fault::Unfit(Reason::WrongSession));
}

#[test]
fn an_open_session_holds_no_permission() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = Live::new(world.session);
    live.step(Event::Open(Box::new(world.opening(0, &chain))))
        .unwrap();
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    assert_eq!(
        open.instances().count() + open.grants().count() + open.pending().count(),
        0
    );
    let judged = world.judge(&live, 0, &chain, 1, ("list", json!({})));
    assert_eq!(judged.reason(), Reason::NotJoined);
    let before = live.log.len();
    live.step(Event::Decide(Box::new(judged))).unwrap();
    assert_eq!(live.log[before].1.event.type_name(), "session.refuse");
    live.check(world.session);
    assert_eq!(
        live.step(Event::Open(Box::new(world.opening(0, &chain)))),
        Err(Fault::AlreadyOpen)
    );
}

#[test]
fn who_joins_belongs_to_the_session() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let again = world.joining(0, &chain);
    assert_eq!(
        live.step(Event::Join(Box::new(again))),
        Err(Fault::AlreadyJoined)
    );
    // A chain of somebody else.
    let mut borrowed = world.joining(1, &chain);
    borrowed.principal = world.principal(&chain);
    assert_eq!(
        live.step(Event::Join(Box::new(borrowed))),
        Err(Fault::Unfit(Reason::HolderMismatch))
    );
    let other_mission = {
        let mut draft = world.root_draft(1, everything());
        draft.mission = Digest::of("other");
        world.sign(&draft)
    };
    assert_eq!(
        live.step(Event::Join(Box::new(world.joining(1, &other_mission)))),
        Err(Fault::Unfit(Reason::WrongMission))
    );
    let other_person = {
        let mut draft = world.root_draft(1, everything());
        draft.person.subject = "p-2".to_owned();
        world.sign(&draft)
    };
    assert_eq!(
        live.step(Event::Join(Box::new(world.joining(1, &other_person)))),
        Err(Fault::Unfit(Reason::WrongPrincipal))
    );
    // The disclosure of the session's person does not make it this chain's.
    let mut lying = world.joining(1, &other_person);
    lying.principal = world.principal(&chain);
    assert_eq!(
        live.step(Event::Join(Box::new(lying))),
        Err(Fault::Unfit(Reason::WrongPrincipal))
    );
    let mut same_jti = world.root_draft(
        1,
        Terms3 {
            entries: vec![tool("list", json!({}))],
            ..Terms3::default()
        },
    );
    same_jti.terms.jti = chain.root().jti().to_owned();
    let same_jti = world.sign(&same_jti);
    assert_eq!(
        live.step(Event::Join(Box::new(world.joining(1, &same_jti)))),
        Err(Fault::Unfit(Reason::AmbiguousDelegation))
    );
    let worker = world.link(&chain, 0, 1, everything());
    live.step(Event::Join(Box::new(world.joining(1, &worker))))
        .unwrap();
    let types: Vec<&str> = live
        .log
        .iter()
        .map(|(_, entry)| entry.event.type_name())
        .collect();
    assert_eq!(
        types,
        [
            "session.open",
            "delegation.enrol",
            "session.join",
            "delegation.enrol",
            "session.join"
        ]
    );
    live.now = Timestamp::from_seconds(START + 3_600);
    let late = world.link(&chain, 0, 2, everything());
    assert_eq!(
        live.step(Event::Join(Box::new(world.joining(2, &late)))),
        Err(Fault::Unfit(Reason::SessionExpired))
    );
    live.check(world.session);
}

#[test]
fn a_foreign_log_is_not_this_sessions() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let live = world.open(&chain);
    let entries = || live.log.iter().map(|(leaf, entry)| (leaf, entry));
    let other = Session::replay(id(7), entries()).unwrap();
    assert_eq!(other, Session::new(id(7)));
    let late = Session::replay(world.session, entries().skip(1)).unwrap_err();
    assert_eq!((late.index, late.fault), (1, Fault::NotOpen));
}
