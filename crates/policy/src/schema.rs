//! The Cedar schema: written from `bundle.json`, and checked against what requests hold.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cedar_policy::{Entities, Schema};
use chancery_types::Timestamp;
use serde_json::{Map, Value};

use crate::projection::{self, Unfit};
use crate::vocabulary::{GET_PROMPT, READ_RESOURCE, Vocabulary};
use crate::{
    Annotations, ArgType, BundleError, Files, Index, Kind, Place, Principal, Request, SCHEMA_FILE,
    SessionFacts, Target, files,
};

const ENTITIES: &str = "  entity Agent;
  entity Instance in [Agent] {
    agent: String, principal: String, mission: String,
    depth: Long, attestation_level: Long, isolated: Bool, asserted: Bool
  };
  entity Server;
  entity Tool in [Server] { server: String, name: String, read_only: Bool, destructive: Bool };
  entity Resource in [Server] { server: String, uri: String };
  entity Prompt in [Server] { server: String, name: String };
  type Session = {
    calls: Long, cost_micros: Long, denied: Long, escalated: Long, minutes: Long,
    rows: Long, resources: Long, trust: Long, tainted: Bool
  };
";

/// The schema that belongs to a `bundle.json`.
pub fn schema_text(index: &Index) -> String {
    let mut text = format!("namespace Chancery {{\n{ENTITIES}");
    for (name, tool) in index.tools() {
        let args = tool
            .args()
            .iter()
            .map(|(name, argument)| {
                let optional = if argument.is_optional() { "?" } else { "" };
                format!("\"{name}\"{optional}: {}", argument.kind().cedar())
            })
            .collect::<Vec<_>>()
            .join(", ");
        action(&mut text, name, "Tool", &args);
    }
    action(&mut text, READ_RESOURCE, "Resource", "");
    action(&mut text, GET_PROMPT, "Prompt", "");
    text.push_str("}\n");
    text
}

fn action(text: &mut String, name: &str, resource: &str, args: &str) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "  action \"{name}\" appliesTo {{\n    principal: [Instance], resource: [{resource}],\n    context: {{ args: {{ {args} }}, session: Session, now: datetime }}\n  }};\n"
    );
}

/// Reads the schema and proves that the requests of every tool fit it.
pub(crate) fn load(
    files: &Files,
    index: &Index,
    vocabulary: &Vocabulary,
) -> Result<Schema, BundleError> {
    let text = files::text(files, SCHEMA_FILE)?;
    let (schema, _warnings) =
        Schema::from_cedarschema_str(text).map_err(|error| BundleError::Schema {
            place: crate::policies::first_place(SCHEMA_FILE, text, &error),
            problem: crate::policies::with_sources(&error),
        })?;
    check_actions(&schema, index)?;
    check_entities(&schema, vocabulary)?;
    for name in index.tools().keys() {
        check_requests(&schema, index, vocabulary, name)?;
    }
    Ok(schema)
}

fn check_actions(schema: &Schema, index: &Index) -> Result<(), BundleError> {
    let known: BTreeSet<&str> = schema
        .actions()
        .filter(|action| action.type_name().to_string() == "Chancery::Action")
        .map(|action| action.id().unescaped())
        .collect();
    if let Some(missing) = index
        .tools()
        .keys()
        .find(|name| !known.contains(name.as_str()))
    {
        return Err(mismatch(missing, "it is not declared"));
    }
    for action in schema.actions() {
        let applies = schema
            .principals_for_action(action)
            .is_some_and(|mut types| types.next().is_some());
        let name = action.id().unescaped();
        let ours = action.type_name().to_string() == "Chancery::Action"
            && (index.tools().contains_key(name) || [READ_RESOURCE, GET_PROMPT].contains(&name));
        if applies && !ours {
            return Err(mismatch(name, "bundle.json does not declare it"));
        }
    }
    Ok(())
}

fn check_entities(schema: &Schema, vocabulary: &Vocabulary) -> Result<(), BundleError> {
    let check = || -> Result<(), Unfit> {
        let mut entities = projection::principal(vocabulary, &SAMPLE)?.to_vec();
        for kind in [Kind::Tool, Kind::Resource, Kind::Prompt] {
            let target = Target {
                kind,
                server: "s",
                name: "n",
            };
            entities.push(projection::resource(
                vocabulary,
                &target,
                Annotations::default(),
            )?);
        }
        entities.push(cedar_policy::Entity::with_uid(vocabulary.server_uid("s")));
        Entities::from_entities(entities, Some(schema))?;
        Ok(())
    };
    check().map_err(|Unfit(problem)| mismatch("any", &problem))
}

fn check_requests(
    schema: &Schema,
    index: &Index,
    vocabulary: &Vocabulary,
    name: &str,
) -> Result<(), BundleError> {
    let Some((tool, (server, local))) = index.tools().get(name).zip(name.split_once('/')) else {
        return Err(mismatch(name, "it is not server/tool"));
    };
    for with_optional in [true, false] {
        let arguments: Map<String, Value> = tool
            .args()
            .iter()
            .filter(|(_, argument)| with_optional || !argument.is_optional())
            .map(|(name, argument)| {
                let sample = match argument.kind() {
                    ArgType::Long => Value::from(0),
                    ArgType::String => Value::from(""),
                    ArgType::Bool => Value::from(false),
                };
                (name.clone(), sample)
            })
            .collect();
        let arguments = Value::Object(arguments);
        let request = Request {
            principal: SAMPLE,
            target: Target {
                kind: Kind::Tool,
                server,
                name: local,
            },
            annotations: Annotations::default(),
            arguments: &arguments,
            session: SessionFacts::default(),
            now: Timestamp::from_micros(0),
            grants: &BTreeSet::new(),
        };
        projection::project(vocabulary, Some(tool), &[], schema, &request)
            .map_err(|Unfit(problem)| mismatch(name, &problem))?;
    }
    Ok(())
}

const SAMPLE: Principal<'static> = Principal {
    instance: "i",
    agent: "a",
    principal: "p",
    mission: "m",
    depth: 0,
    attestation_level: 0,
    isolated: false,
    asserted: false,
};

fn mismatch(action: &str, problem: &str) -> BundleError {
    BundleError::SchemaMismatch {
        place: Place::file(SCHEMA_FILE),
        action: action.to_owned(),
        problem: problem.to_owned(),
    }
}
