//! MCP clients that we did not write, as governed agents.

use super::deployment::{Deployment, text};
use super::place::{Started, checkout, until};
use super::tools::{Tools, python};

/// A grant of one tool with one argument.
pub(crate) const NORTH: &str =
    r#"{"type":"mcp_tool","server":"ledger","tool":"balance","args":{"book":{"exact":"north"}}}"#;

#[test]
fn the_inspector_lists_and_calls_what_was_granted() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let deployment = Deployment::with_person();
    let inspector = tools.inspector();
    deployment.agent("inspector", &inspector);
    let (npm, node) = (tools.npm(), tools.node());
    let inspect = |rest: &[&str]| {
        let mut arguments = vec![
            "--agent",
            "inspector",
            "--read",
            &npm,
            "--",
            &node,
            &inspector,
            "--cli",
        ];
        arguments.extend(["chancery", "connect", "ledger"]);
        arguments.extend(rest);
        deployment.run(&arguments)
    };
    let listing = inspect(&["--method", "tools/list"]);
    deployment.delegate(&["ledger/list", "ledger/balance"]);
    let listed = listing.ended().json();
    let mut names: Vec<_> = listed["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    names.sort_by_key(|name| name.to_string());
    assert_eq!(names, ["balance", "list"]);

    let call = [
        "--method",
        "tools/call",
        "--tool-name",
        "balance",
        "--tool-arg",
        "book=north",
    ];
    let calling = inspect(&call);
    deployment.delegate(&[NORTH]);
    let called = calling.ended().ok();
    assert!(called.contains("invoices_open"), "{called}");

    let mut call = call;
    call[5] = "book=west";
    let calling = inspect(&call);
    deployment.delegate(&[NORTH]);
    let refused = calling.ended();
    assert!(!refused.out.contains("invoices_open"), "{refused:?}");
    refused.refused(1, &["scope"]);
}

#[test]
fn the_python_sdk_ends_its_session_when_it_ends() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let deployment = Deployment::with_person();
    let running = python_client(&deployment, &tools, &["balance", r#"{"book":"north"}"#]);
    let granted = deployment.delegate(&["ledger/balance"]);
    let out = running.ended().ok();
    assert!(out.starts_with("tools: balance\nbalance: {"), "{out}");
    let ends = deployment.logged("session.end");
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0]["reason"], "completed");
    let session = granted["session"].as_str().unwrap();
    deployment
        .place
        .chancery(&["evidence", session, "--out", "evidence"])
        .ok();
    deployment
        .place
        .chancery(&["trust", "export", "trust.json"])
        .ok();
    deployment
        .place
        .chancery(&["verify", "evidence", "--trust", "trust.json"])
        .ok();
}

#[test]
fn a_client_outside_of_a_sandbox_is_an_unisolated_instance() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let deployment = Deployment::with_person();
    deployment.agent("desk", super::place::chancery());
    let mut command = deployment.place.command(tools.node());
    command.args([
        &tools.inspector(),
        "--cli",
        "chancery",
        "connect",
        "ledger",
        "--agent",
        "desk",
    ]);
    let listing = Started::new(command.args(["--method", "tools/list"]), &deployment.place);
    deployment.delegate(&["ledger/balance"]);
    let listed = listing.ended().json();
    assert_eq!(listed["tools"][0]["name"], "balance");
    let ended = until("the session's end", || {
        deployment.logged("session.end").pop()
    });
    assert_eq!(ended["reason"], "completed");
    let instances = deployment.place.chancery(&["agent", "instances"]).ok();
    assert!(instances.contains("unisolated"), "{instances}");
}

#[test]
fn a_client_without_a_delegation_is_told_what_is_missing() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let deployment = Deployment::with_person();
    let client = checkout().join("demo/client.py");
    deployment.agent("desk", text(&client));
    let (python, prefix) = python(&deployment.place);
    let sdk = tools.python_sdk();
    let mut arguments = vec![
        "--agent",
        "desk",
        "--wait-delegation",
        "1",
        "--read",
        &prefix,
        "--read",
        &sdk,
    ];
    arguments.extend(["--", &python, text(&client), &sdk]);
    let ran = deployment.run(&arguments).ended();
    ran.refused(1, &["nothing was delegated to this instance"]);
    assert!(deployment.logged("session.open").is_empty());
}

/// A governed client on the Python SDK that makes these calls: tools and arguments in turn.
pub(crate) fn python_client(deployment: &Deployment, tools: &Tools, calls: &[&str]) -> Started {
    deployment.agent("desk", text(&checkout().join("demo/client.py")));
    python_again(deployment, tools, calls)
}

/// The same, of the agent that is registered already.
pub(crate) fn python_again(deployment: &Deployment, tools: &Tools, calls: &[&str]) -> Started {
    let client = checkout().join("demo/client.py");
    let (python, prefix) = python(&deployment.place);
    let sdk = tools.python_sdk();
    let mut arguments = vec![
        "--agent", "desk", "--read", &prefix, "--read", &sdk, "--", &python,
    ];
    arguments.extend([text(&client), &sdk]);
    arguments.extend(calls);
    deployment.run(&arguments)
}
