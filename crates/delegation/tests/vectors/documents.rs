use chancery_delegation::{ChainRules, RevocationSet};
use chancery_types::parse_strict;
use serde_json::{Value, json};

/// How long a root and a link live where neither rules nor anybody who asks say so.
const OTHERWISE: u64 = 1_800;

/// Judges what is revoked, as a snapshot holds it. What has no canonical form nobody signs.
pub(crate) fn judge_revocations(vector: &Value) -> Value {
    let value = parse_strict(&document(vector)).ok();
    let set = value.and_then(|value| serde_json::from_value::<RevocationSet>(value).ok());
    match set.and_then(|set| set.digest().ok()) {
        Some(digest) => json!({"expect": "accept", "digest": digest}),
        None => json!({"expect": "malformed"}),
    }
}

/// Judges the operator's rules.
pub(crate) fn judge_rules(vector: &Value) -> Value {
    match ChainRules::parse(&document(vector)) {
        Ok(rules) => json!({
            "expect": "accept",
            "root_seconds": rules.root().by_default(OTHERWISE),
            "link_seconds": rules.link().by_default(OTHERWISE),
        }),
        Err(_) => json!({"expect": "malformed"}),
    }
}

/// The document: `json`, where `repeated` says so with an item many times in the place of `@`,
/// numbered in the place of `#####`, and with spaces behind it up to `bytes`.
fn document(vector: &Value) -> Vec<u8> {
    let mut text = vector["json"].as_str().unwrap().to_owned();
    if let Some(repeated) = vector.get("repeated") {
        let item = repeated["item"].as_str().unwrap();
        let numbered = |number: u64| item.replace("#####", &format!("{number:05}"));
        let items: Vec<String> = (0..repeated["times"].as_u64().unwrap())
            .map(numbered)
            .collect();
        text = text.replace('@', &items.join(","));
    }
    let mut bytes = text.into_bytes();
    let padded = vector["bytes"].as_u64().unwrap_or_default();
    bytes.resize(bytes.len().max(padded.try_into().unwrap()), b' ');
    bytes
}
