//! `chancery policy test`: the tables of tests in a bundle.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use chancery_policy::{Cause, Decision, Expected, Files, Outcome, Table};
use chancery_session::Rulebook;
use chancery_types::Digest;
use serde::Serialize;

use super::{read, to_files};
use crate::args::Format;
use crate::output;

pub(super) fn run(format: Format, folder: &Path) -> anyhow::Result<ExitCode> {
    let files = to_files(read(folder)?);
    let bundle = Rulebook::load(&files).with_context(|| folder.display().to_string())?;
    let tested = tested(folder, &bundle, &files)?;
    ensure!(
        tested.rows > 0,
        "{}: no tests: put a table into tests/NAME.json",
        folder.display()
    );
    output::result(format, &tested, || tested.shown(folder))?;
    Ok(match tested.failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(crate::FAILED),
    })
}

/// Fails where a row of these files, which are the bundle's, is decided otherwise than it says.
pub(super) fn require(folder: &Path, bundle: &Rulebook, files: &Files) -> anyhow::Result<()> {
    let failures = tested(folder, bundle, files)?.failures;
    if let Some(failure) = failures.first() {
        anyhow::bail!(
            "{}: {} of its tests fail, the first at {}: see `chancery policy test`",
            folder.display(),
            failures.len(),
            failure.place
        );
    }
    Ok(())
}

/// What the tests of a bundle came to.
#[derive(Debug, Serialize)]
struct Tested {
    digest: Digest,
    tables: usize,
    rows: usize,
    failures: Vec<Failure>,
    /// Policies that determine no row.
    untested: Vec<String>,
}

/// A row that is decided otherwise than it says.
#[derive(Debug, Serialize)]
struct Failure {
    /// File, line and column.
    place: String,
    row: String,
    expected: Expected,
    decided: Decision,
}

fn tested(folder: &Path, bundle: &Rulebook, files: &Files) -> anyhow::Result<Tested> {
    let tables = Table::read(files).with_context(|| folder.display().to_string())?;
    let mut failures = Vec::new();
    let mut determining = BTreeSet::new();
    for row in tables.iter().flat_map(Table::rows) {
        let (decided, met) = row.run(bundle);
        determining.extend(decided.determining.iter().cloned());
        if !met {
            failures.push(Failure {
                place: row.place().to_string(),
                row: row.name().to_owned(),
                expected: row.expected().clone(),
                decided,
            });
        }
    }
    Ok(Tested {
        digest: bundle.digest(),
        tables: tables.len(),
        rows: tables.iter().map(|table| table.rows().len()).sum(),
        failures,
        untested: bundle
            .policy_ids()
            .filter(|id| !determining.contains(*id))
            .map(str::to_owned)
            .collect(),
    })
}

impl Tested {
    fn shown(&self, folder: &Path) -> String {
        let mut text = format!(
            "{}: {} rows in {} tables, {} decided otherwise than they say\n",
            folder.display(),
            self.rows,
            self.tables,
            self.failures.len()
        );
        if !self.failures.is_empty() {
            let rows = self.failures.iter().map(|failure| {
                let Failure {
                    place,
                    row,
                    expected,
                    decided,
                } = failure;
                [
                    place.clone(),
                    row.clone(),
                    answer(expected.outcome, expected.cause, &expected.by),
                    answer(decided.outcome, Some(decided.cause), &decided.determining),
                ]
            });
            text.push('\n');
            text.push_str(&output::table(
                ["place", "row", "expected", "decided"],
                rows,
            ));
            text.push('\n');
        }
        if !self.untested.is_empty() {
            text.push_str("no row is determined by: ");
            text.push_str(&self.untested.join(", "));
            text.push('\n');
        }
        text
    }
}

/// An answer in one line.
pub(super) fn answer<'a>(
    outcome: Outcome,
    cause: Option<Cause>,
    by: impl IntoIterator<Item = &'a String>,
) -> String {
    let outcome = outcome.name();
    let cause = cause.map(|cause| format!(" ({})", cause.name()));
    let by: Vec<&str> = by.into_iter().map(String::as_str).collect();
    let by = match by.as_slice() {
        [] => "nothing".to_owned(),
        by => by.join(", "),
    };
    format!("{outcome}{} by {by}", cause.unwrap_or_default())
}
