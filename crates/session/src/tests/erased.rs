//! What is held to the state of a decision whose arguments were erased.

use chancery_audit::{Decision, Event as Logged};
use serde_json::json;

use super::world::{Live, World, all_tools, with_rules};
use crate::Commons;

const EVERYTHING: &str = r#"@id("all") permit (principal, action, resource);"#;

/// A world in which the third of three calls acts; what stood before it, and its decision.
fn decided() -> (World, Live, Decision) {
    let mut world = World::new();
    world.policy = with_rules(
        EVERYTHING,
        json!({
            "ask_beyond": {"calls": 3, "cost_micros": 50_000_000},
            "suspend_beyond": {"resources": 2},
            "tools": {"bank/notes": {"store": "notes", "reads_only": true}}
        }),
    );
    let chain = world.root(0, all_tools());
    let mut live = world.open(&chain);
    world.call(&mut live, 0, &chain, 1, ("notes", json!({})));
    world.call(&mut live, 0, &chain, 2, ("note", json!({})));
    let judged = world.judge(&live, 0, &chain, 3, ("notes", json!({})));
    let mut after = Live {
        session: live.session.clone(),
        log: live.log.clone(),
        commons: live.commons.clone(),
        now: live.now,
    };
    after.step(crate::Event::Decide(Box::new(judged))).unwrap();
    let Some(Logged::Decision(decision)) = after.log.pop().map(|(_, entry)| entry.event) else {
        panic!()
    };
    (world, live, decision)
}

fn check(world: &World, live: &Live, decision: &Decision) -> Result<(), &'static str> {
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    open.check_erased(live.now, decision, &world.policy, &live.commons)
}

#[test]
fn s5_an_honest_decision_holds_without_its_arguments() {
    let (world, live, decision) = decided();
    assert_eq!(check(&world, &live, &decision), Ok(()));
}

#[test]
fn s5_what_needs_no_arguments_is_compared_though_they_were_erased() {
    type Lie = fn(&mut Decision);
    let (world, live, honest) = decided();
    let lies: [(Lie, &str); 8] = [
        (|it| it.facts = None, "facts"),
        (|it| it.facts.as_mut().unwrap().trust = 900, "facts"),
        (
            |it| it.facts.as_mut().unwrap().formula = chancery_types::Digest::of("v0"),
            "facts",
        ),
        (|it| it.facts.as_mut().unwrap().reads.clear(), "facts"),
        (
            |it| it.facts.as_mut().unwrap().taint = vec!["server:x".parse().unwrap()],
            "facts",
        ),
        (
            |it| it.facts.as_mut().unwrap().resource = chancery_types::Digest::of("third"),
            "breadth",
        ),
        (|it| it.cost_micros = 50_000_001, "asks"),
        (|it| it.instance = "nobody".parse().unwrap(), "instance"),
    ];
    for (number, (lie, expected)) in lies.into_iter().enumerate() {
        let mut decision = honest.clone();
        lie(&mut decision);
        assert_eq!(check(&world, &live, &decision), Err(expected), "{number}");
    }
}

/// A gateway that hides the taint of a session or of a store is found out.
#[test]
fn s7_taint_is_compared_though_the_arguments_were_erased() {
    let (world, mut live, decision) = decided();
    let before = live.commons.clone();
    let mut tainting = decision.clone();
    let facts = tainting.facts.as_mut().unwrap();
    facts.taints = vec!["notes".parse().unwrap()];
    live.commons.take(&tainting.into());
    assert_ne!(live.commons, before);
    assert_eq!(check(&world, &live, &decision), Err("facts"));
    live.commons = Commons::default();
    assert_eq!(check(&world, &live, &decision), Ok(()));
}
