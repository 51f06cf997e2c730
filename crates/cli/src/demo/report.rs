//! The report: one HTML file that opens without a network.

use std::path::Path;

use anyhow::Context as _;
use askama::Template as _;
use chancery_evidence::{AxisVerdict, Report as Verification};

use super::story::{Step, Story};

/// Most decisions that the report lists one by one.
const MOST_ACTIONS: usize = 40;

/// How many of them policy plainly permitted.
const MOST_PLAIN: usize = 12;

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

/// What the evidence alone yields.
#[derive(Debug)]
pub(super) struct Proven {
    /// The picture of the session: SVG in which all that others wrote is escaped.
    pub(super) graph: String,
    pub(super) actions: Vec<ActionRow>,
    /// The story of one action.
    pub(super) why: String,
    pub(super) verification: Verification,
}

#[derive(askama::Template)]
#[template(path = "report.html")]
struct Report<'a> {
    went_well: bool,
    summary: String,
    marks: String,
    steps: &'a [Step],
    actions: &'a [ActionRow],
    omitted: usize,
    graph: &'a str,
    facts: Vec<Fact<'a>>,
    axes: Vec<(String, &'static str)>,
    notes: Vec<(&'static str, &'a str)>,
}

/// One part of the story of an action.
struct Fact<'a> {
    title: &'a str,
    lines: Vec<(&'a str, &'a str)>,
}

/// Writes the report. Of the decisions it lists all that were not plainly allowed, and the first
/// of the others.
pub(super) fn write(path: &Path, story: &Story, proven: &Proven) -> anyhow::Result<()> {
    let actions = &proven.actions;
    let telling = actions.iter().filter(|action| action.reason != "permit");
    let plain = actions.iter().filter(|action| action.reason == "permit");
    let plain = plain.take(MOST_PLAIN);
    let mut listed: Vec<ActionRow> = telling.chain(plain).take(MOST_ACTIONS).cloned().collect();
    listed.sort_by_key(|action| action.index);
    let verification = &proven.verification;
    let axes = verification.axes.iter().map(|axis| {
        let verdict = match axis.verdict {
            AxisVerdict::Holds => "holds",
            AxisVerdict::Fails => "FAILS",
            AxisVerdict::Unproven => "unproven",
            AxisVerdict::Erased => "erased",
            AxisVerdict::Unenforced => "UNENFORCED",
        };
        (axis.axis.to_string(), verdict)
    });
    let notes = verification.notes.iter();
    let report = Report {
        went_well: story.went_well(),
        summary: story.summary(),
        marks: story.marks.join(", "),
        steps: &story.steps,
        actions: &listed,
        omitted: actions.len().saturating_sub(listed.len()),
        graph: &proven.graph,
        facts: facts(&proven.why),
        axes: axes.collect(),
        notes: notes
            .map(|note| (note.value.name(), note.about.as_str()))
            .collect(),
    };
    let html = report.render().context("report")?;
    std::fs::write(path, html).with_context(|| path.display().to_string())
}

/// The parts of a story: a title, and below it lines of a name and a text.
fn facts(why: &str) -> Vec<Fact<'_>> {
    let mut facts: Vec<Fact<'_>> = Vec::new();
    for line in why.lines() {
        match line.strip_prefix("   ") {
            Some(line) => {
                let (name, text) = line.split_once(' ').unwrap_or((line, ""));
                // A name of two words ends before the second column.
                let (name, text) = match line.split_at_checked(12) {
                    Some((name, text)) if text.starts_with(' ') => (name, text),
                    _ => (name, text),
                };
                if let Some(fact) = facts.last_mut() {
                    fact.lines.push((name.trim(), text.trim()));
                }
            }
            None if !line.is_empty() => facts.push(Fact {
                title: line,
                lines: Vec::new(),
            }),
            None => {}
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_has_its_parts_and_their_lines() {
        let why = "exe_1 in ses_1\n   evidence     verified\n\n5. Is it valid\n   chain until  2026\n   because\n";
        let facts = facts(why);
        let titles: Vec<&str> = facts.iter().map(|fact| fact.title).collect();
        assert_eq!(titles, ["exe_1 in ses_1", "5. Is it valid"]);
        assert_eq!(facts[0].lines, [("evidence", "verified")]);
        assert_eq!(facts[1].lines, [("chain until", "2026"), ("because", "")]);
    }

    #[test]
    fn the_report_names_nothing_outside_of_itself() {
        let template = include_str!("../../templates/report.html");
        for reference in [
            "http:", "https:", "//", "src=", "href=", "url(", "@import", "<script",
        ] {
            assert!(!template.contains(reference), "{reference}");
        }
        assert!(template.contains("default-src 'none'"));
    }
}
