//! The documentation of every type of entry, from the types themselves.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::body::object;
use crate::{Event, FieldType as _, Label, TypeDoc, Writer};

/// Every type of entry, in the order of the registry.
pub fn documentation() -> Vec<TypeDoc> {
    Event::types()
}

/// The documentation as a page of Markdown.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Log entries\n\nEvery entry is the canonical JSON object `{\"at\", \"body\", \"origin\", \"type\", \"v\"}`: `v` is 1, `at` counts microseconds since the epoch, `origin` names the log, and `body` has the members below. A member with a question mark may be absent. [`events.schema.json`](events.schema.json) says the same as a JSON Schema.\n",
    );
    for kind in documentation() {
        let writer = match kind.writer {
            Writer::Server => "server",
            Writer::Gateway => "gateway",
            Writer::Either => "server or the gateway, each in its own log",
            Writer::Recorder => "recorder (`chancery log write`)",
        };
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n## `{}`\n\n{} Written by the {writer}.\n\n| member | type | meaning |\n| --- | --- | --- |\n",
            kind.name, kind.meaning
        );
        for field in kind.fields {
            let optional = if field.required { "" } else { "?" };
            let described = field.kind.replace('|', "\\|");
            let _ = writeln!(
                page,
                "| `{}`{optional} | {described} | {} |",
                field.name, field.meaning
            );
        }
    }
    page
}

/// The JSON Schema (2020-12) of entries: one definition for each type, of which an entry is exactly
/// one. What no schema says stays for the reader of entries: the canonical spelling, the bound of
/// 65,535 bytes, and that no member stands twice.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut references = Vec::new();
    for kind in documentation() {
        let integer = u64::schema();
        let definition = json!({
            "type": "object",
            "description": kind.meaning,
            "properties": {
                "v": { "const": 1 },
                "at": integer,
                "origin": Label::schema(),
                "type": { "const": kind.name },
                "body": object(kind.fields),
            },
            "required": ["at", "body", "origin", "type", "v"],
            "additionalProperties": false,
        });
        references.push(json!({ "$ref": format!("#/$defs/{}", kind.name) }));
        definitions.insert(kind.name.to_owned(), definition);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:chancery:log-entry:1",
        "title": "An entry of a log",
        "oneOf": references,
        "$defs": definitions,
    })
}
