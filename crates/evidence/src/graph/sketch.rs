//! A graph as a tree that can be drawn: from sessions over delegations and their holders down to
//! tools, with what is alike folded into one.

mod fold;
mod grow;
mod revocations;

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{CallKind, Verdict};
use chancery_types::Timestamp;
use serde_json::Value;

use super::Graph;

pub(super) use revocations::Revocations;

/// Most tools of one holder that are drawn one by one.
pub(super) const TOOLS: usize = 9;

/// Which of the folded stay unfolded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expand {
    /// None: the picture decides.
    #[default]
    Nothing,
    /// The stacks of these names, as a picture calls them.
    Stacks(BTreeSet<String>),
    /// All.
    Everything,
}

/// What is drawn. Nothing is left out: what is folded is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    pub(super) title: String,
    pub(super) basis: Vec<String>,
    pub(super) unknown: Vec<String>,
    pub(super) missions: Vec<Mission>,
    /// Whether every tool is drawn, of however many.
    pub(super) everything: bool,
    /// The names of stacks that were asked for and are not there.
    pub(super) missing: Vec<String>,
}

/// A session, or several that are alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mission {
    pub(super) stack: Option<String>,
    pub(super) sessions: Vec<String>,
    pub(super) opened: Option<(Timestamp, Timestamp)>,
    pub(super) ends: BTreeMap<String, u64>,
    /// What of the session or its mission was revoked.
    pub(super) revoked: Revocations,
    pub(super) policies: BTreeSet<String>,
    pub(super) missions: BTreeSet<String>,
    /// Who consented to its roots.
    pub(super) person: Option<Someone>,
    pub(super) branches: Vec<Branch>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Someone {
    pub(super) id: String,
    /// None where nothing discloses it.
    pub(super) name: Option<String>,
    pub(super) assurance: &'static str,
    pub(super) revoked: Revocations,
}

/// A delegation and its holder, or several that are alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) stack: Option<String>,
    /// What folding may not change.
    pub(super) path: String,
    pub(super) grants: Vec<Granted>,
    pub(super) depth: u64,
    pub(super) authorities: BTreeSet<String>,
    pub(super) expires: Option<(Timestamp, Timestamp)>,
    /// How many more links may stand below, at most.
    pub(super) further: Option<u64>,
    pub(super) unknown: Option<String>,
    /// What of the delegation was revoked.
    pub(super) revoked: Revocations,
    /// Whether something above it is revoked, and it with that.
    pub(super) fallen: bool,
    pub(super) agents: BTreeSet<String>,
    pub(super) instances: Vec<String>,
    pub(super) joined: u64,
    pub(super) ends: BTreeMap<String, u64>,
    pub(super) refused: BTreeMap<String, u64>,
    /// What of the holder, or of its agent, was revoked.
    pub(super) holder_revoked: Revocations,
    pub(super) tools: Vec<Use>,
    pub(super) below: Vec<Branch>,
}

/// One delegation by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) id: String,
    pub(super) name: String,
}

/// What the holders could do with a tool, and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) id: String,
    pub(super) server: String,
    pub(super) call: CallKind,
    pub(super) name: String,
    /// How many of the holders could.
    pub(super) could: u64,
    pub(super) forbidden: bool,
    pub(super) ask: bool,
    /// The different terms on which they could.
    pub(super) terms: BTreeSet<Terms>,
    /// How many of the holders did or tried.
    pub(super) callers: u64,
    pub(super) allowed: u64,
    pub(super) unenforced: u64,
    pub(super) denied: u64,
    pub(super) escalated: u64,
    pub(super) denied_for: BTreeMap<String, u64>,
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    pub(super) last: Option<Timestamp>,
    pub(super) approvals: BTreeMap<Asked, u64>,
}

/// What arguments are held to, and limits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Terms {
    pub(super) args: BTreeMap<String, String>,
    pub(super) limits: Option<String>,
}

/// What came of questions to people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    /// Who answered what; none where nobody did.
    pub(super) answer: Option<(String, Verdict)>,
    /// The request, where there is one alone.
    pub(super) approval: Option<String>,
}

impl Sketch {
    /// The sketch of a graph, folded until about sixty rows are left, or less where that is enough.
    pub fn new(graph: &Graph, expand: &Expand) -> Self {
        let missions = grow::grow(graph);
        let (missions, missing) = fold::fold(missions, expand);
        let basis = graph
            .basis
            .logs
            .iter()
            .map(|log| format!("{}: {} entries, root {}", log.origin, log.size, log.root));
        Self {
            title: format!("Who could do what, and who did: {}", graph.subject),
            basis: std::iter::once(graph.basis.verified.text().to_owned())
                .chain(basis)
                .collect(),
            unknown: graph.unknown.clone(),
            missions,
            everything: *expand == Expand::Everything,
            missing,
        }
    }

    /// The names of stacks that were to be expanded and that the picture does not have.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

impl Terms {
    /// Reads what a token says.
    pub(super) fn of(args: &BTreeMap<String, Value>, limits: Option<&Value>) -> Self {
        Self {
            args: args
                .iter()
                .map(|(name, held)| (name.clone(), held_to(held)))
                .collect(),
            limits: limits.map(limited),
        }
    }
}

/// A constraint in words.
fn held_to(constraint: &Value) -> String {
    let member = constraint
        .as_object()
        .and_then(|members| members.iter().next());
    let Some((kind, value)) = member else {
        return constraint.to_string();
    };
    let range = value.as_array().map(Vec::as_slice);
    match (kind.as_str(), range) {
        ("exact", _) => format!("= {value}"),
        ("one_of", Some(values)) if values.len() > 3 => format!("one of {}", values.len()),
        ("one_of", _) => format!("one of {value}"),
        ("path_prefix", _) => format!("below {value}"),
        ("cidr", _) => format!("within {value}"),
        ("int_range", Some([low, high])) => format!("{low} to {high}"),
        _ => format!("{kind} {value}"),
    }
}

fn limited(limits: &Value) -> String {
    let amount = |name: &str| limits.get(name).and_then(Value::as_u64);
    let calls = amount("max_calls").map(|most| format!("at most {most} calls"));
    let cost = amount("max_cost_micros").map(|most| {
        format!(
            "at most {}.{:06} in cost",
            most / 1_000_000,
            most % 1_000_000
        )
    });
    let said: Vec<String> = calls.into_iter().chain(cost).collect();
    said.join(", ")
}

/// The graph in words, one line for each box.
impl std::fmt::Display for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.title)?;
        let text = super::words::outline(self);
        for line in text.split('\n') {
            writeln!(f, "{}", super::shown::visible(line))?;
        }
        Ok(())
    }
}
