//! Taint: what came from an untrusted source makes every further act ask.

use chancery_audit::{Label, Ruling};
use chancery_delegation::{Entry as Grantable, Target, VerifiedChain};
use chancery_types::Digest;
use serde_json::{Value, json};

use super::world::{Live, World, all_tools, id, with_rules};
use crate::{Event, Reason, Rulebook};

const EVERYTHING: &str = r#"@id("all") permit (principal, action, resource);"#;

fn rules() -> Rulebook {
    with_rules(
        EVERYTHING,
        json!({"tools": {
            "bank/fetch": {"untrusted": true, "reads_only": true},
            "bank/list": {"reads_only": true},
            "bank/pay": {},
            "bank/note": {"store": "notes"},
            "bank/notes": {"store": "notes", "reads_only": true},
        }}),
    )
}

fn session(number: u8) -> (World, Live, VerifiedChain) {
    let mut world = World::new();
    world.policy = rules();
    world.session = id(number);
    let chain = world.root(0, all_tools());
    let live = world.open(&chain);
    (world, live, chain)
}

fn call(name: &'static str) -> (&'static str, Value) {
    match name {
        "pay" => (name, json!({"amount": 5})),
        _ => (name, json!({})),
    }
}

#[test]
fn s7_after_untrusted_content_every_act_asks_and_reading_goes_on() {
    let (world, mut live, chain) = session(1);
    let (before, _) = world.call(&mut live, 0, &chain, 1, call("pay"));
    assert_eq!(before.ruling(), Ruling::Allow);
    let (fetched, _) = world.call(&mut live, 0, &chain, 2, call("fetch"));
    assert_eq!(fetched.ruling(), Ruling::Allow);
    assert_eq!(fetched.facts().unwrap().taint, ["tool:bank/fetch"]);
    for name in ["pay", "note"] {
        let judged = world.judge(&live, 0, &chain, 3, call(name));
        assert_eq!(judged.ruling(), Ruling::Escalate, "{name}");
        assert_eq!(judged.determining(), ["taint:tool:bank/fetch"]);
    }
    for name in ["list", "fetch", "notes"] {
        let judged = world.judge(&live, 0, &chain, 3, call(name));
        assert_eq!(judged.ruling(), Ruling::Allow, "{name}");
    }
    live.check(world.session);
}

#[test]
fn s7_taint_is_the_whole_sessions() {
    let (mut world, mut live, chain) = session(1);
    let worker = world.link(&chain, 0, 1, all_tools());
    live.step(Event::Join(Box::new(world.joining(1, &worker))))
        .unwrap();
    world.call(&mut live, 1, &worker, 1, call("fetch"));
    assert_eq!(
        world.judge(&live, 0, &chain, 2, call("pay")).ruling(),
        Ruling::Escalate
    );
}

#[test]
fn s7_a_call_that_was_not_allowed_brings_no_content() {
    let (mut world, mut live, chain) = session(1);
    world.step = None;
    let (asked, _) = world.call(&mut live, 0, &chain, 1, call("fetch"));
    assert_eq!(asked.ruling(), Ruling::Escalate);
    world.step = Some("step-1");
    assert_eq!(
        world.judge(&live, 0, &chain, 2, call("pay")).ruling(),
        Ruling::Allow
    );
}

#[test]
fn s7_one_approval_is_for_one_act_and_clears_nothing() {
    let (world, mut live, chain) = session(1);
    world.call(&mut live, 0, &chain, 1, call("fetch"));
    world.call(&mut live, 0, &chain, 2, call("pay"));
    live.step(Event::Ask(world.question(2, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    let (approved, _) = world.call(&mut live, 0, &chain, 3, call("pay"));
    assert_eq!(approved.reason(), Reason::Approved);
    assert_eq!(
        world.judge(&live, 0, &chain, 4, call("pay")).ruling(),
        Ruling::Escalate
    );
    live.check(world.session);
}

/// What session A wrote while tainted taints session B, however much later that is: what sessions share
/// has no clock.
#[test]
fn s7_taint_follows_the_store_into_another_session() {
    let (first, mut a, chain) = session(1);
    first.call(&mut a, 0, &chain, 1, call("fetch"));
    let (asked, _) = first.call(&mut a, 0, &chain, 2, call("note"));
    assert_eq!(asked.ruling(), Ruling::Escalate);
    assert!(!a.commons.is_tainted("notes"), "nothing was written yet");
    a.step(Event::Ask(first.question(2, 1))).unwrap();
    let answer = first.answer(first.statement(&a, 1));
    a.step(Event::Answer(Box::new(answer))).unwrap();
    let (written, _) = first.call(&mut a, 0, &chain, 3, call("note"));
    assert_eq!(written.reason(), Reason::Approved);
    assert_eq!(written.facts().unwrap().taints, [Label::or_digest("notes")]);
    assert!(a.commons.is_tainted("notes"));

    let (second, mut b, chain) = session(2);
    b.commons = a.commons.clone();
    // It has nothing of it until it reads.
    assert_eq!(
        second.judge(&b, 0, &chain, 1, call("pay")).ruling(),
        Ruling::Allow
    );
    let (read, _) = second.call(&mut b, 0, &chain, 1, call("notes"));
    assert_eq!(read.ruling(), Ruling::Allow);
    assert_eq!(read.facts().unwrap().taint, ["store:notes"]);
    let acted = second.judge(&b, 0, &chain, 2, call("pay"));
    assert_eq!(
        (acted.ruling(), acted.determining()),
        (
            Ruling::Escalate,
            &[Label::or_digest("taint:store:notes")][..]
        )
    );
    b.check(second.session);
}

#[test]
fn s7_a_clean_session_taints_no_store() {
    let (world, mut live, chain) = session(1);
    let (written, _) = world.call(&mut live, 0, &chain, 1, call("note"));
    assert_eq!(written.ruling(), Ruling::Allow);
    assert!(written.facts().unwrap().taints.is_empty());
    assert!(!live.commons.is_tainted("notes"));
}

/// A hint of the server lowers nothing: that the tool only reads is the operator's word.
#[test]
fn s7_what_a_server_says_of_its_tool_lowers_nothing() {
    let (world, mut live, chain) = session(1);
    world.call(&mut live, 0, &chain, 1, call("fetch"));
    let judged = world.judge_with(&live, 0, &chain, 2, call("pay"), |input| {
        input.catalog.annotations = Some(chancery_policy::Annotations {
            read_only: true,
            destructive: false,
        });
    });
    assert_eq!(judged.ruling(), Ruling::Escalate);
}

#[test]
fn s7_policy_sees_taint() {
    let mut world = World::new();
    world.policy = with_rules(
        r#"@id("all") permit (principal, action, resource);
           @id("clean") forbid (principal, action == Chancery::Action::"bank/list", resource)
             when { context.session.tainted };"#,
        json!({"untrusted_servers": ["bank"]}),
    );
    let chain = world.root(0, all_tools());
    let mut live = world.open(&chain);
    let (first, _) = world.call(&mut live, 0, &chain, 1, call("list"));
    assert_eq!(first.ruling(), Ruling::Allow);
    assert_eq!(first.facts().unwrap().taint, ["server:bank"]);
    let second = world.judge(&live, 0, &chain, 2, call("list"));
    assert_eq!(second.reason(), Reason::PolicyForbid);
}

/// What session B read while the store was clean may be answered once it is not.
#[test]
fn s7_a_store_that_was_read_before_it_was_tainted_taints_from_then_on() {
    let (world, mut live, chain) = session(1);
    let (read, _) = world.call(&mut live, 0, &chain, 1, call("notes"));
    assert_eq!(read.facts().unwrap().reads, ["notes"]);
    assert!(read.facts().unwrap().taint.is_empty());
    let clean = world.judge(&live, 0, &chain, 2, call("pay"));
    assert_eq!(clean.ruling(), Ruling::Allow);
    live.commons = tainted_notes();
    let acted = world.judge(&live, 0, &chain, 2, call("pay"));
    assert_eq!(acted.determining(), ["taint:store:notes"]);
    assert_eq!(acted.facts().unwrap().taint, ["store:notes"]);
    live.check(world.session);
}

/// What all sessions share once one of them wrote to the store while tainted.
fn tainted_notes() -> crate::Commons {
    let (world, mut live, chain) = session(9);
    world.call(&mut live, 0, &chain, 1, call("fetch"));
    world.call(&mut live, 0, &chain, 2, call("note"));
    live.step(Event::Ask(world.question(2, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    world.call(&mut live, 0, &chain, 3, call("note"));
    live.commons
}

#[test]
fn s7_what_a_bundle_does_not_list_reaches_every_store_of_its_server() {
    let (world, mut live, chain) = session(1);
    live.commons = tainted_notes();
    let facts = |target: Target<'static>, args: Value| {
        let judged = world.judge_with(&live, 0, &chain, 1, ("pay", args), |input| {
            input.call.target = target;
        });
        judged.facts().unwrap().clone()
    };
    let reading = [
        facts(Target::Resource("note://1"), json!({})),
        facts(Target::Prompt("recall"), json!({})),
    ];
    for facts in reading {
        assert_eq!(facts.taint, ["store:notes"]);
        assert!(facts.taints.is_empty());
    }
    let writing = [
        facts(Target::Prompt("recall"), json!({"text": "sent along"})),
        facts(Target::Tool("open_nodes"), json!({})),
    ];
    for facts in writing {
        assert_eq!(facts.taint, ["store:notes"]);
        assert_eq!(facts.taints, ["notes"]);
    }
    // The operator's word that a tool touches no store.
    assert!(facts(Target::Tool("list"), json!({})).taint.is_empty());
}

#[test]
fn s7_a_prompt_that_takes_arguments_asks_in_a_tainted_session() {
    let (mut world, mut live, _) = session(1);
    let mut granted = all_tools();
    granted.entries.push(
        Grantable::parse(&json!({"type": "mcp_prompt", "server": "bank", "prompt": "recall"}))
            .unwrap(),
    );
    let chain = world.root(0, granted);
    world.call(&mut live, 0, &chain, 1, call("fetch"));
    let ruling = |args: Value| {
        let judged = world.judge_with(&live, 0, &chain, 2, ("recall", args), |input| {
            input.call.target = Target::Prompt("recall");
        });
        (judged.ruling(), judged.determining().to_vec())
    };
    let (_, asked) = ruling(json!({"text": "sent along"}));
    assert!(
        asked.contains(&"taint:tool:bank/fetch".parse().unwrap()),
        "{asked:?}"
    );
    let (_, asked) = ruling(json!({}));
    assert!(
        !asked.contains(&"taint:tool:bank/fetch".parse().unwrap()),
        "{asked:?}"
    );
}

fn untrusted() -> (World, Live, VerifiedChain) {
    let mut world = World::new();
    world.policy = with_rules(
        EVERYTHING,
        json!({
            "untrusted_servers": ["bank"],
            "tools": {"bank/notes": {"store": "notes", "reads_only": true}}
        }),
    );
    let chain = world.root(0, all_tools());
    let live = world.open(&chain);
    (world, live, chain)
}

/// Instructions, lists and notifications of an untrusted server are its words too.
#[test]
fn s7_a_visit_of_an_untrusted_server_taints_before_any_call() {
    let (world, mut live, chain) = untrusted();
    let visiting = |live: &Live, server: &str| {
        let open = live.session.as_ref().unwrap().as_open().unwrap();
        open.visiting(world.name(0).as_str(), server, &world.policy)
    };
    assert_eq!(visiting(&live, "other"), None);
    let visit = visiting(&live, "bank").unwrap();
    live.step(Event::Visit(Box::new(visit))).unwrap();
    let acted = world.judge(&live, 0, &chain, 1, call("pay"));
    assert_eq!(acted.ruling(), Ruling::Escalate);
    assert_eq!(acted.determining(), ["taint:server:bank"]);
    // It is said once,
    assert_eq!(visiting(&live, "bank"), None);
    live.check(world.session);
    // and what the server's stores hold later counts from then on.
    live.commons = tainted_notes();
    let acted = world.judge(&live, 0, &chain, 1, call("pay"));
    assert_eq!(
        acted.determining(),
        ["taint:server:bank", "taint:store:notes"]
    );
}

#[test]
fn s7_who_is_not_in_the_session_visits_nothing() {
    let (world, mut live, _) = untrusted();
    let open = live.session.as_ref().unwrap().as_open().unwrap();
    let visit = open.visiting(world.name(1).as_str(), "bank", &world.policy);
    let visit = Event::Visit(Box::new(visit.unwrap()));
    assert_eq!(live.step(visit), Err(crate::Fault::NotJoined));
}

/// Entries that are missing may have tainted any store.
#[test]
fn s7_a_log_that_goes_on_from_another_has_no_clean_store() {
    let (world, mut live, chain) = session(1);
    let succeed = chancery_audit::LogSucceed {
        log: "example.org/log/gateway".parse().unwrap(),
        size: 9,
        root: Digest::of("root"),
        checkpoint: Digest::of("checkpoint"),
        signed: 9,
        signed_root: Digest::of("root"),
        signed_checkpoint: Digest::of("checkpoint"),
    };
    live.commons.take(&succeed.into());
    let (read, _) = world.call(&mut live, 0, &chain, 1, call("notes"));
    assert_eq!(read.facts().unwrap().taint, ["store:notes"]);
}
