//! The Open Cybersecurity Schema Framework.

use serde_json::{Map, Value, json};

use super::LoggedEntry;
use crate::LeafRef;
use chancery_types::Digest;

/// The version of the schema that events are made for.
pub const OCSF_VERSION: &str = "1.9.0-dev";

const CATEGORY: u64 = 6;
const CLASS: u64 = 6_003;

const CREATE: u64 = 1;
const UPDATE: u64 = 3;
const DELETE: u64 = 4;
const OTHER: u64 = 99;

/// An entry as an event of the class API Activity (6003) with the profiles `record_integrity`,
/// `security_control` and `ai_operation`.
///
/// The attestation is the log's own: its fingerprint is the leaf hash of the entry, and
/// `prev_event` the entry of the same instance before it. It covers the entry and not the event
/// that was made of it; `unmapped` holds the entry's body, so that the one can be compared with
/// the other, and the proof of inclusion where there is one. No signature stands in it: the log
/// signs checkpoints, and the proof holds one.
pub fn ocsf(logged: &LoggedEntry<'_>) -> Value {
    let activity = activity(logged.kind());
    let mut event = json!({
        "activity_id": activity,
        "activity_name": logged.kind(),
        "actor": actor(logged),
        "api": api(logged),
        "attestation_list": [attestation(logged)],
        "category_uid": CATEGORY,
        "class_uid": CLASS,
        "metadata": metadata(logged),
        "raw_data_hash": fingerprint(&Digest::of(logged.bytes), "JCS"),
        "raw_data_size": logged.bytes.len(),
        "severity_id": severity(logged),
        "src_endpoint": source(logged),
        "time": logged.entry.at.as_micros() / 1_000,
        "type_uid": CLASS * 100 + activity,
        "unmapped": unmapped(logged),
    });
    if let Some(members) = event.as_object_mut() {
        members.extend(agent(logged));
        members.extend(control(logged));
        members.extend(outcome(logged));
    }
    event
}

fn activity(kind: &str) -> u64 {
    match kind {
        "manifest.register" | "identity.issue" | "delegation.root" | "delegation.enrol"
        | "consent.standing" | "session.open" | "policy.publish" | "approval.request"
        | "record.enrol" | "revocation.add" | "federation.add" | "instance.open" => CREATE,
        "trust.change" | "epoch.raise" | "snapshot.adopt" | "session.join" | "approval.answer"
        | "approval.grant" | "revocation.lift" | "checkpoint.enrol" | "federation.bundle"
        | "authority.change" => UPDATE,
        "identity.end" | "session.leave" | "session.end" | "federation.remove" | "agent.retire" => {
            DELETE
        }
        _ => OTHER,
    }
}

/// Informational, low where something was refused, medium where authority was withdrawn or policy is not
/// enforced.
fn severity(logged: &LoggedEntry<'_>) -> u64 {
    let unenforced = logged.unenforced().is_some() || logged.kind() == "observe.set";
    match (logged.is_withdrawal() || unenforced, logged.is_refusal()) {
        (true, _) => 3,
        (_, true) => 2,
        _ => 1,
    }
}

fn actor(logged: &LoggedEntry<'_>) -> Value {
    let mut actor = Map::new();
    match logged.instance().or_else(|| logged.agent()) {
        Some(instance) => actor.insert("app_uid".to_owned(), instance.into()),
        None => actor.insert("app_name".to_owned(), logged.entry.origin.as_str().into()),
    };
    if let Some(session) = logged.text(&["session"]) {
        actor.insert("session".to_owned(), json!({ "uid": session }));
    }
    actor.into()
}

fn api(logged: &LoggedEntry<'_>) -> Value {
    let called = logged.text(&["request", "name"]);
    let mut api = json!({ "operation": called.unwrap_or(logged.kind()) });
    let more = [
        ("service", "name", logged.text(&["request", "server"])),
        ("request", "uid", logged.text(&["execution"])),
        ("response", "message", logged.text(&["status"])),
    ];
    for (part, member, value) in more {
        if let (Some(api), Some(value)) = (api.as_object_mut(), value) {
            api.insert(part.to_owned(), json!({ member: value }));
        }
    }
    api
}

fn source(logged: &LoggedEntry<'_>) -> Value {
    match logged.instance() {
        Some(instance) => json!({ "uid": instance }),
        None => json!({ "name": logged.entry.origin.as_str() }),
    }
}

fn metadata(logged: &LoggedEntry<'_>) -> Value {
    let correlated = logged
        .text(&["execution"])
        .or_else(|| logged.text(&["session"]));
    let mut metadata = json!({
        "event_code": logged.kind(),
        "log_name": logged.entry.origin.as_str(),
        "original_time": logged.entry.at.to_string(),
        "product": {
            "name": "Chancery",
            "vendor_name": "Chancery",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "profiles": ["record_integrity", "security_control", "ai_operation"],
        "sequence": logged.index,
        "uid": logged.leaf.to_hex(),
        "version": OCSF_VERSION,
    });
    if let (Some(metadata), Some(uid)) = (metadata.as_object_mut(), correlated) {
        metadata.insert("correlation_uid".to_owned(), uid.into());
    }
    metadata
}

fn fingerprint(digest: &Digest, serialization: &str) -> Value {
    let id = match serialization {
        "JCS" => 2,
        _ => OTHER,
    };
    json!({
        "algorithm": "SHA-256",
        "algorithm_id": 3,
        "encoding_id": 1,
        "serialization": serialization,
        "serialization_id": id,
        "value": digest.to_hex(),
    })
}

/// A leaf hash is over one byte of zero and the entry.
fn leaf(digest: &Digest) -> Value {
    fingerprint(digest, "RFC 6962 leaf over JCS")
}

fn attestation(logged: &LoggedEntry<'_>) -> Value {
    let origin = logged.entry.origin.as_str();
    let mut attestation = json!({
        "authority_uid": origin,
        "chain_uid": origin,
        "fingerprint": leaf(&logged.leaf),
        "uid": logged.index.to_string(),
    });
    let linked = logged.entry.event.instance_link();
    if let (Some(members), Some((session, instance, link))) = (attestation.as_object_mut(), linked)
    {
        members.insert(
            "chain_uid".to_owned(),
            format!("{session}/{instance}").into(),
        );
        if let Some(LeafRef { index, hash }) = &link.prev {
            let previous = json!({ "fingerprint": leaf(hash), "uid": index.to_string() });
            members.insert("prev_event".to_owned(), previous);
        }
    }
    attestation
}

/// The agent, where the entry is about one.
fn agent(logged: &LoggedEntry<'_>) -> Option<(String, Value)> {
    let mut agent = json!({ "uid": logged.agent()? });
    let members = agent.as_object_mut()?;
    if let Some(instance) = logged.instance() {
        members.insert("instance_uid".to_owned(), instance.into());
    }
    let manifest = logged.text(&["manifest"]);
    if let Some(manifest) = manifest.and_then(|digest| digest.parse::<Digest>().ok()) {
        let charter = json!({
            "hashes": [fingerprint(&manifest, "JCS")],
            "name": "agent manifest",
            "type_id": 1,
        });
        members.insert("charter".to_owned(), charter);
    }
    Some(("ai_agent".to_owned(), agent))
}

/// What was decided, and by which policies.
fn control(logged: &LoggedEntry<'_>) -> Vec<(String, Value)> {
    if logged.kind() != "decision" {
        return Vec::new();
    }
    let decision = logged.text(&["outcome"]).unwrap_or_default();
    let unenforced = logged.unenforced();
    // Allowed, blocked, delayed until a person answers, or observed and logged.
    let (action, disposition) = match (decision, unenforced) {
        ("allow", None) => (1, 1),
        ("allow", Some(_)) => (3, 17),
        ("deny", _) => (2, 2),
        _ => (0, 14),
    };
    let bundle = logged.text(&["policy"]);
    let determining = logged.body.get("determining").and_then(Value::as_array);
    let mut authorizations: Vec<Value> = determining
        .into_iter()
        .flatten()
        .map(|policy| json!({ "decision": decision, "policy": { "uid": policy, "version": bundle } }))
        .collect();
    if let Some(said) = unenforced {
        let by = logged.body.pointer("/unenforced/determining");
        let by = by.and_then(Value::as_array).into_iter().flatten();
        authorizations.extend(by.map(
            |policy| json!({ "decision": said, "policy": { "uid": policy, "version": bundle } }),
        ));
    }
    if authorizations.is_empty() {
        let decision = unenforced.unwrap_or(decision);
        authorizations.push(json!({ "decision": decision, "policy": { "uid": bundle } }));
    }
    let resource = json!({
        "name": logged.text(&["request", "name"]),
        "type": logged.text(&["request", "kind"]),
    });
    vec![
        ("action_id".to_owned(), action.into()),
        ("disposition_id".to_owned(), disposition.into()),
        ("authorizations".to_owned(), authorizations.into()),
        ("is_alert".to_owned(), unenforced.is_some().into()),
        ("resources".to_owned(), json!([resource])),
    ]
}

/// Success, failure or neither, with the code that says more.
fn outcome(logged: &LoggedEntry<'_>) -> Vec<(String, Value)> {
    let (status, code) = match (
        logged.kind(),
        logged.text(&["outcome"]),
        logged.text(&["status"]),
    ) {
        ("decision", Some("allow"), _) => (1, logged.text(&["reason"])),
        ("decision", Some("deny"), _) | ("session.refuse", ..) => (2, logged.text(&["reason"])),
        ("decision", ..) => (OTHER, logged.text(&["reason"])),
        ("outcome", _, Some("completed")) => (1, Some("completed")),
        ("outcome", _, Some("unknown" | "input-required")) => (0, logged.text(&["status"])),
        ("gap.disclose", ..) => (0, Some("unknown")),
        ("outcome", ..) => (2, logged.text(&["status"])),
        _ => (1, None),
    };
    let mut members = vec![("status_id".to_owned(), status.into())];
    members.extend(code.map(|code| ("status_code".to_owned(), code.into())));
    let duration = logged.integer("micros").map(|micros| micros / 1_000);
    members.extend(duration.map(|millis| ("duration".to_owned(), millis.into())));
    members
}

fn unmapped(logged: &LoggedEntry<'_>) -> Value {
    let mut unmapped = json!({ "body": logged.body, "log_index": logged.index });
    if let (Some(members), Some(proof)) = (unmapped.as_object_mut(), logged.proof) {
        members.insert("tlog_proof".to_owned(), proof.into());
    }
    unmapped
}
