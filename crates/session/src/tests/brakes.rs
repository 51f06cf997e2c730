//! What people stop, and what always asks.

use chancery_audit::{BrakeMode, BrakeOn, BrakeRelease, BrakeSet, Label, Ruling};
use serde_json::{Value, json};

use super::world::{Live, World, all_tools, files, with_rules};
use crate::{EVERYWHERE, Event, Reason, Rulebook, RulebookError};

const POLICIES: &str = r#"
@id("all") permit (principal, action, resource);
@id("tiny") permit (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount <= 10 };
"#;

fn pay(amount: u64) -> (&'static str, Value) {
    ("pay", json!({"amount": amount}))
}

fn world(rules: Value) -> (World, Live, chancery_delegation::VerifiedChain) {
    let mut world = World::new();
    world.policy = with_rules(POLICIES, rules);
    let chain = world.root(0, all_tools());
    let live = world.open(&chain);
    (world, live, chain)
}

fn brake(on: BrakeOn, name: &str, mode: BrakeMode) -> chancery_audit::Event {
    let name = Label::or_digest(name);
    BrakeSet { on, name, mode }.into()
}

fn release(on: BrakeOn, name: &str) -> chancery_audit::Event {
    let name = Label::or_digest(name);
    BrakeRelease { on, name }.into()
}

#[test]
fn h7_a_brake_stops_what_it_is_on_from_the_next_call() {
    let (world, live, chain) = world(json!({}));
    let instance = world.name(0).to_string();
    let (agent, _) = instance.split_once("/instance/").unwrap();
    let session = world.session.to_string();
    let person = chain.principal().subject.clone();
    for (on, name) in [
        (BrakeOn::Everywhere, EVERYWHERE),
        (BrakeOn::Person, person.as_str()),
        (BrakeOn::Session, session.as_str()),
        (BrakeOn::Agent, agent),
        (BrakeOn::Instance, instance.as_str()),
        (BrakeOn::Tool, "bank/pay"),
    ] {
        let mut stopped = Live {
            commons: Default::default(),
            ..copy(&live)
        };
        stopped.commons.take(&brake(on, name, BrakeMode::Pause));
        let judged = world.judge(&stopped, 0, &chain, 1, pay(5));
        assert_eq!(
            (judged.ruling(), judged.reason()),
            (Ruling::Deny, Reason::Paused)
        );
        let named = format!("brake:{}:{name}", on.name());
        assert_eq!(judged.determining(), [Label::or_digest(&named)]);
        stopped.commons.take(&release(on, name));
        assert_eq!(
            world.judge(&stopped, 0, &chain, 1, pay(5)).ruling(),
            Ruling::Allow
        );
    }
}

fn copy(live: &Live) -> Live {
    Live {
        session: live.session.clone(),
        log: live.log.clone(),
        commons: live.commons.clone(),
        now: live.now,
    }
}

#[test]
fn h7_a_brake_stops_nothing_else() {
    let (world, mut live, chain) = world(json!({}));
    for (on, name) in [
        (BrakeOn::Everywhere, "bank"),
        (BrakeOn::Person, "p-2"),
        (BrakeOn::Session, "ses_other"),
        (BrakeOn::Agent, "spiffe://example.org/agent"),
        (BrakeOn::Instance, "spiffe://example.org/agent/clerk"),
        (BrakeOn::Tool, "bank/list"),
        (BrakeOn::Tool, "pay"),
    ] {
        live.commons.take(&brake(on, name, BrakeMode::Kill));
    }
    assert_eq!(
        world.judge(&live, 0, &chain, 1, pay(5)).ruling(),
        Ruling::Allow
    );
    assert_eq!(
        world
            .judge(&live, 0, &chain, 1, ("list", json!({})))
            .reason(),
        Reason::Paused
    );
}

#[test]
fn h7_what_is_killed_is_not_released() {
    let (world, mut live, chain) = world(json!({}));
    live.commons
        .take(&brake(BrakeOn::Tool, "bank/pay", BrakeMode::Kill));
    live.commons
        .take(&brake(BrakeOn::Tool, "bank/pay", BrakeMode::Pause));
    live.commons.take(&release(BrakeOn::Tool, "bank/pay"));
    assert_eq!(
        world.judge(&live, 0, &chain, 1, pay(5)).reason(),
        Reason::Paused
    );
}

#[test]
fn h7_no_approval_passes_a_brake() {
    let (world, mut live, chain) = world(json!({"tools": {"bank/pay": {"irreversible": true}}}));
    world.call(&mut live, 0, &chain, 1, pay(5));
    live.step(Event::Ask(world.question(1, 1))).unwrap();
    let answer = world.answer(world.statement(&live, 1));
    live.step(Event::Answer(Box::new(answer))).unwrap();
    live.commons
        .take(&brake(BrakeOn::Tool, "bank/pay", BrakeMode::Pause));
    assert_eq!(
        world.judge(&live, 0, &chain, 2, pay(5)).reason(),
        Reason::Paused
    );
    live.commons.take(&release(BrakeOn::Tool, "bank/pay"));
    assert_eq!(
        world.judge(&live, 0, &chain, 2, pay(5)).reason(),
        Reason::Approved
    );
}

#[test]
fn h6_what_cannot_be_undone_asks_though_it_is_permitted() {
    let (world, live, chain) = world(json!({"tools": {"bank/pay": {"irreversible": true}}}));
    let judged = world.judge(&live, 0, &chain, 1, pay(5));
    assert_eq!(
        (judged.ruling(), judged.determining()),
        (Ruling::Escalate, &[Label::or_digest("irreversible")][..])
    );
    let other = world.judge(&live, 0, &chain, 1, ("list", json!({})));
    assert_eq!(other.ruling(), Ruling::Allow);
}

/// What the operator forgot among the tools that are listed is as the pinned catalog says.
#[test]
fn h6_a_destructive_tool_that_is_not_listed_asks_too() {
    for (rules, destructive, ruling) in [
        (json!({"tools": {"bank/list": {}}}), true, Ruling::Escalate),
        (json!({"tools": {"bank/list": {}}}), false, Ruling::Allow),
        (json!({"tools": {"bank/pay": {}}}), true, Ruling::Allow),
        (json!({}), true, Ruling::Allow),
    ] {
        let (world, live, chain) = world(rules.clone());
        let judged = world.judge_with(&live, 0, &chain, 1, pay(5), |input| {
            input.catalog.annotations = Some(chancery_policy::Annotations {
                read_only: false,
                destructive,
            });
        });
        assert_eq!(judged.ruling(), ruling, "{rules} {destructive}");
    }
}

#[test]
fn h6_a_named_policy_says_otherwise_where_it_permits_the_call() {
    let (world, live, chain) = world(json!({"tools": {
        "bank/pay": {"irreversible": true, "irreversible_unless": ["tiny"]}
    }}));
    assert_eq!(
        world.judge(&live, 0, &chain, 1, pay(10)).ruling(),
        Ruling::Allow
    );
    assert_eq!(
        world.judge(&live, 0, &chain, 1, pay(11)).ruling(),
        Ruling::Escalate
    );
}

#[test]
fn rules_that_speak_of_what_is_not_there_make_no_rulebook() {
    for tools in [
        json!({"bank/nothing": {}}),
        json!({"bank/list": {"resource_arg": "acount"}}),
        json!({"bank/list": {"rows_arg": "account"}}),
        json!({"bank/pay": {"irreversible": true, "irreversible_unless": ["absent"]}}),
    ] {
        let rules = json!({"rules": crate::SESSION_RULES_FORM, "tools": tools});
        let refused = Rulebook::load(&files(POLICIES, None, Some(rules))).unwrap_err();
        assert!(matches!(refused, RulebookError::Tool { .. }), "{refused}");
        assert!(
            refused.to_string().starts_with("session.json: tools.bank/"),
            "{refused}"
        );
    }
    for server in ["Bank", "ban", "bank/list", ""] {
        let rules = json!({"rules": crate::SESSION_RULES_FORM, "untrusted_servers": [server]});
        let refused = Rulebook::load(&files(POLICIES, None, Some(rules))).unwrap_err();
        assert!(matches!(refused, RulebookError::Server(_)), "{refused}");
    }
    let ask = "@id(\"ask\") @effect(\"ask\") permit (principal, action, resource);";
    let tools = json!({"bank/pay": {"irreversible": true, "irreversible_unless": ["ask"]}});
    let rules = json!({"rules": crate::SESSION_RULES_FORM, "tools": tools});
    let refused = Rulebook::load(&files(ask, None, Some(rules))).unwrap_err();
    assert!(matches!(refused, RulebookError::Tool { .. }), "{refused}");
    let refused = Rulebook::load(&files(POLICIES, None, Some(json!({})))).unwrap_err();
    assert!(matches!(refused, RulebookError::Sessions(_)), "{refused}");
}
