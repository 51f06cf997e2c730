use std::collections::BTreeSet;

use chancery_audit::{documentation, json_schema};
use serde_json::Value;

use crate::samples::samples;

/// Every schema in a document that describes an object with members.
fn objects<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && members.get("type").is_some() {
                found.push(schema);
            }
            members.values().for_each(|value| objects(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| objects(value, found)),
        _ => {}
    }
}

#[test]
fn each_type_has_a_definition_and_nothing_else_has() {
    let schema = json_schema();
    let definitions = schema["$defs"].as_object().unwrap();
    let defined: BTreeSet<&str> = definitions.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = documentation().iter().map(|kind| kind.name).collect();
    assert_eq!(defined, known);
    let named = schema["oneOf"].as_array().unwrap().len();
    assert_eq!(named, known.len());
    for kind in documentation() {
        let body = &definitions[kind.name]["properties"]["body"];
        let required: BTreeSet<&str> = (body["required"].as_array().unwrap())
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for field in kind.fields {
            assert!(
                body["properties"][field.name]["description"].is_string(),
                "{}",
                field.name
            );
            assert_eq!(required.contains(field.name), field.required);
        }
    }
}

#[test]
fn no_object_takes_members_that_it_does_not_name() {
    let (schema, mut found) = (json_schema(), Vec::new());
    objects(&schema, &mut found);
    assert!(found.len() > documentation().len() * 2);
    assert!(
        found
            .iter()
            .all(|object| object["additionalProperties"] == false)
    );
}

#[test]
fn every_member_of_every_sample_is_named() {
    let schema = json_schema();
    for sample in samples() {
        let whole: Value = serde_json::from_slice(&sample.to_bytes().unwrap()).unwrap();
        let body = &schema["$defs"][sample.event.type_name()]["properties"]["body"];
        for name in whole["body"].as_object().unwrap().keys() {
            assert!(body["properties"].get(name).is_some(), "{name}");
        }
    }
}
