//! What the mission does: for the ledger, or for any tool server put in its place.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use chancery_delegation::{MISSION_FORM, Mission};
use serde_json::{Map, Value, json};

use super::agents::orchestrator::{FOREIGN_CHAIN, PlannedWorker};
use super::agents::worker::{PlannedCall, Task};
use super::assets;
use super::run_folder::RunFolder;
use crate::commands::agent::ListedTool;

/// The purpose of a call beyond what was delegated.
pub(super) const OUT_OF_SCOPE: &str = "out-of-scope";

/// The purpose of a call that policy puts before a person.
pub(super) const ESCALATED: &str = "escalated";

/// The purpose of a call that is simply allowed.
pub(super) const ALLOWED: &str = "allowed";

/// The purpose of a call that is made until the operator has revoked who makes it.
pub(super) const REVOKED: &str = "revoked";

/// A mission.
#[derive(Debug)]
pub(super) struct Plan {
    /// The name of the tool server.
    pub(super) server: &'static str,
    /// What the person wants done.
    pub(super) mission: Mission,
    /// What the person grants.
    pub(super) grants: Vec<Value>,
    /// Who does what; the last one is revoked while it works.
    pub(super) workers: Vec<PlannedWorker>,
}

impl Plan {
    /// The reconciliation of three books.
    pub(super) fn ledger(run: &RunFolder) -> anyhow::Result<Self> {
        assets::write_policy(&run.policy())?;
        let tools = ["list", "read", "reconcile", "post", "balance"];
        let books = ["north", "south", "west"];
        let grant = |tool: &str, book: Value| json!({"type": "mcp_tool", "server": "ledger", "tool": tool, "args": {"book": book}});
        let worker = |place: usize, book: &str| {
            let mut calls = Vec::new();
            if place == 0 {
                calls.push(planned(OUT_OF_SCOPE, "list", json!({"book": "west"})));
            }
            if place == 2 {
                calls.push(planned(FOREIGN_CHAIN, "list", json!({"book": "south"})));
            }
            PlannedWorker {
                allow: tools
                    .map(|tool| grant(tool, json!({"exact": book})))
                    .to_vec(),
                task: Task {
                    server: "ledger".to_owned(),
                    book: Some(book.to_owned()),
                    calls,
                    tell_chain: place == 1,
                },
                foreign_chain_of: (place == 2).then_some(1),
            }
        };
        let allow = vec![grant("balance", json!({"exact": "north"}))];
        let stopped = planned(REVOKED, "balance", json!({"book": "north"}));
        Ok(Self {
            server: "ledger",
            mission: Mission::parse(assets::MISSION.into()).context("demo/mission.json")?,
            grants: tools
                .map(|tool| grant(tool, json!({"one_of": books})))
                .to_vec(),
            workers: books
                .iter()
                .enumerate()
                .map(|(place, book)| worker(place, book))
                .chain([stopped_worker("ledger", allow, stopped)])
                .collect(),
        })
    }

    /// A mission with the read-only tools of an unknown server: one is used freely, one needs a
    /// person, one is not delegated.
    pub(super) fn other(
        run: &RunFolder,
        tools: &[ListedTool],
        command: &[String],
    ) -> anyhow::Result<Self> {
        let mut usable: Vec<&ListedTool> = tools.iter().filter(|tool| tool.read_only).collect();
        usable.sort_by_key(|tool| required(tool).len());
        let [free, asked, withheld, ..] = usable.as_slice() else {
            anyhow::bail!(
                "the demo needs three tools that the server marks as read-only (readOnlyHint); it has {}",
                usable.len()
            );
        };
        write_policy(&run.policy(), tools, &asked.name)?;
        let grant =
            |tool: &ListedTool| json!({"type": "mcp_tool", "server": "tools", "tool": tool.name});
        let call = |purpose: &str, tool: &ListedTool| {
            planned(purpose, &tool.name, arguments(tool, command))
        };
        let worker = |allow: &[&ListedTool], calls: Vec<PlannedCall>, place: usize| PlannedWorker {
            allow: allow.iter().map(|tool| grant(tool)).collect(),
            task: Task {
                server: "tools".to_owned(),
                book: None,
                calls,
                tell_chain: place == 1,
            },
            foreign_chain_of: (place == 2).then_some(1),
        };
        let first = vec![call(ALLOWED, free), call(OUT_OF_SCOPE, withheld)];
        Ok(Self {
            server: "tools",
            mission: mission(vec![grant(free), grant(asked)])?,
            grants: vec![grant(free), grant(asked)],
            workers: vec![
                worker(&[free], first, 0),
                worker(&[free, asked], vec![call(ESCALATED, asked)], 1),
                worker(
                    &[free],
                    vec![call(FOREIGN_CHAIN, free), call(ALLOWED, free)],
                    2,
                ),
                stopped_worker("tools", vec![grant(free)], call(REVOKED, free)),
            ],
        })
    }
}

/// A mission of one step.
fn mission(means: Vec<Value>) -> anyhow::Result<Mission> {
    let document = json!({
        "mission": MISSION_FORM,
        "goal": "Show what a governed agent may do with these tools.",
        "outcome": {"shown": true},
        "steps": [{"id": "show", "text": "Call the tools.", "means": means}],
        "forbid": [],
        "stop": [{"when": "budget-used"}],
        "budget": {"calls": 100, "cost_micros": 0, "seconds": 3_600},
        "approver": {"role": "approver"},
        "expires": "2099-12-31T00:00:00Z",
    });
    Mission::parse(format!("{document:#}\n").into_bytes()).context("the mission")
}

fn planned(purpose: &str, tool: &str, arguments: Value) -> PlannedCall {
    PlannedCall {
        purpose: purpose.to_owned(),
        tool: tool.to_owned(),
        arguments,
        chain: None,
        until_refused: purpose == REVOKED,
    }
}

/// The last worker: goes on with one call until it is stopped.
fn stopped_worker(server: &str, allow: Vec<Value>, call: PlannedCall) -> PlannedWorker {
    PlannedWorker {
        allow,
        task: Task {
            server: server.to_owned(),
            book: None,
            calls: vec![call],
            tell_chain: false,
        },
        foreign_chain_of: None,
    }
}

/// A policy that permits every tool of the server and asks for one.
fn write_policy(folder: &Path, tools: &[ListedTool], asked: &str) -> anyhow::Result<()> {
    let plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
    };
    ensure!(
        tools.iter().all(|tool| plain(&tool.name)),
        "a tool has a name that policy cannot hold"
    );
    let declared: BTreeMap<String, Value> = tools
        .iter()
        .map(|tool| (format!("tools/{}", tool.name), json!({})))
        .collect();
    let index = json!({"name": "tools-demo", "version": 1, "tools": declared});
    let files = BTreeMap::from([("bundle.json".to_owned(), index.to_string().into_bytes())]);
    let schema = chancery_policy::schema_text(&chancery_policy::Index::parse(&files)?);
    let policies = format!(
        "@id(\"use-the-tools\")\npermit (principal, action, resource in Chancery::Server::\"tools\")\n\
         unless {{ action == Chancery::Action::\"tools/{asked}\" }};\n\n\
         @id(\"ask-a-person\")\n@effect(\"ask\")\n\
         permit (principal, action == Chancery::Action::\"tools/{asked}\", resource);\n"
    );
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (name, text) in [
        ("bundle.json", index.to_string()),
        ("schema.cedarschema", schema),
        ("tools.cedar", policies),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn required(tool: &ListedTool) -> Vec<&str> {
    let names = tool.input_schema.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Arguments that fit a tool's schema: paths are the last existing path of the server's command.
fn arguments(tool: &ListedTool, command: &[String]) -> Value {
    let path = command
        .iter()
        .rev()
        .find(|word| Path::new(word).is_absolute());
    let path = path.map_or("/", String::as_str);
    let members: Map<String, Value> = required(tool)
        .into_iter()
        .map(|name| {
            let pointer = format!("/properties/{name}");
            let schema = tool.input_schema.pointer(&pointer).unwrap_or(&Value::Null);
            (name.to_owned(), example(schema, path))
        })
        .collect();
    Value::Object(members)
}

fn example(schema: &Value, path: &str) -> Value {
    if let Some(first) = schema
        .get("enum")
        .and_then(Value::as_array)
        .and_then(|all| all.first())
    {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(false),
        Some("array") => json!([example(schema.get("items").unwrap_or(&Value::Null), path)]),
        Some("object") => json!({}),
        _ => json!(path),
    }
}
