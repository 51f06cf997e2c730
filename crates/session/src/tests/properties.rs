use chancery_audit::{EndReason, LeaveReason, Ruling};
use chancery_delegation::VerifiedChain;
use chancery_types::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::world::{Live, START, Terms3, World, everything, tool, with_rules};
use crate::{Ending, Event, Leaving, Session};

/// Everything that a session counts: sums that ask, breadth, an untrusted source, what stands for a while.
const COUNTED: &str = r#"{
  "ask_beyond": {"calls": 3, "cost_micros": 200000, "resources": 2},
  "suspend_beyond": {"resources": 3},
  "tools": {
    "bank/list": {"untrusted": true, "reads_only": true},
    "bank/pay": {"resource_arg": "amount", "grant_seconds": 60}
  }
}"#;

/// What a test does next; everything may come at any time.
#[derive(Debug, Clone, Copy)]
enum Op {
    Open,
    Join(usize),
    Call(usize, u8, u64),
    Outcome(u8),
    Ask(u8, u8),
    Answer(u8),
    Leave(usize),
    End,
    Wait(u64),
    Back,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Open),
        3 => (0..3_usize).prop_map(Op::Join),
        12 => (0..3_usize, 0..12_u8, 0..5_u64).prop_map(|(who, id, what)| Op::Call(who, id, what)),
        6 => (0..12_u8).prop_map(Op::Outcome),
        4 => (0..12_u8, 0..4_u8).prop_map(|(execution, id)| Op::Ask(execution, id)),
        4 => (0..4_u8).prop_map(Op::Answer),
        2 => (0..3_usize).prop_map(Op::Leave),
        1 => Just(Op::End),
        1 => (0..400_u64).prop_map(Op::Wait),
        1 => Just(Op::Back),
    ]
}

struct Scene {
    world: World,
    chains: Vec<VerifiedChain>,
}

fn scene() -> Scene {
    let mut world = World::new();
    let mut what = everything();
    what.entries = vec![
        tool("pay", json!({"max_calls": 4})),
        tool("list", json!({})),
    ];
    let root = world.root(0, what);
    let limited = || Terms3 {
        entries: vec![
            tool("pay", json!({"max_calls": 2})),
            tool("list", json!({})),
        ],
        ..Terms3::default()
    };
    let one = world.link(&root, 0, 1, limited());
    let two = world.link(&root, 0, 2, limited());
    Scene {
        world,
        chains: vec![root, one, two],
    }
}

fn run(scene: &Scene, live: &mut Live, op: Op) {
    let Scene { world, chains } = scene;
    let event = match op {
        Op::Open => Event::Open(Box::new(world.opening(0, &chains[0]))),
        Op::Join(who) => Event::Join(Box::new(world.joining(who, &chains[who]))),
        Op::Call(who, execution, what) => {
            let call = match what {
                0 => ("list", json!({})),
                1 => ("pay", json!({"amount": 5})),
                2 => ("pay", json!({"amount": 5_000})),
                3 => ("pay", json!({"amount": 2_000_000})),
                _ => ("none", json!({})),
            };
            Event::Decide(Box::new(world.judge(
                live,
                who,
                &chains[who],
                execution,
                call,
            )))
        }
        Op::Outcome(execution) => {
            let _ = live.end_execution(execution);
            return;
        }
        Op::Ask(execution, approval) => Event::Ask(world.question(execution, approval)),
        Op::Answer(approval) => {
            let waits = live
                .session
                .as_ref()
                .and_then(Session::as_open)
                .is_some_and(|open| {
                    open.pending()
                        .any(|(id, _)| id == super::world::id(approval))
                });
            if !waits {
                return;
            }
            Event::Answer(Box::new(world.answer(world.statement(live, approval))))
        }
        Op::Leave(who) => Event::Leave(Leaving {
            instance: world.name(who),
            reason: LeaveReason::Completed,
        }),
        Op::End => Event::End(Ending {
            reason: EndReason::Completed,
            cause: None,
            evidence: None,
        }),
        Op::Wait(seconds) => {
            live.now = live.now.plus_seconds(seconds);
            return;
        }
        Op::Back => {
            let start = Timestamp::from_seconds(START);
            live.now = live.now.minus_seconds(1).max(start);
            return;
        }
    };
    let _ = live.step(event);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// `check` asserts at most one end, and that replay gives the very state of live stepping; the
    /// driver asserts that a refused step changes nothing.
    #[test]
    fn any_sequence_ends_at_most_once_and_replays_to_the_same_state(
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let scene = scene();
        let mut live = Live::new(scene.world.session);
        for op in [Op::Open, Op::Join(0)].into_iter().chain(ops) {
            run(&scene, &mut live, op);
        }
        live.check(scene.world.session);
        let after_end = live
            .log
            .iter()
            .map(|(_, entry)| entry.event.type_name())
            .skip_while(|name| *name != "session.end")
            .skip(1)
            .filter(|name| *name != "session.refuse")
            .count();
        prop_assert_eq!(after_end, 0);
        let paid = live.log.iter().filter(|(_, entry)| match &entry.event {
            chancery_audit::Event::Decision(decision) => {
                decision.outcome == Ruling::Allow && decision.request.name == "pay"
            }
            _ => false,
        });
        prop_assert!(paid.count() <= 4, "fan-out multiplied a limit");
    }

    /// Of every prefix of the log that one step left, replay gives the state that stood then, with its
    /// trust, taint and sums; of the others it gives one, whichever way the entries are folded.
    #[test]
    fn z6_any_prefix_of_a_log_replays_to_the_state_that_stood_then(
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut scene = scene();
        let rules = serde_json::from_str(COUNTED).unwrap();
        scene.world.policy = with_rules(super::world::POLICIES, rules);
        let session = scene.world.session;
        let mut live = Live::new(session);
        let mut stood = Vec::new();
        for op in [Op::Open, Op::Join(0), Op::Join(1)].into_iter().chain(ops) {
            run(&scene, &mut live, op);
            stood.push((live.log.len(), live.session.clone()));
        }
        let mut folded = Session::new(session);
        for length in 0..=live.log.len() {
            if let Some(last) = length.checked_sub(1) {
                let (leaf, entry) = &live.log[last];
                folded = folded.fold(leaf, entry).unwrap();
            }
            let prefix = live.log[..length].iter().map(|(leaf, entry)| (leaf, entry));
            prop_assert_eq!(&Session::replay(session, prefix).unwrap(), &folded);
            let then = stood.iter().filter(|(known, _)| *known == length);
            for (_, state) in then {
                prop_assert_eq!(state.as_ref(), Some(&folded));
            }
        }
    }
}
