use serde_json::{Value, json};

use super::*;

fn read(members: Value) -> Result<SessionRules, SessionRulesError> {
    let mut document = members;
    document["rules"] = json!(SESSION_RULES_FORM);
    SessionRules::parse(document.to_string().as_bytes())
}

#[test]
fn a_document_is_read_whole() {
    let rules = read(json!({
        "ask_beyond": {"calls": 5, "cost_micros": 6, "rows": 7, "resources": 8, "minutes": 9},
        "suspend_beyond": {"resources": 20},
        "untrusted_servers": ["web"],
        "tools": {
            "bank/pay": {"irreversible": true, "irreversible_unless": ["small"]},
            "notes/write": {"store": "notes", "resource_arg": "note", "grant_seconds": 60},
            "notes/read": {"store": "notes", "reads_only": true, "rows_arg": "limit"},
            "mail/read": {"untrusted": true},
        }
    }))
    .unwrap();
    assert_eq!(rules.ask_beyond().resources, Some(8));
    assert_eq!(rules.suspend_beyond_resources(), Some(20));
    assert!(rules.is_untrusted("web") && !rules.is_untrusted("mail"));
    let tool = |name: &str| {
        rules.tool(
            name.split('/').next().unwrap(),
            name.split('/').nth(1).unwrap(),
        )
    };
    assert!(
        tool("bank/pay")
            .unwrap()
            .irreversible()
            .unwrap()
            .contains("small")
    );
    assert_eq!(tool("notes/write").unwrap().grant_seconds(), Some(60));
    assert!(tool("notes/read").unwrap().reads_only());
    assert!(tool("mail/read").unwrap().is_untrusted());
    assert!(tool("mail/send").is_none());
    assert_eq!(read(json!({})).unwrap(), SessionRules::default());
}

fn many_stores(count: u64) -> Value {
    let tools: serde_json::Map<_, _> = (0..count)
        .map(|number| (format!("a/{number}"), json!({"store": number.to_string()})))
        .collect();
    json!({ "tools": tools })
}

#[test]
fn the_stores_of_a_server_are_those_of_its_tools() {
    let rules = read(many_stores(16)).unwrap();
    assert_eq!(rules.stores("a").count(), 16);
    assert_eq!(rules.stores("b").count(), 0);
}

#[test]
fn what_is_not_understood_is_refused() {
    for bad in [
        json!({"ask_beyond": {"call": 1}}),
        json!({"ask_beyond": {"calls": null}}),
        json!({"ask_beyond": {"calls": -1}}),
        json!({"ask_beyond": [1, 2, 3, 4, 5]}),
        json!({"suspend_beyond": {}}),
        json!({"suspend_beyond": {"calls": 1}}),
        json!({"untrusted_servers": "web"}),
        json!({"untrusted_servers": [1]}),
        json!({"tools": []}),
        json!({"tools": {"a/b": []}}),
        json!({"tools": {"a/b": {"untrusted": "yes"}}}),
        json!({"tools": {"a/b": {"trusted": true}}}),
        json!({"tools": {"a/b": {"irreversible_unless": ["p"]}}}),
        json!({"tools": {"a/b": {"irreversible": true, "reads_only": true}}}),
        json!({"tools": {"a/b": {"grant_seconds": 60}}}),
        json!({"tools": {"a/b": {"grant_seconds": 0, "resource_arg": "x"}}}),
        json!({"tools": {"a/b": {"grant_seconds": 601, "resource_arg": "x"}}}),
        json!({"tools": {"a/b": {"grant_seconds": 60, "resource_arg": "x", "irreversible": true}}}),
        json!({"tools": {"a/b": {"store": ""}}}),
        json!({"tools": {"a/b": {"store": "two\nlines"}}}),
        json!({"tools": {"a/b": {"store": "x".repeat(2_049)}}}),
        many_stores(17),
        json!({"budget": {}}),
    ] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"rules":"chancery/session-rules/v2"}"#,
        r#"{"rules":"chancery/session-rules/v1","rules":"chancery/session-rules/v1"}"#,
    ] {
        assert!(SessionRules::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let large = format!(
        "{{\"rules\":\"{SESSION_RULES_FORM}\"{}}}",
        " ".repeat(262_144)
    );
    let error = SessionRules::parse(large.as_bytes()).unwrap_err();
    assert!(matches!(error, SessionRulesError::TooLarge));
}
