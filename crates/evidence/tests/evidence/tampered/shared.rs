//! What the sessions of a gateway share, and what is said beside decisions: recomputed as well.

use chancery_audit::{Entry, Event, Label, SessionVisit};

use super::lies::rewritten;
use super::{check, has};
use crate::scene::{Scene, id};

/// Puts an entry before the first that is like this, as a gateway could that lies from the start.
fn inserted(scene: &mut Scene, before: fn(&Event) -> bool, make: impl FnOnce(&Event) -> Event) {
    let mut entries = scene.gateway.parsed();
    let at = entries
        .iter()
        .position(|entry| before(&entry.event))
        .unwrap();
    let entry = Entry {
        event: make(&entries[at].event),
        ..entries[at].clone()
    };
    entries.insert(at, entry);
    scene.gateway.entries = entries
        .iter()
        .map(|entry| entry.to_bytes().unwrap())
        .collect();
    rewritten(scene, |_| true);
}

#[test]
fn an_agent_key_that_joined_another_session_before_is_found() {
    let mut scene = Scene::new();
    let is_join = |event: &Event| matches!(event, Event::SessionJoin(_));
    inserted(&mut scene, is_join, |event| {
        let Event::SessionJoin(join) = event else {
            panic!()
        };
        let mut elsewhere = join.clone();
        elsewhere.session = id(99);
        elsewhere.instance = Label::or_digest("spiffe://example.org/agent/clerk/instance/other");
        elsewhere.into()
    });
    let report = check(&scene, &scene.files());
    assert!(has(&report, "joined_elsewhere"), "{:#?}", report.findings);
}

/// The rules of the scene name no untrusted server.
#[test]
fn a_visit_that_the_rules_do_not_say_is_found() {
    let mut scene = Scene::new();
    let is_decision = |event: &Event| matches!(event, Event::Decision(_));
    inserted(&mut scene, is_decision, |event| {
        let Event::Decision(decision) = event else {
            panic!()
        };
        let visit = SessionVisit {
            session: decision.session,
            instance: decision.instance.clone(),
            server: Label::or_digest("bank"),
            policy: decision.policy,
            taint: vec![Label::or_digest("server:bank")],
            reads: Vec::new(),
        };
        visit.into()
    });
    let report = check(&scene, &scene.files());
    assert!(has(&report, "visit_differs"), "{:#?}", report.findings);
    // Whatever it says, the session has it from then on: the decisions after it differ.
    assert!(has(&report, "decision_differs"), "{:#?}", report.findings);
}
