//! The report: one HTML file that opens without a network.

use std::path::Path;

use anyhow::Context as _;
use askama::Template as _;

use super::story::{Step, Story};

/// Most decisions that the report lists one by one.
const MOST_ACTIONS: usize = 60;

/// One decision, as the report shows it.
#[derive(Debug, Clone)]
pub(super) struct ActionRow {
    pub(super) index: u64,
    pub(super) instance: String,
    pub(super) tool: String,
    pub(super) ruling: String,
    pub(super) reason: String,
    pub(super) outcome: String,
}

#[derive(askama::Template)]
#[template(path = "report.html")]
struct Report<'a> {
    marks: String,
    steps: &'a [Step],
    actions: &'a [ActionRow],
    omitted: usize,
    why: &'a str,
    verification: &'a str,
}

/// Writes the report. Of the decisions it lists all that were not plainly allowed, and the first
/// of the others.
pub(super) fn write(
    path: &Path,
    story: &Story,
    actions: &[ActionRow],
    why: &str,
    verification: &str,
) -> anyhow::Result<()> {
    let telling = actions.iter().filter(|action| action.reason != "permit");
    let plain = actions.iter().filter(|action| action.reason == "permit");
    let mut listed: Vec<ActionRow> = telling.chain(plain).take(MOST_ACTIONS).cloned().collect();
    listed.sort_by_key(|action| action.index);
    let report = Report {
        marks: format!("This run is: {}", story.marks.join(", ")),
        steps: &story.steps,
        actions: &listed,
        omitted: actions.len().saturating_sub(listed.len()),
        why,
        verification,
    };
    let html = report.render().context("report")?;
    std::fs::write(path, html).with_context(|| path.display().to_string())
}
