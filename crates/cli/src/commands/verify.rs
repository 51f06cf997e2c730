//! `chancery verify`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use chancery_crypto::AwsLc;
use chancery_evidence::archive::MOST_ARCHIVE_BYTES;
use chancery_evidence::{
    AxisVerdict, ERASED_PATH, Files, INDEX_PATH, Report, ReportOutcome, TRUST_RECORD_PATH, verify,
};
use chancery_identity::trust::VerifiedTrust;
use chancery_server::Clock;
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Format, VerifyArgs};
use crate::deployment::read_trust;
use crate::output;

/// Most bytes of one file of evidence that are read.
const MAX_FILE_BYTES: u64 = 64 << 20;

pub(super) fn run(format: Format, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let files = read_evidence(&args.evidence)?;
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    let report = check(&files, trust.as_ref());
    output::result(format, &report, || shown(&report))?;
    Ok(if report.is_verified() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Verifies evidence now.
pub(crate) fn check(files: &Files, trust: Option<&VerifiedTrust>) -> Report {
    verify(files, trust, &AwsLc, Clock::machine())
}

/// The report for people: the outcome first, then the axes, then what broke.
pub(crate) fn shown(report: &Report) -> String {
    let outcome = match report.outcome {
        ReportOutcome::Verified => "verified",
        ReportOutcome::Unenforced if report.is_erased() => {
            "UNENFORCED: what is left holds, what is gone was erased, and calls went on though policy said otherwise"
        }
        ReportOutcome::Unenforced => {
            "UNENFORCED: everything holds, and calls went on though policy said otherwise"
        }
        ReportOutcome::Erased => "erased in part: what is left holds, what is gone was erased",
        ReportOutcome::Failed => "NOT VERIFIED",
        ReportOutcome::SelfAsserted => "self-asserted: NOTHING IS PROVEN without --trust",
    };
    let mut text = format!("{outcome}\n\n");
    let axes = report.axes.iter().map(|axis| {
        let findings = report
            .findings
            .iter()
            .filter(|finding| finding.axis == axis.axis)
            .count();
        let verdict = match axis.verdict {
            AxisVerdict::Holds => "holds",
            AxisVerdict::Fails => "FAILS",
            AxisVerdict::Unproven => "unproven",
            AxisVerdict::Erased => "erased",
            AxisVerdict::Unenforced => "UNENFORCED",
        };
        [
            axis.axis.to_string(),
            verdict.to_owned(),
            findings.to_string(),
        ]
    });
    text.push_str(&output::table(["axis", "verdict", "findings"], axes));
    text.push('\n');
    if !report.findings.is_empty() {
        let rows = report.findings.iter().map(|finding| {
            [
                finding.place.to_string(),
                finding.reason.to_owned(),
                finding.text.clone(),
            ]
        });
        text.push('\n');
        text.push_str(&output::table(["what broke", "reason", "why"], rows));
        text.push('\n');
    }
    if !report.notes.is_empty() {
        let rows = report
            .notes
            .iter()
            .map(|note| [note.value.name().to_owned(), note.about.clone()]);
        text.push('\n');
        text.push_str(&output::table(["rests on less than proof", "about"], rows));
        text.push('\n');
    }
    text
}

/// Reads evidence, a folder or one file.
pub(crate) fn read_evidence(evidence: &Path) -> anyhow::Result<Files> {
    let shown = || evidence.display().to_string();
    let files = match std::fs::metadata(evidence).with_context(shown)? {
        found if found.is_dir() => read_folder(evidence)?,
        found => {
            ensure!(
                found.is_file() && found.len() <= MOST_ARCHIVE_BYTES as u64,
                "{}: not a folder of evidence, nor a file of at most 2 GiB",
                evidence.display()
            );
            let archive = std::fs::read(evidence).with_context(shown)?;
            Files::from_archive(&archive).with_context(|| {
                format!(
                    "{}: not evidence in one file; `chancery evidence --pack` writes it",
                    evidence.display()
                )
            })?
        }
    };
    ensure!(
        files.paths().any(is_evidence),
        "{}: holds no evidence; copy a session's with `chancery evidence SESSION --out DIR`",
        evidence.display()
    );
    Ok(files)
}

/// Reads a folder of evidence. Symbolic links and special files are refused.
fn read_folder(folder: &Path) -> anyhow::Result<Files> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {pos} files read")?);
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let entry = entry.with_context(|| next.display().to_string())?;
            let path = entry.path();
            let shown = || path.display().to_string();
            let kind = entry.file_type().with_context(shown)?;
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            ensure!(
                kind.is_file(),
                "{}: neither a file nor a folder",
                path.display()
            );
            let size = entry.metadata().with_context(shown)?.len();
            ensure!(
                size <= MAX_FILE_BYTES,
                "{}: too large for evidence",
                path.display()
            );
            let name = path
                .strip_prefix(folder)?
                .to_str()
                .with_context(shown)?
                .to_owned();
            files.insert(name, std::fs::read(&path).with_context(shown)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(files)
}

/// Whether a name is of the layout of evidence.
fn is_evidence(name: &str) -> bool {
    [INDEX_PATH, TRUST_RECORD_PATH, ERASED_PATH].contains(&name)
        || ["objects/", "log/"]
            .iter()
            .any(|folder| name.starts_with(folder))
}
