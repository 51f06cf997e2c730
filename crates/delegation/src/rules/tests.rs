use chancery_types::{Jwk, Timestamp};
use serde_json::{Value, json};

use super::*;
use crate::token::Grant;

fn document(member: &str, value: Value) -> Value {
    let mut document = json!({ "rules": RULES_FORM });
    document[member] = value;
    document
}

fn rules(member: &str, value: Value) -> ChainRules {
    ChainRules::parse(document(member, value).to_string().as_bytes()).unwrap()
}

fn grant() -> Grant {
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    Grant {
        issuer: "spiffe://acme.example/agent/boss/instance/1".to_owned(),
        subject: "spiffe://acme.example/agent/clerk/instance/1"
            .parse()
            .unwrap(),
        audience: None,
        issued_at: Timestamp::from_seconds(1_000),
        not_before: Timestamp::from_seconds(1_000),
        expires_at: Timestamp::from_seconds(1_600),
        jti: "del_1".to_owned(),
        depth: 1,
        max_depth: 2,
        key: serde_json::from_value::<Jwk>(jwk).unwrap(),
        entries: Vec::new(),
        forbid: Vec::new(),
        ask: Vec::new(),
    }
}

#[test]
fn without_rules_nothing_is_refused() {
    let none = ChainRules::parse(json!({ "rules": RULES_FORM }).to_string().as_bytes()).unwrap();
    assert_eq!(none, ChainRules::default());
    assert_eq!(none.check_grant(&grant()), Ok(()));
    assert_eq!(none.check_level(AttestationLevel::Process), Ok(()));
}

/// Each rule at its edge: what is just within it, and what is just beyond.
#[test]
fn each_rule_has_its_reason() {
    let kid = grant().key.kid();
    let other = Digest::of("another key").to_base64url();
    let id = "spiffe://acme.example/agent/clerk/instance/1";
    let cases: [(&str, Value, Value, RuleReason); 12] = [
        (
            "link",
            json!({"max_seconds": 600}),
            json!({"max_seconds": 599}),
            RuleReason::Lifetime,
        ),
        ("max_depth", json!(2), json!(1), RuleReason::Depth),
        (
            "trust_domains",
            json!({"allow": ["acme.example"]}),
            json!({"allow": ["example"]}),
            RuleReason::TrustDomain,
        ),
        (
            "trust_domains",
            json!({"block": ["other.example"]}),
            json!({"block": ["acme.example"]}),
            RuleReason::TrustDomain,
        ),
        (
            "agents",
            json!({"allow": [{"exact": "spiffe://acme.example/agent/clerk"}]}),
            json!({"allow": [{"exact": "spiffe://acme.example/agent"}]}),
            RuleReason::Agent,
        ),
        (
            "agents",
            json!({"allow": [{"exact": id}]}),
            // By segments: `cle` is no prefix of `clerk`.
            json!({"allow": [{"path_prefix": "spiffe://acme.example/agent/cle"}]}),
            RuleReason::Agent,
        ),
        (
            "agents",
            json!({"block": [{"path_prefix": "spiffe://acme.example/agent/clerk/instance/12"}]}),
            json!({"allow": [{"exact": id}], "block": [{"path_prefix": "spiffe://acme.example"}]}),
            RuleReason::Agent,
        ),
        (
            "agents",
            json!({"block": [{"exact": "spiffe://acme.example/agent"}]}),
            json!({"block": [{"exact": "spiffe://acme.example/agent/clerk"}]}),
            RuleReason::Agent,
        ),
        (
            "agents",
            json!({"allow": [{"path_prefix": "spiffe://acme.example/agent/clerk"}]}),
            json!({"allow": []}),
            RuleReason::Agent,
        ),
        (
            "agents",
            json!({"block": [{"path_prefix": "spiffe://acme.exampl"}]}),
            json!({"block": [{"path_prefix": id}]}),
            RuleReason::Agent,
        ),
        (
            "keys",
            json!({"allow": [kid]}),
            json!({"allow": [other]}),
            RuleReason::Key,
        ),
        (
            "keys",
            json!({"block": [other]}),
            json!({"block": [kid]}),
            RuleReason::Key,
        ),
    ];
    for (member, within, beyond, reason) in cases {
        assert_eq!(
            rules(member, within.clone()).check_grant(&grant()),
            Ok(()),
            "{within}"
        );
        assert_eq!(
            rules(member, beyond.clone()).check_grant(&grant()),
            Err(reason),
            "{beyond}"
        );
    }
    let launch = rules("min_attestation", json!("software-only/launch"));
    assert_eq!(launch.check_level(AttestationLevel::Launch), Ok(()));
    assert_eq!(launch.check_level(AttestationLevel::Tpm), Ok(()));
    assert_eq!(
        launch.check_level(AttestationLevel::Process),
        Err(RuleReason::Attestation)
    );
}

#[test]
fn roots_and_links_have_lifetimes_of_their_own_and_no_word_of_the_maker_shortens_one() {
    let short = rules("root", json!({"max_seconds": 60}));
    assert_eq!(short.check_grant(&grant()), Ok(()));
    let root = Grant {
        depth: 0,
        ..grant()
    };
    assert_eq!(short.check_grant(&root), Err(RuleReason::Lifetime));
    let link = rules("link", json!({"max_seconds": 60}));
    assert_eq!(link.check_grant(&root), Ok(()));
    for (issued_at, not_before) in [(1_590, 1_000), (1_000, 1_590)] {
        let dated = Grant {
            issued_at: Timestamp::from_seconds(issued_at),
            not_before: Timestamp::from_seconds(not_before),
            ..grant()
        };
        assert_eq!(link.check_grant(&dated), Err(RuleReason::Lifetime));
    }
}

#[test]
fn defaults_stay_within_the_most() {
    let times = |value| rules("root", value).root();
    assert_eq!(times(json!({})).by_default(1_800), 1_800);
    assert_eq!(times(json!({"max_seconds": 600})).by_default(1_800), 600);
    let both = times(json!({"default_seconds": 300, "max_seconds": 600}));
    assert_eq!(both.by_default(1_800), 300);
}

#[test]
fn codes_are_distinct() {
    let codes: std::collections::BTreeSet<_> = RuleReason::ALL.map(RuleReason::code).into();
    assert_eq!(codes.len(), RuleReason::ALL.len());
}

#[test]
fn refuses_what_it_does_not_know_and_names_it() {
    for (document, expected) in [
        (json!([]), "expected one JSON object"),
        (json!({}), "expected one JSON object"),
        (
            json!({"rules": "chancery/delegation-rules/v2"}),
            "expected one JSON object",
        ),
        (document("max_deph", json!(1)), "max_deph: no such member"),
        (document("max_depth", json!("1")), "max_depth: "),
        (document("max_depth", json!(-1)), "max_depth: "),
        (
            document("root", json!({"max": 1})),
            "root: unknown field `max`",
        ),
        (
            document("root", json!({"max_seconds": 0})),
            "root: lifetimes are at least",
        ),
        (
            document("link", json!({"default_seconds": 9, "max_seconds": 8})),
            "link: lifetimes are at least",
        ),
        (
            document("agents", json!({"allow": ["spiffe://a/b"]})),
            "agents: ",
        ),
        (
            document("agents", json!({"deny": []})),
            "agents: unknown field `deny`",
        ),
        (
            document(
                "agents",
                json!({"block": [{"path_prefix": "spiffe://A/b"}]}),
            ),
            "agents: ",
        ),
        (
            document(
                "agents",
                json!({"block": [{"path_prefix": "spiffe://a/b/*"}]}),
            ),
            "agents: ",
        ),
        (
            document("agents", json!({"block": [{"regex": "spiffe://a/b"}]})),
            "agents: unknown variant",
        ),
        (
            document("trust_domains", json!({"allow": ["Acme"]})),
            "trust_domains: ",
        ),
        (
            document("trust_domains", json!(["acme"])),
            "trust_domains: ",
        ),
        (
            document("keys", json!({"block": ["abc"]})),
            "keys: \"abc\" is not a key's",
        ),
        (
            document("min_attestation", json!("launch")),
            "min_attestation: not an attestation",
        ),
        (document("min_attestation", json!(2)), "min_attestation: "),
    ] {
        let error = ChainRules::parse(document.to_string().as_bytes()).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(expected), "{document}: {error}");
    }
    let twice = format!(r#"{{"rules":"{RULES_FORM}","max_depth":1,"max_depth":2}}"#);
    assert!(ChainRules::parse(twice.as_bytes()).is_err());
    assert!(ChainRules::parse(&vec![b' '; 262_145]).is_err());
}
