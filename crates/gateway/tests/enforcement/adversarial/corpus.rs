//! The corpus as it is written: `tests/adversarial/KIND.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// All cases of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kind {
    pub(super) kind: String,
    /// What is attacked, for readers.
    pub(super) about: String,
    pub(super) cases: Vec<Case>,
}

/// One attack, and its twin: the same without what makes it one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// The kind and a number.
    pub(super) id: String,
    /// What the attacker does.
    pub(super) attack: String,
    /// The code that it must not get past: `CRATE/PATH::FUNCTION`, below `crates/*/src`.
    pub(super) reaches: String,
    #[serde(default)]
    pub(super) request: Request,
    /// See [`Step::answer`].
    #[serde(default)]
    pub(super) answer: Vec<Value>,
    /// See [`Step::lists`].
    #[serde(default)]
    pub(super) lists: Vec<Value>,
    pub(super) expect: Expect,
    /// What follows in the same session.
    #[serde(default)]
    pub(super) then: Vec<Step>,
    /// The members of the case that are different, or absent where they are null.
    pub(super) twin: Value,
    /// Whether the tools of the server are put right again afterwards.
    #[serde(default)]
    pub(super) restores: bool,
}

/// One request, what the tool server answers to it, and what must come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    #[serde(default)]
    pub(super) request: Request,
    /// The lines that the tool server answers with. Without any it answers as it should.
    #[serde(default)]
    pub(super) answer: Vec<Value>,
    /// The lines that it answers `tools/list` with from now on.
    #[serde(default)]
    pub(super) lists: Vec<Value>,
    pub(super) expect: Expect,
}

/// A request of the agent; what is absent is what an honest client sends.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Request {
    /// POST where it says nothing.
    pub(super) verb: Option<String>,
    pub(super) path: Option<String>,
    pub(super) method: Option<String>,
    /// The id, as JSON is written; an empty text leaves it out.
    pub(super) id: Option<String>,
    /// The tool.
    pub(super) name: Option<String>,
    /// The arguments, as they are written.
    pub(super) arguments: Option<String>,
    /// The members of `params` in the place of name and arguments, as they are written.
    pub(super) params: Option<String>,
    /// The members of `_meta` in the place of delegation and proof, as they are written.
    pub(super) meta: Option<String>,
    /// The whole body, as it is written.
    pub(super) body: Option<String>,
    /// Headers beside those that mirror the body; null takes one away.
    pub(super) headers: BTreeMap<String, Value>,
    /// Whether it is of the era before 2026-07-28, in a transport session.
    pub(super) legacy: bool,
    pub(super) proven: Proven,
}

/// What the agent proves; what is absent is what it sends.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Proven {
    pub(super) tool: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) prompt: Option<String>,
    pub(super) arguments: Option<Value>,
    /// Whether no step of the mission is cited.
    pub(super) stepless: bool,
}

/// What must come of a request.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expect {
    /// The reason of the decision in the log; nothing is enrolled where it is absent.
    pub(super) decision: Option<String>,
    /// How the allowed call ended, in the log; `completed` where it says nothing.
    pub(super) outcome: Option<String>,
    /// 200 where it says nothing.
    pub(super) status: Option<u16>,
    /// The code of the error that the agent is told; none where it is absent.
    pub(super) code: Option<i64>,
    /// A part of the message of that error.
    pub(super) says: Option<String>,
    /// The reason that the agent is told; that of the decision where it says nothing.
    pub(super) reason: Option<String>,
    /// Whether the tool server receives it; where it says nothing, if it is allowed.
    pub(super) received: Option<bool>,
    /// Parts of what the tool server receives.
    pub(super) receives: Vec<String>,
    /// What is in nothing that it receives.
    pub(super) lacks: Vec<String>,
    /// Parts of what the agent hears.
    pub(super) hears: Vec<String>,
    /// What the agent does not hear.
    pub(super) deaf: Vec<String>,
}

pub(super) const ALLOWED: &str = "permit";

impl Expect {
    pub(super) fn is_allowed(&self) -> bool {
        self.decision.as_deref() == Some(ALLOWED)
    }

    pub(super) fn is_received(&self) -> bool {
        self.received.unwrap_or(self.is_allowed())
    }
}

impl Case {
    /// The steps of the attack.
    pub(super) fn steps(&self) -> Vec<Step> {
        let first = Step {
            request: self.request.clone(),
            answer: self.answer.clone(),
            lists: self.lists.clone(),
            expect: self.expect.clone(),
        };
        std::iter::once(first)
            .chain(self.then.iter().cloned())
            .collect()
    }

    /// The steps of the twin.
    pub(super) fn twin_steps(&self, written: &Value) -> Vec<Step> {
        let mut merged = written.clone();
        merge(&mut merged, &self.twin);
        merged["twin"] = Value::Null;
        let twin: Self = serde_json::from_value(merged)
            .unwrap_or_else(|error| panic!("{}: twin: {error}", self.id));
        twin.steps()
    }
}

/// Requests are changed member by member, everything else as a whole.
fn merge(case: &mut Value, twin: &Value) {
    for (name, value) in twin.as_object().unwrap() {
        match (name.as_str(), value) {
            (_, Value::Null) => drop(case.as_object_mut().unwrap().remove(name)),
            ("request", Value::Object(members)) => {
                for (member, value) in members {
                    match value {
                        Value::Null => {
                            drop(case["request"].as_object_mut().unwrap().remove(member))
                        }
                        value => case["request"][member] = value.clone(),
                    }
                }
            }
            (name, value) => case[name] = value.clone(),
        }
    }
}

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adversarial")
}

/// The cases of a kind, and each as it is written.
pub(super) fn read(kind: &str) -> (Kind, Vec<Value>) {
    let file = folder().join(format!("{kind}.json"));
    let text = std::fs::read_to_string(&file).unwrap();
    let written: Value = serde_json::from_str(&text).unwrap();
    let read: Kind =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{kind}.json: {error}"));
    let cases = written["cases"].as_array().unwrap().clone();
    (read, cases)
}
