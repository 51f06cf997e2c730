//! A governed client that calls again and again: the MCP SDK in Python.

use serde_json::{Value, json};

use crate::deployment::{Deployment, text};
use crate::place::{Started, checkout, until};
use crate::tools::{Tools, python};

/// An agent that reads a book's balance ten times a second.
pub(crate) struct Calls {
    running: Started,
}

impl Calls {
    /// Starts it and delegates to it; none, said aloud, where the SDK is not there.
    pub(crate) fn start(deployment: &Deployment) -> Option<Self> {
        let tools = Tools::find()?;
        let script = checkout().join("crates/cli/tests/walkthrough/foreign/calls.py");
        deployment.agent("caller", text(&script));
        let (python, prefix) = python(&deployment.place);
        let sdk = tools.python_sdk();
        let read = ["--agent", "caller", "--read", &prefix, "--read", &sdk, "--"];
        let run = [
            &python,
            text(&script),
            &sdk,
            "balance",
            r#"{"book":"north"}"#,
        ];
        let running = deployment.run(&[&read[..], &run[..]].concat());
        // One that goes on however often it is denied.
        let mission = std::fs::read(checkout().join("demo/mission.json")).unwrap();
        let mut mission: Value = serde_json::from_slice(&mission).unwrap();
        mission["stop"] = json!([{"when": "budget-used"}]);
        let mission = deployment.place.write("calls.json", mission.to_string());
        deployment.delegate_for(&mission, &["ledger/balance"]);
        let calls = Self { running };
        calls.go_on(2);
        Some(calls)
    }

    fn said(&self) -> Vec<Value> {
        let out = self.running.out();
        let whole = out.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// How many calls succeeded.
    pub(crate) fn succeeded(&self) -> usize {
        self.said().iter().filter(|call| call["ok"] == true).count()
    }

    /// What was said of calls that did not.
    pub(crate) fn refusals(&self) -> Vec<String> {
        let said = self.said().into_iter().filter(|call| call["ok"] == false);
        said.map(|call| call["error"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Waits until so many more have succeeded.
    #[track_caller]
    pub(crate) fn go_on(&self, more: usize) {
        let before = self.succeeded();
        until(&format!("calls go on: {}", self.running.err()), || {
            (self.succeeded() >= before + more).then_some(())
        });
    }
}
