//! What the files and the registrations differ in.

use std::fmt::Write as _;

use chancery_api::server::{Agent, JudgedAgent, RegisterAgent};
use chancery_identity::RegistrationOwner;
use chancery_types::Digest;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A file's registration, as the server judged it.
pub(super) struct Wanted {
    pub(super) file: String,
    pub(super) request: RegisterAgent,
    pub(super) judged: JudgedAgent,
}

/// What is to be done, in this order, and what came of it.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    /// Tells this plan from others: of other files, or over other registrations.
    pub(super) digest: Digest,
    pub(super) owner: RegistrationOwner,
    pub(super) changes: Vec<Change>,
    pub(super) unchanged: Vec<String>,
    /// Agents of this owner that have no file, and stay because nobody asked to prune.
    pub(super) kept: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Action {
    Add,
    Change,
    Retire,
}

#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) action: Action,
    pub(super) agent_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    /// The entry that enrolled the registration which this is planned over; nothing is changed where it is
    /// another one by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entry: Option<u64>,
    pub(super) fields: Vec<Field>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Outcome>,
    #[serde(skip)]
    pub(super) request: Option<RegisterAgent>,
}

/// One member that differs; null where there is none.
#[derive(Debug, Serialize)]
pub(super) struct Field {
    name: String,
    from: Value,
    to: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Done { log_index: u64 },
    Failed { problem: String },
    NotDone,
}

impl Plan {
    pub(super) fn new(
        owner: &RegistrationOwner,
        wanted: Vec<Wanted>,
        mut known: Vec<Agent>,
        prune: bool,
    ) -> anyhow::Result<Self> {
        let (mut changes, mut unchanged, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for Wanted {
            file,
            request,
            judged,
        } in wanted
        {
            let place = known
                .iter()
                .position(|agent| agent.agent_id == judged.agent_id);
            let before = place.map(|place| known.swap_remove(place));
            let fields = differences(before.as_ref(), Some((&request, &judged)))?;
            if before.is_some() && fields.is_empty() {
                unchanged.push(judged.agent_id);
                continue;
            }
            changes.push(Change {
                action: before.as_ref().map_or(Action::Add, |_| Action::Change),
                agent_id: judged.agent_id,
                file: Some(file),
                entry: before.map(|agent| agent.log_index),
                fields,
                outcome: None,
                request: Some(request),
            });
        }
        changes.sort_by(|one, next| one.agent_id.cmp(&next.agent_id));
        known.sort_by(|one, next| one.agent_id.cmp(&next.agent_id));
        for agent in known {
            if agent.owner.as_ref() != Some(owner) {
                continue;
            }
            if !prune {
                kept.push(agent.agent_id);
                continue;
            }
            changes.push(Change {
                action: Action::Retire,
                fields: differences(Some(&agent), None)?,
                agent_id: agent.agent_id,
                file: None,
                entry: Some(agent.log_index),
                outcome: None,
                request: None,
            });
        }
        unchanged.sort();
        // Where the files are is nothing to the plan.
        let told = changes
            .iter()
            .map(|it| json!([it.action, it.agent_id, it.entry, it.fields]));
        let told = json!({ "changes": told.collect::<Vec<_>>(), "owner": owner });
        Ok(Self {
            digest: Digest::of(serde_json::to_vec(&told)?),
            owner: owner.clone(),
            changes,
            unchanged,
            kept,
        })
    }

    /// The plan for people, and what came of it.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for change in &self.changes {
            change.write(&mut text);
        }
        for agent in &self.kept {
            let _ = writeln!(text, "! {agent}: no file registers it; --prune retires it");
        }
        let count = |action| self.changes.iter().filter(|it| it.action == action).count();
        let (add, change) = (count(Action::Add), count(Action::Change));
        let (retire, same) = (count(Action::Retire), self.unchanged.len());
        let _ = writeln!(
            text,
            "{add} to add, {change} to change, {retire} to retire, {same} unchanged\nplan {}",
            self.digest
        );
        for change in &self.changes {
            let agent = &change.agent_id;
            let _ = match &change.outcome {
                None => continue,
                Some(Outcome::Done { log_index }) => {
                    let done = match change.action {
                        Action::Add => "added",
                        Action::Change => "changed",
                        Action::Retire => "retired",
                    };
                    writeln!(text, "{done} {agent}, entry {log_index}")
                }
                Some(Outcome::Failed { problem }) => writeln!(text, "failed {agent}: {problem}"),
                Some(Outcome::NotDone) => writeln!(text, "not done {agent}"),
            };
        }
        text
    }
}

impl Change {
    fn write(&self, text: &mut String) {
        let sign = match self.action {
            Action::Add => '+',
            Action::Change => '~',
            Action::Retire => '-',
        };
        let _ = write!(text, "{sign} {}", self.agent_id);
        let _ = match &self.file {
            Some(file) => writeln!(text, " ({file})"),
            None => writeln!(text),
        };
        for Field { name, from, to } in &self.fields {
            let _ = match (from, to) {
                (Value::Null, to) => writeln!(text, "    {name}: {to}"),
                (from, Value::Null) => writeln!(text, "    {name}: {from} -> nothing"),
                (from, to) => writeln!(text, "    {name}: {from} -> {to}"),
            };
        }
    }
}

/// Every member that is not the same before and after. All that a registration says is compared, so that
/// a member that it learns is compared as well.
fn differences(
    before: Option<&Agent>,
    after: Option<(&RegisterAgent, &JudgedAgent)>,
) -> anyhow::Result<Vec<Field>> {
    let mut before = match before {
        Some(agent) => {
            let own = ["agent_id", "manifest_id", "expires_at", "log_index"];
            members(agent, &own, agent.manifest_digest)?
        }
        None => Map::new(),
    };
    let after = match after {
        Some((request, judged)) => members(
            request,
            &["manifest", "expected", "adopt"],
            judged.manifest_digest,
        )?,
        None => Map::new(),
    };
    let mut fields = Vec::new();
    for (name, to) in after {
        let from = before.remove(&name).unwrap_or(Value::Null);
        if from != to {
            fields.push(Field { name, from, to });
        }
    }
    let gone = before.into_iter().map(|(name, from)| Field {
        name,
        from,
        to: Value::Null,
    });
    fields.extend(gone);
    fields.sort_by(|one, next| one.name.cmp(&next.name));
    Ok(fields)
}

/// The members of a registration beside those of its request or its row alone: the manifest by its
/// digest, the terms each for itself, lists in one order.
fn members(
    value: &impl Serialize,
    own: &[&str],
    manifest: Digest,
) -> anyhow::Result<Map<String, Value>> {
    let Value::Object(mut members) = serde_json::to_value(value)? else {
        anyhow::bail!("a registration is an object");
    };
    members.retain(|name, _| !own.contains(&name.as_str()) && name != "manifest_digest");
    if let Some(Value::Object(terms)) = members.remove("terms") {
        members.extend(terms);
    }
    members.insert("manifest".to_owned(), json!(manifest));
    for value in members.values_mut() {
        if let Value::Array(items) = value {
            items.sort_by_key(ToString::to_string);
        }
    }
    Ok(members)
}
