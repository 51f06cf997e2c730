use chancery_audit::{ClearValue, LoggedEntry, OCSF_VERSION, leaf_hash, ocsf, otlp};
use serde_json::{Value, json};

use crate::samples::{decision, entry, label, link, observed, outcome, samples};

fn exported(index: u64, bytes: &[u8]) -> [Value; 2] {
    let logged = LoggedEntry::parse(index, bytes).unwrap();
    [ocsf(&logged), otlp(&logged)]
}

/// Every text of a document.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(members) => members.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

#[test]
fn every_type_is_an_ocsf_event_with_what_its_class_requires() {
    for (index, sample) in samples().iter().enumerate() {
        let bytes = sample.to_bytes().unwrap();
        let [event, _] = exported(index as u64, &bytes);
        let kind = sample.event.type_name();
        let activity = event["activity_id"].as_u64().unwrap();
        assert!([1, 2, 3, 4, 99].contains(&activity), "{kind}");
        assert_eq!(event["category_uid"], 6);
        assert_eq!(event["class_uid"], 6_003);
        assert_eq!(event["type_uid"], 600_300 + activity);
        assert_eq!(event["time"], sample.at.as_micros() / 1_000);
        assert!((1..=3).contains(&event["severity_id"].as_u64().unwrap()));
        let metadata = &event["metadata"];
        assert_eq!(metadata["version"], OCSF_VERSION);
        assert_eq!(metadata["event_code"], kind);
        assert_eq!(metadata["sequence"], index);
        assert_eq!(metadata["log_name"], "example.org/log/gateway");
        assert!(metadata["product"]["name"].is_string());
        let profiles = metadata["profiles"].as_array().unwrap();
        assert!(profiles.contains(&json!("record_integrity")));
        let actor = event["actor"].as_object().unwrap();
        assert!(
            actor.contains_key("app_uid") || actor.contains_key("app_name"),
            "{kind}"
        );
        assert!(event["api"]["operation"].is_string(), "{kind}");
        let source = event["src_endpoint"].as_object().unwrap();
        assert!(
            source.contains_key("uid") || source.contains_key("name"),
            "{kind}"
        );
        let attestation = &event["attestation_list"][0];
        let leaf = leaf_hash(&bytes).to_hex();
        assert_eq!(attestation["fingerprint"]["value"], leaf);
        assert_eq!(attestation["fingerprint"]["algorithm_id"], 3);
        assert_eq!(attestation["uid"], index.to_string());
        assert_eq!(attestation["authority_uid"], "example.org/log/gateway");
        assert_eq!(metadata["uid"], leaf);
        if let Some(agent) = event.get("ai_agent") {
            assert!(agent["uid"].is_string(), "{kind}");
        }
        assert_eq!(event["raw_data_size"], bytes.len());
    }
}

#[test]
fn the_chain_of_an_instance_is_the_chain_of_the_attestation() {
    let instance = "spiffe://example.org/agent/a/instance/1";
    let bytes = entry(outcome(1, instance, link(2))).to_bytes().unwrap();
    let [event, _] = exported(9, &bytes);
    let attestation = &event["attestation_list"][0];
    let chain = attestation["chain_uid"].as_str().unwrap();
    assert!(
        chain.starts_with("ses_") && chain.ends_with(&format!("/{instance}")),
        "{chain}"
    );
    let previous = link(2).prev.unwrap();
    assert_eq!(attestation["prev_event"]["uid"], previous.index.to_string());
    let value = &attestation["prev_event"]["fingerprint"]["value"];
    assert_eq!(*value, previous.hash.to_hex());
    let first = entry(outcome(1, instance, link(0))).to_bytes().unwrap();
    let [event, _] = exported(0, &first);
    assert!(event["attestation_list"][0].get("prev_event").is_none());
}

#[test]
fn what_was_decided_is_what_the_control_did() {
    for (ruling, action, disposition, status, severity) in [
        (chancery_audit::Ruling::Allow, 1, 1, 1, 1),
        (chancery_audit::Ruling::Deny, 2, 2, 2, 2),
        (chancery_audit::Ruling::Escalate, 0, 14, 99, 1),
    ] {
        let mut decided = decision();
        decided.outcome = ruling;
        let bytes = entry(decided).to_bytes().unwrap();
        let [event, record] = exported(1, &bytes);
        assert_eq!(event["action_id"], action);
        assert_eq!(event["disposition_id"], disposition);
        assert_eq!(event["status_id"], status);
        assert_eq!(event["severity_id"], severity);
        assert_eq!(event["api"]["operation"], "pay");
        assert_eq!(event["api"]["service"]["name"], "bank");
        assert_eq!(
            event["authorizations"][0]["policy"]["uid"],
            "small-payments"
        );
        assert_eq!(event["authorizations"][0]["decision"], ruling.name());
        let number =
            record["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["severityNumber"].clone();
        assert_eq!(number, if severity == 2 { 13 } else { 9 });
    }
    let mut undetermined = decision();
    undetermined.determining.clear();
    let bytes = entry(undetermined).to_bytes().unwrap();
    let [event, _] = exported(1, &bytes);
    let policy = event["authorizations"][0]["policy"]["uid"]
        .as_str()
        .unwrap();
    assert!(policy.starts_with("sha256:"));
}

/// Who reads the exports alone sees that policy said no and was not enforced.
#[test]
fn what_was_not_enforced_is_observed_and_an_alert() {
    let [event, record] = exported(1, &entry(observed()).to_bytes().unwrap());
    assert_eq!(
        (&event["action_id"], &event["disposition_id"]),
        (&json!(3), &json!(17))
    );
    assert_eq!(event["is_alert"], true);
    assert_eq!(event["severity_id"], 3);
    assert_eq!(event["status_code"], "observed");
    let authorizations = event["authorizations"].as_array().unwrap();
    assert_eq!(authorizations.len(), 1);
    assert_eq!(authorizations[0]["decision"], "deny");
    assert_eq!(authorizations[0]["policy"]["uid"], "never-large");
    let mut found = Vec::new();
    texts(&record, &mut found);
    assert!(found.contains(&"chancery.decision.unenforced"));
    let [plain, record] = exported(1, &entry(decision()).to_bytes().unwrap());
    assert_eq!(plain["is_alert"], false);
    let mut found = Vec::new();
    texts(&record, &mut found);
    assert!(!found.contains(&"chancery.decision.unenforced"));
    // Policy was silent.
    let mut silent = observed();
    silent.unenforced.as_mut().unwrap().determining.clear();
    let [event, _] = exported(1, &entry(silent).to_bytes().unwrap());
    assert_eq!(event["authorizations"][0]["decision"], "deny");
}

#[test]
fn values_in_clear_are_left_out() {
    let mut decided = decision();
    let secret = "iban of somebody";
    decided
        .request
        .clear
        .insert(label("to"), ClearValue::Text(secret.to_owned()));
    let bytes = entry(decided).to_bytes().unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains(secret));
    for document in exported(1, &bytes) {
        let text = document.to_string();
        assert!(!text.contains(secret) && !text.contains("clear"), "{text}");
        // The digest of all arguments stays.
        assert!(text.contains("args_digest"));
    }
}

#[test]
fn every_type_is_an_open_telemetry_record() {
    for (index, sample) in samples().iter().enumerate() {
        let bytes = sample.to_bytes().unwrap();
        let [_, data] = exported(index as u64, &bytes);
        let scope = &data["resourceLogs"][0]["scopeLogs"][0];
        let record = &scope["logRecords"][0];
        let nanos = format!("{}000", sample.at.as_micros());
        assert_eq!(record["timeUnixNano"], nanos);
        assert_eq!(
            record["eventName"],
            format!("chancery.{}", sample.event.type_name())
        );
        let attributes = record["attributes"].as_array().unwrap();
        let of = |name: &str| {
            let mut named = attributes
                .iter()
                .filter(|attribute| attribute["key"] == name);
            let value = named.next().map(|attribute| attribute["value"].clone());
            assert!(named.next().is_none(), "{name} twice");
            value
        };
        assert_eq!(
            of("chancery.log.index"),
            Some(json!({ "intValue": index.to_string() }))
        );
        let leaf = leaf_hash(&bytes).to_string();
        assert_eq!(
            of("chancery.log.leaf_hash"),
            Some(json!({ "stringValue": leaf }))
        );
        assert_eq!(of("mcp.session.id"), None);
        let is_call = matches!(sample.event.type_name(), "decision" | "outcome");
        assert_eq!(of("gen_ai.operation.name").is_some(), is_call);
        assert!(record["body"]["kvlistValue"]["values"].is_array());
    }
    let [_, data] = exported(1, &entry(decision()).to_bytes().unwrap());
    let mut found = Vec::new();
    texts(&data, &mut found);
    for text in [
        "tools/call",
        "pay",
        "execute_tool",
        "spiffe://example.org/agent/a",
    ] {
        assert!(found.contains(&text), "{text}");
    }
}

#[test]
fn a_proof_goes_along() {
    let bytes = entry(decision()).to_bytes().unwrap();
    let logged = LoggedEntry::parse(1, &bytes)
        .unwrap()
        .with_proof("c2sp.org/tlog-proof@v1\n");
    assert_eq!(
        ocsf(&logged)["unmapped"]["tlog_proof"],
        "c2sp.org/tlog-proof@v1\n"
    );
    assert!(otlp(&logged).to_string().contains("chancery.tlog_proof"));
    assert!(LoggedEntry::parse(1, b"{}").is_err());
    assert!(LoggedEntry::parse(1, &bytes[1..]).is_err());
}
