use chancery_audit::{EndReason, Entry, Event as Logged, LeafRef, LeaveReason, OutcomeStatus};
use chancery_types::{Digest, Timestamp};
use serde_json::json;

use super::world::{START, World, everything, id};
use crate::{Effect, Ending, Event, ExecutionEnd, Fault, Leaving, Session};

const END: Event = Event::End(Ending {
    reason: EndReason::Completed,
    cause: None,
    evidence: None,
});

fn leave(world: &World, holder: usize) -> Event {
    Event::Leave(Leaving {
        instance: world.name(holder),
        reason: LeaveReason::Completed,
    })
}

#[test]
fn an_outcome_needs_its_running_execution() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    assert_eq!(live.end_execution(1), Err(Fault::ExecutionUnknown));
    world.call(&mut live, 0, &chain, 1, ("list", json!({})));
    live.end_execution(1).unwrap();
    assert_eq!(live.end_execution(1), Err(Fault::ExecutionUnknown));
    world.call(&mut live, 0, &chain, 2, ("other", json!({})));
    assert_eq!(live.end_execution(2), Err(Fault::ExecutionUnknown));
    live.check(world.session);
}

#[test]
fn what_was_left_is_disclosed_once_and_is_never_known_again() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    assert_eq!(live.step(Event::Gap(id(1))), Err(Fault::ExecutionUnknown));
    world.call(&mut live, 0, &chain, 1, ("list", json!({})));
    world.call(&mut live, 0, &chain, 2, ("other", json!({})));
    // What was denied leaves nothing open.
    assert_eq!(live.step(Event::Gap(id(2))), Err(Fault::ExecutionUnknown));
    live.step(Event::Gap(id(1))).unwrap();
    assert_eq!(live.step(Event::Gap(id(1))), Err(Fault::GapContradicted));
    assert_eq!(live.end_execution(1), Err(Fault::GapContradicted));
    live.check(world.session);
    live.step(Event::Outcome(ExecutionEnd {
        execution: id(1),
        status: OutcomeStatus::Unknown,
        result: None,
        bytes: 0,
        micros: 0,
    }))
    .unwrap();
    assert_eq!(live.step(Event::Gap(id(1))), Err(Fault::ExecutionUnknown));
    live.check(world.session);
}

#[test]
fn nobody_leaves_with_work_running() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    assert_eq!(live.step(leave(&world, 1)), Err(Fault::NotJoined));
    world.call(&mut live, 0, &chain, 1, ("list", json!({})));
    assert_eq!(live.step(leave(&world, 0)), Err(Fault::StillRunning));
    assert_eq!(live.step(END), Err(Fault::StillRunning));
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    assert_eq!(open.running(&world.name(0)).collect::<Vec<_>>(), [id(1)]);
    live.end_execution(1).unwrap();
    let effects = live.step(leave(&world, 0)).unwrap();
    assert!(effects.contains(&Effect::Withdraw(world.name(0))));
    assert_eq!(live.step(leave(&world, 0)), Err(Fault::NotJoined));
    let back = live.step(Event::Join(Box::new(world.joining(0, &chain))));
    assert_eq!(back, Err(Fault::AlreadyJoined));
    live.check(world.session);
}

#[test]
fn the_end_takes_everybody_out_and_is_the_last_thing() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    let worker = world.link(&chain, 0, 1, everything());
    live.step(Event::Join(Box::new(world.joining(1, &worker))))
        .unwrap();
    world.call(&mut live, 1, &worker, 1, ("list", json!({})));
    live.end_execution(1).unwrap();
    let effects = live.step(END).unwrap();
    assert_eq!(effects.last(), Some(&Effect::Close(world.session)));
    let tail: Vec<&str> = live
        .log
        .iter()
        .rev()
        .take(3)
        .map(|(_, entry)| entry.event.type_name())
        .collect();
    assert_eq!(tail, ["session.end", "session.leave", "session.leave"]);
    let Some(Session::Ended(ended)) = &live.session else {
        panic!("{:?}", live.session)
    };
    assert_eq!((ended.entry.instances, ended.entry.counts.outcomes), (2, 1));
    for event in [
        END,
        leave(&world, 0),
        Event::Ask(world.question(1, 1)),
        Event::Join(Box::new(world.joining(0, &chain))),
        Event::Open(Box::new(world.opening(0, &chain))),
    ] {
        assert_eq!(live.step(event), Err(Fault::Ended));
    }
    live.check(world.session);
}

#[test]
fn time_does_not_go_back() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    live.now = Timestamp::from_seconds(START - 1);
    assert_eq!(live.step(leave(&world, 0)), Err(Fault::ClockSteppedBack));
    assert_eq!(live.step(END), Err(Fault::ClockSteppedBack));
}

/// Every way to tamper with a log that is caught without any signature.
#[test]
fn replay_refuses_what_does_not_follow() {
    let mut world = World::new();
    let chain = world.root(0, everything());
    let mut live = world.open(&chain);
    world.call(&mut live, 0, &chain, 1, ("list", json!({})));
    live.end_execution(1).unwrap();
    world.call(&mut live, 0, &chain, 2, ("other", json!({})));
    live.step(END).unwrap();
    live.check(world.session);
    let log = live.log;
    let replay = |log: &[(LeafRef, Entry)]| {
        Session::replay(world.session, log.iter().map(|(leaf, entry)| (leaf, entry)))
    };
    assert!(matches!(replay(&log), Ok(Session::Ended(_))));
    for gone in 0..log.len() - 1 {
        let mut less = log.clone();
        less.remove(gone);
        assert!(
            replay(&less).is_err(),
            "without {}",
            log[gone].1.event.type_name()
        );
    }
    for twice in 0..log.len() {
        let mut more = log.clone();
        more.insert(twice, log[twice].clone());
        assert!(
            replay(&more).is_err(),
            "twice {}",
            log[twice].1.event.type_name()
        );
    }
    for at in 0..log.len() - 1 {
        let mut swapped = log.clone();
        swapped.swap(at, at + 1);
        assert!(replay(&swapped).is_err(), "swapped {at}");
    }
    let edit = |change: &dyn Fn(&mut Logged)| {
        (0..log.len()).any(|at| {
            let mut other = log.clone();
            change(&mut other[at].1.event);
            other != log && replay(&other).is_ok()
        })
    };
    assert!(!edit(&|event| if let Logged::SessionEnd(end) = event {
        end.counts.denied += 1
    }));
    assert!(!edit(&|event| if let Logged::SessionEnd(end) = event {
        end.instances += 1
    }));
    assert!(!edit(&|event| if let Logged::SessionLeave(leave) = event {
        leave.counts.allowed = 0
    }));
    assert!(!edit(&|event| if let Logged::SessionLeave(leave) = event {
        leave.entries += 1
    }));
    assert!(!edit(&|event| if let Logged::Decision(decision) = event {
        decision.approvals.push(id(1));
    }));
    assert!(!edit(&|event| {
        if let Logged::Decision(decision) = event
            && decision.outcome == chancery_audit::Ruling::Allow
        {
            decision.cost_micros += 1;
        }
    }));
    assert!(!edit(&|event| if let Logged::Outcome(outcome) = event {
        outcome.decision += 1
    }));
    assert!(!edit(&|event| if let Logged::SessionJoin(join) = event {
        join.attestation_level = chancery_audit::Label::or_digest("hardware");
    }));
    assert!(!edit(&|event| if let Logged::Decision(decision) = event {
        decision.link.seq += 1
    }));
    let mut moved = log.clone();
    for (leaf, _) in &mut moved {
        leaf.hash = Digest::of("other");
    }
    assert!(replay(&moved).is_err());
}
