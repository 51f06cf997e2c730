//! The three-valued combination, whole: chain x mission x policy x sums x taint x trust x opinion.

use chancery_audit::Ruling;
use chancery_delegation::{Mission, VerifiedChain};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Live, Terms3, World, all_tools, mission, mission_document, tool, with_rules};
use crate::{Opinion, Rulebook};

/// What one of the inputs says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    Deny,
    Ask,
    Allow,
}

const ALL: [Says; 3] = [Says::Deny, Says::Ask, Says::Allow];

fn ruling(says: Says) -> Ruling {
    match says {
        Says::Deny => Ruling::Deny,
        Says::Ask => Ruling::Escalate,
        Says::Allow => Ruling::Allow,
    }
}

fn restricted(says: Says) -> Terms3 {
    let pay = || vec![tool("pay", json!({}))];
    match says {
        Says::Deny => Terms3 {
            forbid: pay(),
            ..all_tools()
        },
        Says::Ask => Terms3 {
            ask: pay(),
            ..all_tools()
        },
        Says::Allow => all_tools(),
    }
}

fn policies(says: Says, floor: bool) -> String {
    let own = match says {
        Says::Deny => {
            r#"@id("f") forbid (principal, action == Chancery::Action::"bank/pay", resource);"#
        }
        Says::Ask => {
            r#"@id("a") @effect("ask") permit (principal, action == Chancery::Action::"bank/pay", resource);"#
        }
        Says::Allow => "",
    };
    let floor = match floor {
        true => {
            r#"@id("t") @effect("ask") permit (principal, action == Chancery::Action::"bank/pay", resource)
          when { context.session.trust < 101 };"#
        }
        false => "",
    };
    format!(r#"@id("p") permit (principal, action, resource);{own}{floor}"#)
}

/// Sums: within, beyond what asks, beyond what the mission has.
fn rules(sums: Says) -> Value {
    let most = match sums {
        Says::Ask => 1,
        Says::Deny | Says::Allow => 1_000_000_000,
    };
    json!({
        "ask_beyond": {"cost_micros": most},
        "tools": {
            "bank/fetch": {"untrusted": true, "reads_only": true},
        }
    })
}

fn missions() -> Vec<(Says, Mission)> {
    let with = |change: fn(&mut Value)| {
        let mut document = mission_document();
        change(&mut document);
        mission(document)
    };
    vec![
        (
            Says::Deny,
            with(|it| {
                it["forbid"] = json!([{"type": "mcp_tool", "server": "bank", "tool": "pay"}])
            }),
        ),
        (
            Says::Ask,
            with(|it| {
                it["steps"][0]["means"] =
                    json!([{"type": "mcp_tool", "server": "bank", "tool": "fetch"}])
            }),
        ),
        (Says::Allow, with(|_| {})),
    ]
}

const OPINIONS: [(Says, Option<&str>); 4] = [
    (Says::Allow, None),
    (Says::Allow, Some(r#"{"verdict":"allow"}"#)),
    (Says::Ask, Some(r#"{"verdict":"escalate"}"#)),
    (Says::Deny, Some(r#"{"verdict":"deny"}"#)),
];

/// A session of one mission, with or without untrusted content in it.
struct Scene {
    world: World,
    live: Live,
    chains: Vec<(Says, VerifiedChain)>,
}

fn scene(mission: Mission, sums: Says, tainted: bool) -> Scene {
    let mut world = World::new();
    world.mission = mission;
    world.policy = with_rules(&policies(Says::Allow, false), rules(sums));
    let chains: Vec<_> = ALL
        .map(|says| (says, world.root(0, restricted(says))))
        .into();
    let budgets = crate::Budgets {
        max_calls: None,
        max_cost_micros: (sums == Says::Deny).then_some(1),
    };
    let (_, open) = &chains[2];
    let mut live = world.open_with(open, budgets);
    if tainted {
        let (fetched, _) = world.call(&mut live, 0, open, 1, ("fetch", json!({})));
        assert_eq!(fetched.ruling(), Ruling::Allow);
    }
    Scene {
        world,
        live,
        chains,
    }
}

fn judged(
    scene: &Scene,
    chain: &VerifiedChain,
    policy: &Rulebook,
    opinion: Option<&Opinion>,
) -> Ruling {
    let Scene { world, live, .. } = scene;
    let args = json!({"amount": 5}).as_object().cloned().unwrap();
    let call = chancery_delegation::Call {
        server: "bank",
        target: chancery_delegation::Target::Tool("pay"),
        args: &args,
    };
    let proof = world.proof(0, chain, call, live.now, None);
    let principal = world.principal(chain);
    let mut input = world.input(live, 200, chain, call, &proof, &principal);
    input.policy = policy;
    input.opinion = opinion;
    live.session.as_ref().unwrap().judge(&input).ruling()
}

#[test]
fn z1_the_truth_table_is_the_least_of_what_all_say() {
    let mut rows = 0;
    for (by_mission, document) in missions() {
        for by_sums in ALL {
            for tainted in [false, true] {
                let scene = scene(document.clone(), by_sums, tainted);
                for by_policy in ALL {
                    for low in [false, true] {
                        let policy = with_rules(&policies(by_policy, low), rules(by_sums));
                        for (by_chain, chain) in &scene.chains {
                            for (by_opinion, opinion) in OPINIONS {
                                let opinion = opinion.map(|text| Opinion::read(text.as_bytes()));
                                let ask = |asks| if asks { Says::Ask } else { Says::Allow };
                                let all = [
                                    by_mission,
                                    by_sums,
                                    ask(tainted),
                                    by_policy,
                                    ask(low),
                                    *by_chain,
                                    by_opinion,
                                ];
                                let expected = all.into_iter().min().unwrap();
                                let found = judged(&scene, chain, &policy, opinion.as_ref());
                                assert_eq!(found, ruling(expected), "{all:?}");
                                rows += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(rows, 3 * 3 * 2 * 3 * 2 * 3 * 4);
}

#[test]
fn z1_what_no_chain_and_no_policy_covers_is_denied_whatever_else_says() {
    let mut world = World::new();
    let narrow = Terms3 {
        entries: vec![tool("list", json!({}))],
        ..Terms3::default()
    };
    let chain = world.root(0, narrow);
    let open = world.root(0, all_tools());
    let live = world.open(&open);
    let favourable = Opinion::read(br#"{"verdict":"allow"}"#);
    let scene = Scene {
        world,
        live,
        chains: Vec::new(),
    };
    let permits = with_rules(&policies(Says::Allow, false), json!({}));
    assert_eq!(
        judged(&scene, &chain, &permits, Some(&favourable)),
        Ruling::Deny
    );
    let silent = with_rules(
        r#"@id("l") permit (principal, action == Chancery::Action::"bank/list", resource);"#,
        json!({}),
    );
    assert_eq!(
        judged(&scene, &open, &silent, Some(&favourable)),
        Ruling::Deny
    );
}

/// A policy of a few conditions, so that many of them match and many do not.
fn policy(effect: &str, number: usize, condition: u8) -> String {
    let condition = match condition % 6 {
        0 => "context.args.amount > 3",
        1 => "context.args.amount < 3",
        2 => "context.session.trust < 101",
        3 => "context.session.tainted",
        4 => "principal.isolated",
        _ => "context.session.calls > 0",
    };
    let (annotation, keyword) = match effect {
        "forbid" => ("", "forbid"),
        "ask" => ("@effect(\"ask\")", "permit"),
        _ => ("", "permit"),
    };
    format!(
        "@id(\"x{number}\") {annotation} {keyword} (principal, action == Chancery::Action::\"bank/pay\", resource) when {{ {condition} }};\n"
    )
}

/// The order of what is allowed: deny, ask, allow.
fn height(ruling: Ruling) -> u8 {
    match ruling {
        Ruling::Deny => 0,
        Ruling::Escalate => 1,
        Ruling::Allow => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn z1_a_further_forbid_or_ask_never_allows_more(
        base in prop::collection::vec((0..3_usize, 0..6_u8), 0..6),
        extra in prop::collection::vec((0..2_usize, 0..6_u8), 1..4),
        tainted: bool,
        chain in 0..3_usize,
    ) {
        let effects = ["forbid", "ask", "permit"];
        let text: String = base
            .iter()
            .enumerate()
            .map(|(n, (effect, condition))| policy(effects[*effect], n, *condition))
            .collect();
        // A bundle without any policy for it denies: there is nothing to compare with less.
        let more: String = extra
            .iter()
            .enumerate()
            .map(|(n, (effect, condition))| policy(effects[*effect], base.len() + n, *condition))
            .collect();
        let document = mission(mission_document());
        let scene = scene(document, Says::Allow, tainted);
        let (before, after) = (
            with_rules(&text, rules(Says::Allow)),
            with_rules(&format!("{text}{more}"), rules(Says::Allow)),
        );
        let (_, chain) = &scene.chains[chain];
        let (before, after) = (
            judged(&scene, chain, &before, None),
            judged(&scene, chain, &after, None),
        );
        // What was denied because nothing matched may be asked once an ask matches; it is never allowed.
        prop_assert!(height(after) <= height(before).max(1), "{before:?} became {after:?}");
        let only_forbids = extra.iter().all(|(effect, _)| *effect == 0);
        if only_forbids || before != Ruling::Deny {
            prop_assert!(height(after) <= height(before), "{before:?} became {after:?}");
        }
    }

    #[test]
    fn z3_a_favourable_opinion_never_allows_more_than_none(
        base in prop::collection::vec((0..3_usize, 0..6_u8), 0..6),
        sums in 0..3_usize,
        tainted: bool,
        chain in 0..3_usize,
        document in 0..3_usize,
    ) {
        let effects = ["forbid", "ask", "permit"];
        let text: String = base
            .iter()
            .enumerate()
            .map(|(n, (effect, condition))| policy(effects[*effect], n, *condition))
            .collect();
        let (_, document) = missions().swap_remove(document);
        let scene = scene(document, ALL[sums], tainted);
        let policy = with_rules(&text, rules(ALL[sums]));
        let (_, chain) = &scene.chains[chain];
        let favourable = Opinion::read(br#"{"verdict":"allow","serves":true,"model":"m"}"#);
        let (with, without) = (
            judged(&scene, chain, &policy, Some(&favourable)),
            judged(&scene, chain, &policy, None),
        );
        prop_assert_eq!(with, without);
        for verdict in ["escalate", "deny", "nonsense"] {
            let against = Opinion::read(format!(r#"{{"verdict":"{verdict}"}}"#).as_bytes());
            let against = judged(&scene, chain, &policy, Some(&against));
            prop_assert!(height(against) <= height(without));
        }
    }
}
