//! `chancery policy diff`: what another bundle would have decided otherwise.

use std::collections::BTreeMap;
use std::process::ExitCode;

use chancery_policy::{Decision, Question};
use chancery_session::Rulebook;
use chancery_types::Digest;
use chancery_types::id::ExecutionId;
use serde::Serialize;

use super::test::answer;
use super::{load, recorded};
use crate::args::{Format, PolicyDiffArgs};
use crate::commands::DIFFERS;
use crate::deployment::read_trust;
use crate::output;

/// What changes over recorded decisions.
#[derive(Debug, Serialize)]
struct Compared {
    old: Digest,
    new: Digest,
    /// Decisions of the evidence.
    decisions: u64,
    /// Those in which policy was asked: what is compared.
    compared: u64,
    changes: Vec<Change>,
    /// What each has observed and not enforced, where they differ in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    observe: Option<Observed>,
}

/// What each bundle has observed; none where it enforces all.
#[derive(Debug, Serialize)]
struct Observed {
    was: Option<String>,
    becomes: Option<String>,
}

impl Observed {
    fn of(old: &Rulebook, new: &Rulebook) -> Option<Self> {
        let (was, becomes) = (old.sessions().observe(), new.sessions().observe());
        (was != becomes).then(|| Self {
            was: was.map(ToString::to_string),
            becomes: becomes.map(ToString::to_string),
        })
    }

    fn shown(&self) -> String {
        let text = |one: &Option<String>| match one {
            Some(what) => format!("UNENFORCED: {what}"),
            None => "enforced".to_owned(),
        };
        format!("{} becomes {}\n", text(&self.was), text(&self.becomes))
    }
}

/// Calls of one tool for which the outcome changes in the same way.
#[derive(Debug, Serialize)]
struct Change {
    /// `server/tool`, `server/uri` or `server/prompt`.
    target: String,
    was: Decision,
    becomes: Decision,
    executions: Vec<ExecutionId>,
}

pub(super) fn run(format: Format, args: &PolicyDiffArgs) -> anyhow::Result<ExitCode> {
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    let trust = read_trust(&args.trust)?;
    let mut compared = Compared {
        old: old.digest(),
        new: new.digest(),
        decisions: 0,
        compared: 0,
        changes: Vec::new(),
        observe: Observed::of(&old, &new),
    };
    let mut changes: BTreeMap<String, Change> = BTreeMap::new();
    for evidence in &args.evidence {
        let recorded = recorded(evidence, &trust)?;
        compared.decisions += recorded.decisions;
        for asked in recorded.asked {
            compared.compared += 1;
            let request = asked.question.request();
            let (was, becomes) = (old.decide(&request), new.decide(&request));
            if was.outcome == becomes.outcome {
                continue;
            }
            let target = target(&asked.question);
            let key = format!("{target} {} {}", shown(&was), shown(&becomes));
            let change = changes.entry(key).or_insert_with(|| Change {
                target,
                was,
                becomes,
                executions: Vec::new(),
            });
            change.executions.push(asked.execution);
        }
    }
    compared.changes = changes.into_values().collect();
    output::result(format, &compared, || compared.shown())?;
    Ok(
        match compared.changes.is_empty() && compared.observe.is_none() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(DIFFERS),
        },
    )
}

fn target(question: &Question) -> String {
    let target = question.request().target;
    format!("{}/{}", target.server, target.name)
}

fn shown(decision: &Decision) -> String {
    answer(
        decision.outcome,
        Some(decision.cause),
        &decision.determining,
    )
}

impl Compared {
    fn shown(&self) -> String {
        let changed: usize = self.changes.iter().map(|one| one.executions.len()).sum();
        let mut text = format!(
            "{} decisions, policy was asked in {}, {changed} are decided otherwise\n",
            self.decisions, self.compared
        );
        if let Some(observe) = &self.observe {
            text.push_str(&observe.shown());
        }
        if !self.changes.is_empty() {
            let rows = self.changes.iter().map(|change| {
                let example = change.executions.first();
                [
                    change.executions.len().to_string(),
                    change.target.clone(),
                    shown(&change.was),
                    shown(&change.becomes),
                    example.map(ToString::to_string).unwrap_or_default(),
                ]
            });
            text.push('\n');
            let header = ["calls", "of", "was", "becomes", "such as"];
            text.push_str(&output::table(header, rows));
        }
        text
    }
}
