//! Observe mode: what policy says is enrolled and not enforced, and nothing else is let pass.

use chancery_audit::{
    BrakeMode, BrakeOn, BrakeSet, Decision, Event as Logged, Label, ObserveEnd, ObserveSet,
    ObservedBy, Ruling, SessionEnd,
};
use chancery_delegation::VerifiedChain;
use chancery_delegation::access_token::EXCHANGE_SERVER;
use chancery_policy::Annotations;
use chancery_types::Digest;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{
    Live, POLICIES, Terms3, World, all_tools, bundle, everything, files, id, mission,
    mission_document, tool, with_rules,
};
use crate::{Budgets, Event, Judgement, Opinion, Reason, Rulebook, RulebookError};

fn everything_observed() -> Value {
    json!({"observe": {"everything": true}})
}

fn world(rules: Value) -> (World, Live, VerifiedChain) {
    let mut world = World::new();
    world.policy = with_rules(POLICIES, rules);
    let chain = world.root(0, all_tools());
    let live = world.open(&chain);
    (world, live, chain)
}

fn pay(amount: i64) -> (&'static str, Value) {
    ("pay", json!({"amount": amount}))
}

const FETCH: (&str, Value) = ("fetch", Value::Null);

fn said(judged: &Judgement) -> Option<(Ruling, String, Vec<String>, ObservedBy)> {
    let said = judged.unenforced()?;
    Some((
        said.outcome,
        said.reason.to_string(),
        said.determining.iter().map(Label::to_string).collect(),
        said.by,
    ))
}

#[test]
fn what_policy_denies_or_asks_passes_and_says_so() {
    let (world, live, chain) = world(everything_observed());
    for (what, verdict, reason, by) in [
        (pay(2_000_000), Ruling::Deny, "policy_forbid", vec!["huge"]),
        (pay(5_000), Ruling::Escalate, "ask", vec!["large"]),
        (FETCH, Ruling::Deny, "policy_no_match", vec![]),
    ] {
        let judged = world.judge(&live, 0, &chain, 1, what.clone());
        assert_eq!(
            (judged.ruling(), judged.reason()),
            (Ruling::Allow, Reason::Observed),
            "{what:?}"
        );
        assert!(judged.determining().is_empty());
        let by = by.into_iter().map(str::to_owned).collect();
        let expected = (verdict, reason.to_owned(), by, ObservedBy::Bundle);
        assert_eq!(said(&judged), Some(expected));
    }
    // What policy allows is as it was.
    let judged = world.judge(&live, 0, &chain, 1, pay(5));
    assert_eq!(judged.reason(), Reason::Permit);
    assert_eq!(said(&judged), None);
    assert_eq!(judged.determining(), ["small"]);
}

#[test]
fn a_tool_that_is_observed_lets_no_other_pass() {
    let (world, live, chain) = world(json!({"observe": {"tools": ["bank/fetch"]}}));
    let judged = world.judge(&live, 0, &chain, 1, FETCH);
    assert_eq!(judged.reason(), Reason::Observed);
    assert_eq!(said(&judged).unwrap().3, ObservedBy::Tool);
    for (what, reason) in [
        (pay(2_000_000), Reason::PolicyForbid),
        (pay(5_000), Reason::Ask),
        (("note", json!({})), Reason::PolicyNoMatch),
    ] {
        let judged = world.judge(&live, 0, &chain, 1, what);
        assert_eq!((judged.reason(), said(&judged)), (reason, None));
    }
}

#[test]
fn a_session_is_observed_where_the_operator_says_so_and_the_bundle_lets_them() {
    let offered = json!({"observe": {"named_sessions": true}});
    let (mut world, mut live, chain) = world(offered.clone());
    let policy = world.policy.digest();
    let set = |session, policy| Logged::from(ObserveSet { session, policy });
    let reason = |world: &World, live: &Live| world.judge(live, 0, &chain, 1, FETCH).reason();
    assert_eq!(reason(&world, &live), Reason::PolicyNoMatch);
    // Another session's mark is no mark of this one.
    live.commons.take(&set(id(9), policy));
    assert_eq!(reason(&world, &live), Reason::PolicyNoMatch);
    // Nor one that was set under another bundle.
    live.commons
        .take(&set(world.session, bundle(POLICIES).digest()));
    assert_eq!(reason(&world, &live), Reason::PolicyNoMatch);
    live.commons.take(&set(world.session, policy));
    assert_eq!(reason(&world, &live), Reason::Observed);
    let judged = world.judge(&live, 0, &chain, 1, FETCH);
    assert_eq!(said(&judged).unwrap().3, ObservedBy::Session);
    // The operator alone lets nothing pass.
    for rules in [json!({}), json!({"observe": {"tools": ["bank/note"]}})] {
        world.policy = with_rules(POLICIES, rules);
        assert_eq!(reason(&world, &live), Reason::PolicyNoMatch);
    }
    // The mark lapses with the bundle that it was set under, though the next one offers the same.
    let next = format!(
        "{POLICIES} @id(\"more\") forbid (principal, action, resource) when {{ principal.depth == 4096 }};"
    );
    world.policy = with_rules(&next, offered.clone());
    assert_ne!(world.policy.digest(), policy);
    assert_eq!(reason(&world, &live), Reason::PolicyNoMatch);
    world.policy = with_rules(POLICIES, offered);
    assert_eq!(reason(&world, &live), Reason::Observed);
    let end = ObserveEnd {
        session: world.session,
    };
    live.commons.take(&end.into());
    assert_eq!(reason(&world, &live), Reason::PolicyNoMatch);
}

/// What is over is not observed: an id that came again would begin enforced.
#[test]
fn the_mark_of_a_session_ends_with_it() {
    let (world, mut live, _) = world(json!({"observe": {"named_sessions": true}}));
    let (session, policy) = (world.session, world.policy.digest());
    live.commons.take(&ObserveSet { session, policy }.into());
    assert!(live.commons.is_observed(session, policy));
    let end = SessionEnd {
        session,
        reason: chancery_audit::EndReason::Completed,
        instances: 1,
        counts: live
            .session
            .as_ref()
            .unwrap()
            .as_open()
            .unwrap()
            .counts()
            .clone(),
        evidence: None,
        cause: None,
    };
    live.commons.take(&end.into());
    assert!(!live.commons.is_observed(session, policy));
}

/// No verdict of policy: a call that it cannot evaluate, and one that no policy could ever allow.
#[test]
fn what_policy_could_not_judge_is_denied_though_everything_is_observed() {
    let (mut world, _, _) = world(everything_observed());
    let mut terms = all_tools();
    terms.entries.push(tool("none", json!({})));
    let chain = world.root(0, terms);
    let live = world.open(&chain);
    let judged = world.judge(&live, 0, &chain, 1, ("list", json!({"account": 5})));
    assert_eq!(
        (judged.reason(), said(&judged)),
        (Reason::PolicyError, None)
    );
    let judged = world.judge(&live, 0, &chain, 1, ("none", json!({})));
    assert_eq!(
        (judged.reason(), said(&judged)),
        (Reason::PolicyNoMatch, None)
    );
    world.policy = with_rules(
        r#"@id("broken") permit (principal, action, resource)
             when { 9223372036854775807 + context.session.trust > 0 };"#,
        everything_observed(),
    );
    let judged = world.judge(&live, 0, &chain, 1, FETCH);
    assert_eq!(
        (judged.reason(), said(&judged)),
        (Reason::PolicyError, None)
    );
}

#[test]
fn what_is_not_policys_is_denied_though_everything_is_observed() {
    let (mut world, live, chain) = world(everything_observed());
    let worker = world.link(&chain, 0, 1, all_tools());
    let mut checked = 0;
    let mut denied = |judged: Judgement, reason: Reason| {
        assert_eq!((judged.ruling(), judged.reason()), (Ruling::Deny, reason));
        assert_eq!(said(&judged), None, "{reason}");
        checked += 1;
    };
    let with = |change: &dyn Fn(&mut crate::CallInput<'_>)| {
        world.judge_with(&live, 0, &chain, 1, FETCH, change)
    };
    denied(
        with(&|it| it.catalog.digest = Digest::of("other")),
        Reason::CatalogChanged,
    );
    denied(
        with(&|it| it.catalog.annotations = None),
        Reason::NotInCatalog,
    );
    denied(
        with(&|it| it.standing.epoch = 2),
        Reason::Chain(chancery_delegation::Reason::StaleEpoch),
    );
    denied(
        with(&|it| it.standing.now = it.standing.now.minus_seconds(1)),
        Reason::ClockSteppedBack,
    );
    denied(
        with(&|it| it.standing.now = it.standing.now.plus_seconds(7_200)),
        Reason::SessionExpired,
    );
    let against = Opinion::read(br#"{"verdict":"deny"}"#);
    denied(
        world.judge_for(&live, &chain, 1, FETCH, &world.mission, Some(&against)),
        Reason::Opinion,
    );
    let mut stopped = Live {
        session: live.session.clone(),
        log: Vec::new(),
        commons: Default::default(),
        now: live.now,
    };
    stopped.commons.take(
        &BrakeSet {
            on: BrakeOn::Tool,
            name: Label::or_digest("bank/fetch"),
            mode: BrakeMode::Pause,
        }
        .into(),
    );
    denied(world.judge(&stopped, 0, &chain, 1, FETCH), Reason::Paused);
    denied(world.judge(&live, 1, &worker, 1, FETCH), Reason::NotJoined);
    assert_eq!(checked, 8);
}

#[test]
fn what_the_chain_the_mission_and_the_sums_deny_is_denied_though_everything_is_observed() {
    let cases: [(Terms3, fn(&mut Value), Budgets, Reason); 4] = [
        // The chain does not cover it,
        (
            everything(),
            |_| {},
            Budgets::default(),
            Reason::Chain(chancery_delegation::Reason::NotInScope),
        ),
        // or forbids it.
        (
            Terms3 {
                forbid: vec![tool("fetch", json!({}))],
                ..all_tools()
            },
            |_| {},
            Budgets::default(),
            Reason::ChainForbid,
        ),
        (
            all_tools(),
            |it| it["forbid"] = json!([{"type": "mcp_tool", "server": "bank", "tool": "fetch"}]),
            Budgets::default(),
            Reason::MissionForbid,
        ),
        (
            all_tools(),
            |_| {},
            Budgets {
                max_calls: Some(0),
                max_cost_micros: None,
            },
            Reason::SessionCallLimit,
        ),
    ];
    for (terms, change, budgets, reason) in cases {
        let mut world = World::new();
        world.policy = with_rules(POLICIES, everything_observed());
        let mut document = mission_document();
        change(&mut document);
        world.mission = mission(document);
        let chain = world.root(0, terms);
        let live = world.open_with(&chain, budgets);
        let judged = world.judge(&live, 0, &chain, 1, FETCH);
        assert_eq!((judged.ruling(), judged.reason()), (Ruling::Deny, reason));
        assert_eq!(said(&judged), None);
    }
}

#[test]
fn a_sweep_is_suspended_though_everything_is_observed() {
    let mut rules = everything_observed();
    rules["suspend_beyond"] = json!({"resources": 1});
    let (world, mut live, chain) = world(rules);
    let (first, _) = world.call(&mut live, 0, &chain, 1, ("note", json!({"n": 1})));
    assert_eq!(first.reason(), Reason::Observed);
    let (second, _) = world.call(&mut live, 0, &chain, 2, ("note", json!({"n": 2})));
    assert_eq!(second.reason(), Reason::BreadthLimit);
}

#[test]
fn what_asks_beside_policy_asks_though_everything_is_observed() {
    let mut rules = everything_observed();
    rules["tools"] = json!({
        "bank/fetch": {"untrusted": true, "reads_only": true},
        "bank/note": {}, "bank/pay": {}, "bank/notes": {"irreversible": true},
    });
    rules["ask_beyond"] = json!({"cost_micros": 100_000_000_000_u64});
    let (mut world, mut live, chain) = world(rules);
    let asks = |judged: &Judgement| -> Vec<String> {
        assert_eq!(judged.ruling(), Ruling::Escalate);
        judged.determining().iter().map(Label::to_string).collect()
    };
    // What cannot be undone; the person is told that policy does not allow it.
    let judged = world.judge(&live, 0, &chain, 1, ("notes", json!({})));
    assert_eq!(
        asks(&judged),
        ["irreversible", "unenforced:policy_no_match"]
    );
    assert_eq!(said(&judged).unwrap().0, Ruling::Deny);
    // Sums; what policy asks is asked with them, and then enforced.
    let judged = world.judge(&live, 0, &chain, 1, pay(20_000_000));
    assert_eq!(asks(&judged), ["budget:cost", "unenforced:policy_forbid"]);
    let judged = world.judge(&live, 0, &chain, 1, pay(999_999));
    assert_eq!(judged.reason(), Reason::Observed);
    // The mission.
    world.step = Some("step-9");
    let judged = world.judge(&live, 0, &chain, 1, pay(5_000));
    assert_eq!(asks(&judged), ["large", "mission:unknown-step:step-9"]);
    assert_eq!(said(&judged), None);
    world.step = Some("step-1");
    // An opinion.
    let escalate = Opinion::read(br#"{"verdict":"escalate"}"#);
    let judged = world.judge_for(&live, &chain, 1, FETCH, &world.mission, Some(&escalate));
    assert_eq!(judged.ruling(), Ruling::Escalate);
    // Taint.
    let (fetched, _) = world.call(&mut live, 0, &chain, 1, FETCH);
    assert_eq!(fetched.reason(), Reason::Observed);
    let judged = world.judge(&live, 0, &chain, 2, ("note", json!({})));
    assert_eq!(
        asks(&judged),
        ["taint:tool:bank/fetch", "unenforced:policy_no_match"]
    );
    live.check(world.session);
}

/// Of what the operator says nothing of, the pinned catalog says whether it can be undone.
#[test]
fn what_may_destroy_asks_unless_it_is_observed_by_its_name() {
    for (rules, destructive, ruling) in [
        (everything_observed(), true, Ruling::Escalate),
        (everything_observed(), false, Ruling::Allow),
        (
            json!({"observe": {"tools": ["bank/fetch"]}}),
            true,
            Ruling::Allow,
        ),
        (
            json!({"observe": {"tools": ["bank/fetch"]}, "tools": {"bank/note": {}}}),
            true,
            Ruling::Escalate,
        ),
        (
            json!({"observe": {"everything": true}, "tools": {"bank/fetch": {}}}),
            true,
            Ruling::Allow,
        ),
    ] {
        let (world, live, chain) = world(rules.clone());
        let judge = |what| {
            world.judge_with(&live, 0, &chain, 1, what, |input| {
                input.catalog.annotations = Some(Annotations {
                    read_only: false,
                    destructive,
                });
            })
        };
        assert_eq!(judge(FETCH).ruling(), ruling, "{rules} {destructive}");
    }
    // What policy permits asks no more than it did.
    let (world, live, chain) = world(everything_observed());
    let judged = world.judge_with(&live, 0, &chain, 1, pay(5), |input| {
        input.catalog.annotations = Some(Annotations {
            read_only: false,
            destructive: true,
        });
    });
    assert_eq!(judged.reason(), Reason::Permit);
}

#[test]
fn what_cannot_be_undone_passes_by_a_person_alone_and_stays_unenforced() {
    let mut rules = everything_observed();
    rules["tools"] = json!({"bank/notes": {"irreversible": true}});
    let (world, mut live, chain) = world(rules);
    let notes = || ("notes", json!({}));
    world.call(&mut live, 0, &chain, 1, notes());
    live.step(Event::Ask(world.question(1, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    let (passed, permit) = world.call(&mut live, 0, &chain, 2, notes());
    assert!(permit.is_some());
    assert_eq!(passed.reason(), Reason::Observed);
    assert_eq!(said(&passed).unwrap().1, "policy_no_match");
    let Some(Logged::Decision(decision)) = live.log.last().map(|(_, entry)| &entry.event) else {
        panic!()
    };
    assert_eq!(decision.approvals.len(), 1);
    // Once.
    let again = world.judge(&live, 0, &chain, 3, notes());
    assert_eq!(again.ruling(), Ruling::Escalate);
    live.check(world.session);
}

/// Beside other questions it is enforced what policy asks: a person who answers, answers that too.
#[test]
fn what_policy_asks_beside_others_is_granted_by_the_person() {
    let mut rules = everything_observed();
    rules["ask_beyond"] = json!({"cost_micros": 1});
    let (world, mut live, chain) = world(rules);
    let (asked, _) = world.call(&mut live, 0, &chain, 1, pay(5_000));
    assert_eq!(asked.determining(), ["budget:cost", "large"]);
    live.step(Event::Ask(world.question(1, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    let (passed, _) = world.call(&mut live, 0, &chain, 2, pay(5_000));
    assert_eq!((passed.reason(), said(&passed)), (Reason::Approved, None));
}

#[test]
fn what_was_not_enforced_is_counted_and_earns_nothing() {
    let (world, mut live, chain) = world(everything_observed());
    let trust = |live: &Live| {
        let open = live.session.as_ref().unwrap().as_open().unwrap();
        let (_, trust) = open.trust(live.now).next().unwrap();
        trust
    };
    let before = trust(&live);
    world.call(&mut live, 0, &chain, 1, FETCH);
    live.end_execution(1).unwrap();
    // It costs what a denial costs.
    assert_eq!(trust(&live), before - 20);
    world.call(&mut live, 0, &chain, 2, ("list", json!({})));
    live.end_execution(2).unwrap();
    assert_eq!(trust(&live), before - 10);
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    assert_eq!(
        (open.counts().allowed, open.counts().unenforced),
        (2, Some(1))
    );
    live.check(world.session);
    let mut enforced = World::new();
    let chain = enforced.root(0, everything());
    let live = enforced.open(&chain);
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    assert_eq!(open.counts().unenforced, None);
}

/// What was let pass while nothing was enforced makes what is enforced later no milder.
#[test]
fn what_was_not_enforced_counts_against_what_follows_as_though_it_had_been() {
    let (mut world, mut live, chain) = world(everything_observed());
    world.call(&mut live, 0, &chain, 1, FETCH);
    live.end_execution(1).unwrap();
    world.call(&mut live, 0, &chain, 2, pay(5_000));
    live.end_execution(2).unwrap();
    let denied = |world: &mut World, live: &Live, condition: &str| {
        let text = format!(
            "@id(\"p\") permit (principal, action, resource); @id(\"f\") forbid (principal, action, resource) when {{ \
             {condition} }};"
        );
        world.policy = with_rules(&text, json!({}));
        world.judge(live, 0, &chain, 3, FETCH).reason() == Reason::PolicyForbid
    };
    for (condition, holds) in [
        ("context.session.denied == 1", true),
        ("context.session.escalated == 1", true),
        ("context.session.trust == 80", true),
        ("context.session.calls == 2", true),
        ("context.session.denied == 0", false),
    ] {
        assert_eq!(denied(&mut world, &live, condition), holds, "{condition}");
    }
    live.check(world.session);
}

/// A row of denials is not ended by what policy denies.
#[test]
fn what_was_not_enforced_ends_no_row_of_denials() {
    let (world, mut live, chain) = world(everything_observed());
    let row = |live: &Live| {
        let open = live.session.as_ref().unwrap().as_open().unwrap();
        open.denials_in_a_row
    };
    let (denied, _) = world.call(&mut live, 0, &chain, 1, ("list", json!({"account": 5})));
    assert_eq!((denied.ruling(), row(&live)), (Ruling::Deny, 1));
    let (passed, _) = world.call(&mut live, 0, &chain, 2, FETCH);
    assert_eq!((passed.reason(), row(&live)), (Reason::Observed, 1));
    live.end_execution(2).unwrap();
    let (passed, _) = world.call(&mut live, 0, &chain, 3, pay(5));
    assert_eq!((passed.reason(), row(&live)), (Reason::Permit, 0));
    live.check(world.session);
}

/// The mode is the bundle's: it has a digest of its own, and the next call goes by it.
#[test]
fn the_mode_is_part_of_the_bundles_digest_and_the_next_call_goes_by_it() {
    let (world, live, chain) = world(everything_observed());
    let enforced = with_rules(POLICIES, json!({}));
    let tools = with_rules(POLICIES, json!({"observe": {"tools": ["bank/fetch"]}}));
    let digests = [
        world.policy.digest(),
        enforced.digest(),
        tools.digest(),
        bundle(POLICIES).digest(),
    ];
    let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), 4);
    for (policy, reason) in [
        (&world.policy, Reason::Observed),
        (&enforced, Reason::PolicyNoMatch),
        (&tools, Reason::Observed),
    ] {
        let judged = world.judge_under(&live, &chain, 1, FETCH, policy);
        assert_eq!(judged.reason(), reason);
    }
}

#[test]
fn what_cannot_be_observed_makes_no_rulebook() {
    let load = |members: Value| {
        let mut rules = members;
        rules["rules"] = json!(crate::SESSION_RULES_FORM);
        Rulebook::load(&files(POLICIES, None, Some(rules)))
    };
    for rules in [
        json!({"observe": {"tools": ["bank/nothing"]}}),
        json!({"observe": {"tools": ["bank"]}}),
        json!({"observe": {"tools": ["bank/pay"]}, "tools": {"bank/pay": {"irreversible": true}}}),
        json!({"observe": {"tools": ["bank/pay"]}, "tools": {
            "bank/pay": {"irreversible": true, "irreversible_unless": ["small"]}}}),
    ] {
        let refused = load(rules).unwrap_err();
        assert!(
            matches!(refused, RulebookError::Observe { .. }),
            "{refused}"
        );
    }
    for observe in [
        json!({}),
        json!(true),
        json!("everything"),
        json!(null),
        json!([]),
        json!({"everything": false}),
        json!({"everything": 1}),
        json!({"everything": "true"}),
        json!({"tools": []}),
        json!({"tools": "bank/pay"}),
        json!({"named_sessions": false}),
        json!({"everything": true, "tools": ["bank/pay"]}),
        json!({"everything": true, "named_sessions": true}),
        json!({"all": true}),
        json!({"everything": true, "until": 5}),
    ] {
        let refused = load(json!({ "observe": observe })).unwrap_err();
        assert!(matches!(refused, RulebookError::Sessions(_)), "{refused}");
    }
}

fn check(world: &World, live: &Live, decision: &Decision) -> Result<(), &'static str> {
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    open.check_erased(live.now, decision, &world.policy, &live.commons)
}

/// Without the arguments nothing is decided again; that the bundle has the call observed is known all the same.
#[test]
fn what_was_erased_is_unenforced_only_where_the_bundle_says_so() {
    let mut rules = everything_observed();
    rules["tools"] = json!({"bank/note": {}, "bank/fetch": {}});
    let (mut world, live, chain) = world(rules);
    let judged = world.judge(&live, 0, &chain, 1, FETCH);
    let mut after = Live {
        session: live.session.clone(),
        log: live.log.clone(),
        commons: live.commons.clone(),
        now: live.now,
    };
    after.step(Event::Decide(Box::new(judged))).unwrap();
    let Some(Logged::Decision(honest)) = after.log.pop().map(|(_, entry)| entry.event) else {
        panic!()
    };
    assert_eq!(check(&world, &live, &honest), Ok(()));
    for by in [ObservedBy::Tool, ObservedBy::Session] {
        let mut lie = honest.clone();
        lie.unenforced.as_mut().unwrap().by = by;
        assert_eq!(check(&world, &live, &lie), Err("unenforced"));
    }
    let mut hidden = honest.clone();
    hidden.unenforced = None;
    assert_eq!(check(&world, &live, &hidden), Err("unenforced"));
    let mut said = honest.clone();
    said.unenforced.as_mut().unwrap().outcome = Ruling::Allow;
    assert_eq!(check(&world, &live, &said), Err("unenforced"));
    // Only policy's own reasons, each with its verdict.
    for (outcome, reason) in [
        (Ruling::Deny, "policy_error"),
        (Ruling::Deny, "ask"),
        (Ruling::Deny, "not_in_scope"),
        (Ruling::Escalate, "policy_forbid"),
        (Ruling::Escalate, "policy_no_match"),
    ] {
        let mut said = honest.clone();
        let unenforced = said.unenforced.as_mut().unwrap();
        (unenforced.outcome, unenforced.reason) = (outcome, Label::or_digest(reason));
        assert_eq!(check(&world, &live, &said), Err("unenforced"), "{reason}");
    }
    // Nor a tool that the bundle does not declare, nor what is signed for others.
    for (server, name) in [("bank", "none"), (EXCHANGE_SERVER, "fetch")] {
        let mut moved = honest.clone();
        moved.request.server = Label::or_digest(server);
        moved.request.name = Label::or_digest(name);
        let facts = moved.facts.as_mut().unwrap();
        facts.taint.clear();
        facts.taints.clear();
        assert_eq!(check(&world, &live, &moved), Err("unenforced"), "{server}");
    }
    let mut renamed = honest.clone();
    renamed.reason = Label::or_digest("permit");
    assert_eq!(check(&world, &live, &renamed), Err("unenforced"));
    world.policy = with_rules(
        POLICIES,
        json!({"tools": {"bank/note": {}, "bank/fetch": {}}}),
    );
    assert_eq!(check(&world, &live, &honest), Err("unenforced"));
    world.policy = with_rules(
        POLICIES,
        json!({"observe": {"everything": true}, "tools": {
            "bank/note": {}, "bank/fetch": {"irreversible": true}}}),
    );
    assert_eq!(check(&world, &live, &honest), Err("asks"));
}

/// One of a few policies over what a call pays.
fn policy(number: usize, effect: u8, condition: u8) -> String {
    let (annotation, effect) = match effect {
        0 => ("", "forbid"),
        1 => ("@effect(\"ask\")", "permit"),
        _ => ("", "permit"),
    };
    let condition = match condition {
        0 => "context.args.amount > 3",
        1 => "context.args.amount < 3",
        2 => "context.session.tainted",
        _ => "context.session.trust + 9223372036854775807 > 0",
    };
    format!(
        "@id(\"p{number}\") {annotation} {effect} (principal, action == Chancery::Action::\"bank/pay\", resource) \
         when {{ {condition} }};"
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Observing changes a decision where policy alone decided it, and nowhere else; it never makes one
    /// stricter, and what it lets pass is what passes where policy permits everything.
    #[test]
    fn observing_changes_what_policy_alone_decided_and_nothing_else(
        policies in prop::collection::vec((0..3_u8, 0..4_u8), 0..5),
        amount in 1..6_i64,
        chain in 0..3_usize,
        means in 0..3_usize,
        sums in 0..2_u64,
        irreversible: bool,
        opinion in 0..3_usize,
        tainted: bool,
    ) {
        let text: String = policies
            .iter()
            .enumerate()
            .map(|(number, (effect, condition))| policy(number, *effect, *condition))
            .collect();
        let pay = || vec![tool("pay", json!({}))];
        let terms = match chain {
            0 => all_tools(),
            1 => Terms3 { ask: pay(), ..all_tools() },
            _ => Terms3 { forbid: pay(), ..all_tools() },
        };
        let mut world = World::new();
        let mut document = mission_document();
        match means {
            0 => {}
            1 => document["steps"][0]["means"] =
                json!([{"type": "mcp_tool", "server": "bank", "tool": "fetch"}]),
            _ => document["forbid"] =
                json!([{"type": "mcp_tool", "server": "bank", "tool": "pay"}]),
        }
        world.mission = mission(document);
        let rules = |observed: bool| {
            let mut rules = json!({
                "ask_beyond": {"cost_micros": 30_000 + sums * 1_000_000_000},
                "tools": {
                    "bank/pay": {"irreversible": irreversible},
                    "bank/fetch": {"untrusted": true, "reads_only": true},
                },
            });
            if observed {
                rules["observe"] = json!({"everything": true});
            }
            rules
        };
        let chain = world.root(0, terms);
        let all = "@id(\"all\") permit (principal, action, resource);";
        world.policy = with_rules(all, rules(false));
        let mut live = world.open(&chain);
        if tainted {
            world.call(&mut live, 0, &chain, 9, FETCH);
            live.end_execution(9).unwrap();
        }
        let opinion = [None, Some("escalate"), Some("deny")][opinion]
            .map(|verdict| Opinion::read(json!({"verdict": verdict}).to_string().as_bytes()));
        let mut judge = |text: &str, observed: bool| {
            world.policy = with_rules(text, rules(observed));
            world.judge_for(&live, &chain, 1, ("pay", json!({"amount": amount})), &world.mission, opinion.as_ref())
        };
        let off = judge(&text, false);
        let on = judge(&text, true);
        let open = judge(all, false);
        let is_tainted = open.facts().is_some_and(|facts| !facts.taint.is_empty());
        prop_assert_eq!(is_tainted, tainted);
        prop_assert_eq!(said(&off), None);
        match off.reason() {
            Reason::PolicyForbid | Reason::PolicyNoMatch | Reason::Ask => {
                prop_assert_eq!(on.ruling(), open.ruling());
            }
            _ => {
                prop_assert_eq!(on.ruling(), off.ruling());
                prop_assert_eq!(on.reason(), off.reason());
                prop_assert_eq!(on.unenforced(), None);
            }
        }
        if on.unenforced().is_none() {
            prop_assert_eq!(on.ruling(), off.ruling());
        }
        prop_assert_eq!(
            on.reason() == Reason::Observed,
            on.ruling() == Ruling::Allow && on.unenforced().is_some()
        );
    }
}
