//! OpenTelemetry logs, in the JSON encoding of OTLP.

use serde_json::{Value, json};

use super::LoggedEntry;

/// The conventions that attributes outside of our namespace follow, all under development there.
pub const SEMANTIC_CONVENTIONS: &str = "https://opentelemetry.io/schemas/1.38.0";

/// Severity numbers of the log data model.
const INFO: u64 = 9;
const WARN: u64 = 13;

/// An entry as OTLP log data with one record: an event named `chancery.` and the entry's type,
/// whose body is the entry's. Attributes say where it stands (`chancery.log.origin`, `.index`,
/// `.leaf_hash`) and, of what an agent did, which agent, tool and session (`gen_ai.*`, `mcp.*`).
pub fn otlp(logged: &LoggedEntry<'_>) -> Value {
    let nanos = u128::from(logged.entry.at.as_micros()) * 1_000;
    let warns = logged.is_refusal() || logged.is_withdrawal() || logged.unenforced().is_some();
    let (severity, name) = match warns || logged.kind() == "observe.set" {
        true => (WARN, "WARN"),
        false => (INFO, "INFO"),
    };
    let record = json!({
        "attributes": attributes(logged),
        "body": any(&logged.body),
        "eventName": format!("chancery.{}", logged.kind()),
        // Integers of 64 bits are texts in this encoding.
        "observedTimeUnixNano": nanos.to_string(),
        "severityNumber": severity,
        "severityText": name,
        "timeUnixNano": nanos.to_string(),
    });
    json!({
        "resourceLogs": [{
            "resource": { "attributes": [
                attribute("service.name", "chancery".into()),
                attribute("service.version", env!("CARGO_PKG_VERSION").into()),
            ] },
            "scopeLogs": [{
                "logRecords": [record],
                "schemaUrl": SEMANTIC_CONVENTIONS,
                "scope": { "name": "chancery.audit", "version": env!("CARGO_PKG_VERSION") },
            }],
        }]
    })
}

fn attributes(logged: &LoggedEntry<'_>) -> Vec<Value> {
    let mut attributes = vec![
        attribute("chancery.log.origin", logged.entry.origin.as_str().into()),
        attribute("chancery.log.index", logged.index.into()),
        attribute("chancery.log.leaf_hash", logged.leaf.to_string().into()),
    ];
    let is_call = matches!(logged.kind(), "decision" | "outcome");
    let kind = logged.text(&["request", "kind"]);
    let method = match kind {
        Some("tool") => Some("tools/call"),
        Some("resource") => Some("resources/read"),
        Some("prompt") => Some("prompts/get"),
        _ => None,
    };
    let called = |wanted: &str| {
        logged
            .text(&["request", "name"])
            .filter(|_| kind == Some(wanted))
    };
    let decided = |name: &'static str| logged.text(&[name]).filter(|_| logged.kind() == "decision");
    let known = [
        ("gen_ai.agent.id", logged.agent()),
        ("gen_ai.conversation.id", logged.text(&["session"])),
        ("gen_ai.operation.name", is_call.then_some("execute_tool")),
        ("gen_ai.tool.call.id", logged.text(&["execution"])),
        ("gen_ai.tool.name", called("tool")),
        ("mcp.method.name", method),
        ("mcp.resource.uri", called("resource")),
        ("chancery.instance", logged.instance()),
        ("chancery.decision", decided("outcome")),
        ("chancery.decision.reason", decided("reason")),
        ("chancery.decision.unenforced", logged.unenforced()),
        ("chancery.policy.digest", logged.text(&["policy"])),
        (
            "chancery.delegation",
            logged
                .text(&["leaf"])
                .or_else(|| logged.text(&["delegation"])),
        ),
        ("chancery.tlog_proof", logged.proof),
    ];
    let known = known.into_iter();
    attributes.extend(known.filter_map(|(name, value)| Some(attribute(name, value?.into()))));
    attributes
}

fn attribute(name: &str, value: Value) -> Value {
    json!({ "key": name, "value": any(&value) })
}

/// JSON as a value of the data model.
fn any(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({ "boolValue": value }),
        // An entry holds integers alone.
        Value::Number(value) => json!({ "intValue": value.to_string() }),
        Value::String(value) => json!({ "stringValue": value }),
        Value::Array(values) => {
            let values: Vec<Value> = values.iter().map(any).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| attribute(name, value.clone()));
            json!({ "kvlistValue": { "values": members.collect::<Vec<_>>() } })
        }
    }
}
