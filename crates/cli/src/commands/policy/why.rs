//! `chancery policy why`: how a bundle decides one call, and what each policy said to it.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;

use anyhow::Context as _;
use chancery_policy::{Explanation, Question, Row, Said, Table};
use chancery_session::Rulebook;
use chancery_types::Digest;
use serde::Serialize;

use super::test::answer;
use super::{load, read, recorded, to_files};
use crate::args::{Format, PolicyWhyArgs};
use crate::deployment::read_trust;
use crate::output;

/// Most bytes of a file with a call.
const MAX_REQUEST_BYTES: u64 = 1 << 20;

/// How one call is decided.
#[derive(Debug, Serialize)]
struct Told {
    policy: Digest,
    /// What the gateway decided then, chain and mission and limits included.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<String>,
    request: Question,
    #[serde(flatten)]
    explanation: Explanation,
}

pub(super) fn run(format: Format, args: &PolicyWhyArgs) -> anyhow::Result<()> {
    let (bundle, recorded, request) = asked(args)?;
    let told = Told {
        policy: bundle.digest(),
        recorded,
        explanation: bundle.explain(&request.request())?,
        request,
    };
    output::result(format, &told, || told.shown())
}

/// The bundle, what the gateway said to a recorded call, and the call.
fn asked(args: &PolicyWhyArgs) -> anyhow::Result<(Rc<Rulebook>, Option<String>, Question)> {
    let folder = args.folder.as_deref();
    let bundle = folder.map(load).transpose()?.map(Rc::new);
    let question = &args.question;
    if let Some(((execution, evidence), trust)) = question
        .execution
        .zip(args.evidence.as_ref())
        .zip(args.trust.as_ref())
    {
        let mut recorded = recorded(evidence, &read_trust(trust)?)?;
        let found = recorded
            .asked
            .iter()
            .position(|one| one.execution == execution)
            .with_context(|| {
                format!(
                    "{execution}: policy was not asked for it here: see `chancery why {execution}`"
                )
            })?;
        let found = recorded.asked.swap_remove(found);
        let decided = || recorded.bundles.get(&found.policy).map(Rc::clone);
        let bundle = bundle.or_else(decided).context("the bundle that decided")?;
        let mark = if found.unenforced { ", unenforced" } else { "" };
        let said = format!("{} ({}){mark}", found.ruling.name(), found.reason);
        return Ok((bundle, Some(said), found.question));
    }
    let bundle = bundle.context("which bundle?")?;
    if let Some(file) = &question.request {
        let mut bytes = Vec::new();
        crate::commands::open(file, MAX_REQUEST_BYTES)?.read_to_end(&mut bytes)?;
        let parsed = Question::parse(&bytes);
        return Ok((
            bundle,
            None,
            parsed.with_context(|| file.display().to_string())?,
        ));
    }
    let name = question.row.as_deref().unwrap_or_default();
    let row = folder.map(|folder| row(folder, name)).transpose()?;
    let row = row.context("which bundle?")?;
    Ok((bundle, None, row.question().clone()))
}

fn row(folder: &Path, name: &str) -> anyhow::Result<Row> {
    let tables = Table::read(&to_files(read(folder)?));
    let tables = tables.with_context(|| folder.display().to_string())?;
    let mut rows = tables.iter().flat_map(Table::rows);
    let row = rows.find(|row| row.name() == name);
    row.cloned()
        .with_context(|| format!("{}: no row {name:?} in its tests", folder.display()))
}

impl Told {
    fn shown(&self) -> String {
        let Explanation {
            decision,
            unfit,
            policies,
        } = &self.explanation;
        let by = answer(
            decision.outcome,
            Some(decision.cause),
            &decision.determining,
        );
        let mut text = format!("{by}\n");
        if let Some(recorded) = &self.recorded {
            let _ = writeln!(text, "the gateway decided: {recorded}");
        }
        if let Some(unfit) = unfit {
            let _ = writeln!(
                text,
                "the call has another shape than bundle.json declares: {unfit}"
            );
        }
        if policies.is_empty() && unfit.is_none() {
            text.push_str("no policy speaks of this\n");
        }
        for account in policies {
            let determines = decision.determining.contains(&account.id);
            let (id, effect, place) = (&account.id, account.effect.name(), &account.place);
            let _ = writeln!(text, "\n{id} ({effect}, {place}): {}", said(&account.said));
            match &account.said {
                Said::False(conditions) => {
                    for condition in conditions {
                        let _ = writeln!(text, "    {condition}");
                    }
                }
                Said::Matches | Said::Fails(_) if determines => {
                    for line in account.text.lines() {
                        let _ = writeln!(text, "    {line}");
                    }
                }
                Said::Matches | Said::Fails(_) => {}
            }
        }
        text
    }
}

fn said(said: &Said) -> String {
    match said {
        Said::Matches => "matches".to_owned(),
        Said::False(conditions) if conditions.len() == 1 => {
            "does not match, this is false".to_owned()
        }
        Said::False(_) => "does not match, these are false".to_owned(),
        Said::Fails(error) => format!("cannot be evaluated: {error}"),
    }
}
