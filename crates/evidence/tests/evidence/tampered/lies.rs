//! A gateway that signs what did not happen: found by deciding again.

use chancery_audit::{Entry, Event, Label, Ruling};
use chancery_evidence::ObjectKind;
use chancery_types::Digest;
use serde_json::{Value, json};

use super::{check, fails, has, names};
use crate::log_writer::LogSigner;
use crate::scene::{Scene, at};

/// Rewrites the gateway's log from an entry on, with every instance's chain made whole again: what
/// a gateway that lies from the start could write.
pub(crate) fn rewritten(scene: &mut Scene, change: impl Fn(&mut Event) -> bool) {
    let entries = scene.gateway.parsed();
    scene.gateway.entries.clear();
    scene.gateway.note = None;
    let mut last = std::collections::BTreeMap::new();
    let mut decisions = std::collections::BTreeMap::new();
    for mut entry in entries {
        if !change(&mut entry.event) {
            continue;
        }
        let name = entry.event.instance_link().map(|(_, name, _)| name.clone());
        if let Event::Outcome(outcome) = &mut entry.event {
            outcome.decision = decisions[&outcome.execution];
        }
        if let Some(link) = link_of(&mut entry.event) {
            let (seq, prev) = match last.get(name.as_ref().unwrap()) {
                Some((seq, leaf)) => (seq + 1, Some(Clone::clone(leaf))),
                None => (0, None),
            };
            link.seq = seq;
            link.prev = prev;
        }
        let leaf = scene.gateway.push(&entry);
        if let Event::Decision(decision) = &entry.event {
            decisions.insert(decision.execution, leaf.index);
        }
        if let Some((_, name, link)) = entry.event.instance_link() {
            last.insert(name.clone(), (link.seq, leaf));
        }
    }
}

pub(super) fn link_of(event: &mut Event) -> Option<&mut chancery_audit::InstanceLink> {
    match event {
        Event::SessionJoin(body) => Some(&mut body.link),
        Event::SessionLeave(body) => Some(&mut body.link),
        Event::Decision(body) => Some(&mut body.link),
        Event::Outcome(body) => Some(&mut body.link),
        Event::ApprovalRequest(body) => Some(&mut body.link),
        Event::ApprovalGrant(body) => Some(&mut body.link),
        _ => None,
    }
}

#[test]
fn rewriting_nothing_changes_nothing_but_the_signature() {
    let mut scene = Scene::new();
    let before = scene.gateway.entries.clone();
    rewritten(&mut scene, |_| true);
    assert_eq!(scene.gateway.entries, before);
}

#[test]
fn a_gateway_that_lies_is_found_by_deciding_again() {
    type Lie = fn(&mut Event) -> bool;
    let lies: [(&str, Lie); 14] = [
        // Another step than the proof cites.
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event
                && decision.reason == "permit"
            {
                decision.step = Some(Label::or_digest("step-2"));
            }
            true
        }),
        // The opinion that came is not told; that it came is not proven by anything else.
        ("object_unreferenced", |event| {
            if let Event::Decision(decision) = event {
                decision.opinion = None;
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event
                && decision.reason == "policy_forbid"
            {
                decision.reason = Label::or_digest("policy_no_match");
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event
                && decision.reason == "policy_forbid"
            {
                decision.outcome = Ruling::Allow;
                decision.reason = Label::or_digest("permit");
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event
                && decision.reason == "holder_mismatch"
            {
                decision.reason = Label::or_digest("pop_bad_signature");
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event {
                decision.determining.clear();
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event {
                decision.approvals.clear();
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event {
                decision.charges.clear();
            }
            true
        }),
        ("decision_differs", |event| {
            !matches!(event, Event::ApprovalGrant(_))
        }),
        ("does_not_follow", |event| {
            !matches!(event, Event::ApprovalRequest(_))
        }),
        ("dangling", |event| !matches!(event, Event::Outcome(_))),
        (
            "does_not_follow",
            |event| !matches!(event, Event::DelegationEnrol(enrol) if enrol.delegation == "root-1"),
        ),
        ("delegation_differs", |event| {
            if let Event::DelegationEnrol(enrol) = event {
                enrol.depth += 1;
            }
            true
        }),
        ("chain_open", |event| {
            !matches!(event, Event::SessionLeave(_))
        }),
    ];
    for (at, (reason, lie)) in lies.into_iter().enumerate() {
        let mut scene = Scene::new();
        rewritten(&mut scene, lie);
        let report = check(&scene, &scene.files());
        assert!(
            has(&report, reason),
            "{at} {reason}: {:#?}",
            report.findings
        );
        // The server enrolled another log.
        assert!(has(&report, "log_forked") || has(&report, "checkpoint_not_enrolled"));
    }
}

#[test]
fn a_lying_opening_or_approval_is_found() {
    type Lie = fn(&mut Event) -> bool;
    let lies: [(&str, Lie); 12] = [
        // More than the mission's budget, later than its end, another approver than it names.
        ("open_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.max_calls = Some(101);
            }
            true
        }),
        ("open_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.max_cost_micros = None;
            }
            true
        }),
        ("open_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.approver = Some(crate::scene::id(3));
            }
            true
        }),
        ("open_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.assurance = chancery_audit::Assurance::Asserted;
            }
            true
        }),
        ("principal_undisclosed", |event| {
            if let Event::SessionOpen(open) = event {
                open.principal = open.operator;
            }
            true
        }),
        ("gateway_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.gateway = Label::or_digest("spiffe://example.org/service/other");
            }
            true
        }),
        ("trust_unknown", |event| {
            if let Event::SessionOpen(open) = event {
                open.trust = 7;
            }
            true
        }),
        ("join_differs", |event| {
            if let Event::SessionJoin(join) = event {
                join.isolation = chancery_audit::Isolation::Unisolated;
            }
            true
        }),
        ("token_missing", |event| {
            if let Event::SessionJoin(join) = event {
                join.agent_key = Digest::of("x");
            }
            true
        }),
        ("display_differs", |event| {
            if let Event::ApprovalRequest(request) = event {
                request.asks.push(Label::or_digest("more"));
            }
            true
        }),
        ("grant_differs", |event| {
            if let Event::ApprovalGrant(grant) = event {
                grant.expires = at(550);
            }
            true
        }),
        ("answer_not_enrolled", |event| {
            if let Event::ApprovalGrant(grant) = event {
                grant.verdict = chancery_audit::Verdict::Deny;
            }
            true
        }),
    ];
    for (reason, lie) in lies {
        let mut scene = Scene::new();
        rewritten(&mut scene, lie);
        let report = check(&scene, &scene.files());
        assert!(has(&report, reason), "{reason}: {:#?}", report.findings);
    }
}

/// Claims that a call was simply allowed.
pub(super) fn allow(event: &mut Event, reason: &str) -> bool {
    if let Event::Decision(decision) = event
        && decision.reason == reason
    {
        decision.outcome = Ruling::Allow;
        decision.reason = Label::or_digest("permit");
        decision.determining = vec![Label::or_digest("reads")];
    }
    true
}

#[test]
fn what_the_mission_says_is_decided_again() {
    let forbidding: fn(&mut Value) = |document| {
        document["forbid"] = json!([{"type": "mcp_tool", "server": "bank", "tool": "list"}]);
    };
    let stopping: fn(&mut Value) = |document| {
        document["stop"] = json!([{"when": "elapsed", "seconds": 10}]);
    };
    for (mission, reason) in [
        (forbidding, "mission_forbid"),
        (stopping, "mission_stopped"),
    ] {
        let told = |scene: &Scene| {
            scene
                .gateway
                .parsed()
                .iter()
                .any(|entry| match &entry.event {
                    Event::Decision(decision) => decision.reason == *reason,
                    _ => false,
                })
        };
        let mut scene = Scene::with_mission(mission);
        assert!(told(&scene), "{reason}");
        assert_eq!(check(&scene, &scene.files()).findings, [], "{reason}");
        rewritten(&mut scene, |event| allow(event, reason));
        assert!(!told(&scene));
        let report = check(&scene, &scene.files());
        assert!(
            has(&report, "decision_differs"),
            "{reason}: {:#?}",
            report.findings
        );
    }
}

#[test]
fn rules_for_chains_are_held_again() {
    let rules = |member: &str, value: Value| {
        let mut rules = json!({"rules": "chancery/delegation-rules/v1"});
        rules[member] = value;
        rules
    };
    let kept = Scene::with_rules(&rules("root", json!({"max_seconds": 2_000})));
    assert_eq!(check(&kept, &kept.files()).findings, []);
    // The gateway let chains in that break a rule, and says that a call was simply allowed.
    for (member, value, reason) in [
        ("root", json!({"max_seconds": 1_999}), "rules_lifetime"),
        ("max_depth", json!(2), "rules_depth"),
    ] {
        let mut scene = Scene::with_rules(&rules(member, value));
        fails(&check(&scene, &scene.files()), "rules_broken");
        rewritten(&mut scene, |event| allow(event, reason));
        fails(&check(&scene, &scene.files()), "decision_differs");
    }
}

#[test]
fn a_mission_that_is_none_and_one_that_is_over_are_found() {
    let mut scene = Scene::new();
    let digest = mission_of(&scene);
    scene.objects.get_mut(&digest).unwrap().1 = b"Pay.".to_vec();
    let report = check(&scene, &scene.files());
    fails(&report, "object_altered");
    assert!(!report.is_verified());
}

pub(super) fn mission_of(scene: &Scene) -> Digest {
    let mut objects = scene.objects.iter();
    let found = objects.find(|(_, (kind, _))| *kind == ObjectKind::Mission);
    *found.unwrap().0
}

#[test]
fn the_same_lie_under_an_unnamed_key_is_refused_by_its_checkpoint() {
    let mut scene = Scene::new();
    rewritten(&mut scene, |event| {
        if let Event::Decision(decision) = event {
            decision.reason = Label::or_digest("permit");
        }
        true
    });
    scene.signers.gateway = LogSigner::new("example.org/log/gateway");
    let report = check(&scene, &scene.files());
    fails(&report, "checkpoint_refused");
    assert!(names(&report, "log/gateway/checkpoint"));
}

#[test]
fn a_proof_that_comes_twice_is_a_replay() {
    let mut scene = Scene::new();
    let first = scene
        .gateway
        .parsed()
        .into_iter()
        .find_map(|entry| match entry.event {
            Event::Decision(decision) if decision.reason == "ask" => Some(decision.proof),
            _ => None,
        });
    let entries = scene.gateway.parsed();
    scene.gateway.entries.clear();
    scene.gateway.note = None;
    for mut entry in entries {
        if let Event::Decision(decision) = &mut entry.event
            && decision.reason == "approved"
        {
            decision.proof = first.unwrap();
        }
        scene.gateway.push(&entry);
    }
    let report = check(&scene, &scene.files());
    let replayed = report
        .findings
        .iter()
        .any(|finding| finding.text.contains("(replay)"));
    assert!(replayed, "{:#?}", report.findings);
}

#[test]
fn entries_of_another_kind_or_time_are_found() {
    let mut scene = Scene::new();
    let end = scene.gateway.parsed().pop().unwrap();
    scene.server.append(at(10), end.event);
    let report = check(&scene, &scene.files());
    fails(&report, "entry_writer");
    fails(&report, "time_went_back");

    let mut scene = Scene::new();
    let mut entry: Entry = scene.server.parsed().pop().unwrap();
    entry.origin = Label::or_digest("example.org/log/gateway");
    scene.server.push(&entry);
    scene.server.entries.push(b"{}".to_vec());
    let report = check(&scene, &scene.files());
    fails(&report, "entry_origin");
    fails(&report, "entry_malformed");
}
