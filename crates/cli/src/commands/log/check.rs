//! `chancery log check`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chancery_audit::LogSucceed;
use chancery_crypto::AwsLc;
use chancery_evidence::log::witness_policy;
use chancery_journal::Reader;
use chancery_tlog::{Cosigned, LogFinding, LogPolicy, Origin, verify_checkpoint_cosigned};
use serde::Serialize;

use super::completeness::Completeness;
use super::keys;
use crate::args::Format;
use crate::deployment::read_trust;
use crate::output;

#[derive(Serialize)]
struct Checked {
    dir: PathBuf,
    origin: String,
    size: u64,
    root: String,
    signatures: &'static str,
    /// The log that it goes on from last, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    succeeds: Option<LogSucceed>,
    /// Only with a trust document.
    #[serde(flatten)]
    witnessed: Option<Witnessed>,
    findings: Vec<Found>,
}

/// Who of the trust document's witnesses cosigned.
#[derive(Debug, Default, Serialize)]
pub(super) struct Witnessed {
    /// Their names.
    witnesses: Vec<String>,
    /// Whether they are the quorum.
    witnessed: bool,
}

impl Witnessed {
    /// Which of a policy's witnesses these are.
    pub(super) fn of(policy: &LogPolicy, cosigned: &Cosigned) -> Self {
        let name = |place: usize| {
            let witness = policy.witnesses().get(place)?;
            Some(String::from_utf8_lossy(witness.name()).into_owned())
        };
        let by = cosigned.by().iter();
        Self {
            witnesses: by.filter_map(|(place, _)| name(*place)).collect(),
            witnessed: cosigned.is_met(),
        }
    }

    /// What it adds to a line.
    pub(super) fn shown(&self) -> String {
        match (self.witnessed, self.witnesses.join(", ")) {
            (true, names) => format!("; witnessed by {names}"),
            (false, names) if names.is_empty() => "; unwitnessed".to_owned(),
            (false, names) => format!("; unwitnessed: cosigned by {names} alone"),
        }
    }
}

/// A finding as it is told.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    pub(super) file: String,
    pub(super) reason: &'static str,
    pub(super) text: String,
}

impl From<&LogFinding> for Found {
    fn from(finding: &LogFinding) -> Self {
        Self {
            file: finding.file.to_string(),
            reason: finding.reason.code(),
            text: finding.to_string(),
        }
    }
}

impl Found {
    /// Whether it is about what an entry says, and not about a file.
    fn is_entry(&self) -> bool {
        self.file.starts_with("entry ")
    }

    /// What is wrong, without the file.
    fn why(&self) -> &str {
        let text = self.text.split_once(": ");
        text.map_or(self.text.as_str(), |(_, why)| why)
    }
}

/// Findings as a table, one line each.
pub(super) fn table(findings: &[Found]) -> String {
    let rows = findings.iter().map(|found| {
        [
            found.file.clone(),
            found.reason.to_owned(),
            found.why().to_owned(),
        ]
    });
    output::table(["file", "reason", "why"], rows)
}

/// Recomputes the log; with a trust document, verifies who signed it.
pub(super) fn run(format: Format, reader: &Reader, trust: Option<&Path>) -> anyhow::Result<()> {
    let dir = reader.dir();
    let Some((note, checkpoint)) = reader.checkpoint()? else {
        bail!("{}: no checkpoint is published yet", dir.display());
    };
    let bar = super::bar()?;
    bar.set_length(checkpoint.size);
    let mut completeness = Completeness::whole();
    let recomputed = reader.recompute(&checkpoint, |index, entry| {
        bar.set_position(index + 1);
        completeness.take(index, entry);
    });
    bar.finish_and_clear();
    let succeeds = completeness.succeeds.clone();
    let mut findings: Vec<Found> = recomputed?.findings.iter().map(Found::from).collect();
    if findings.is_empty() {
        let (incomplete, malformed, _) = completeness.done();
        if let Some((index, error)) = malformed {
            return Err(error).with_context(|| format!("{}: entry {index}", dir.display()));
        }
        findings = incomplete;
    }
    let witnessed = trust.map(|file| signed(file, &checkpoint.origin, note.as_bytes(), dir));
    let witnessed = witnessed.transpose()?;
    let signatures = match &witnessed {
        None => "not checked: self-asserted without --trust",
        Some(_) => "Ed25519 and ML-DSA-44 verified",
    };
    let checked = Checked {
        dir: dir.to_owned(),
        origin: checkpoint.origin.to_string(),
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        signatures,
        succeeds,
        witnessed,
        findings,
    };
    output::result(format, &checked, || match checked.findings.as_slice() {
        [] => {
            let witnessed = checked.witnessed.as_ref().map(Witnessed::shown);
            let succeeds = checked.succeeds.as_ref().map(|succeed| {
                format!(
                    "; goes on from {} at {} entries, {} missing",
                    succeed.log,
                    succeed.size,
                    succeed.signed.saturating_sub(succeed.size)
                )
            });
            format!(
                "{}: {} entries, every tile recomputed, root {}; signatures: {signatures}{}{}",
                checked.origin,
                checked.size,
                checked.root,
                witnessed.unwrap_or_default(),
                succeeds.unwrap_or_default()
            )
        }
        findings => table(findings),
    })?;
    let Some(first) = checked.findings.first() else {
        return Ok(());
    };
    let others = match checked.findings.len() {
        1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    let (file, why) = (dir.join(&first.file), first.why());
    if first.is_entry() {
        bail!(
            "{}: {}: {why}{others}; its keys signed that",
            dir.display(),
            first.file
        );
    }
    bail!(
        "{}: {why}{others}; restore it from a copy of this log",
        file.display()
    )
}

/// Verifies who signed the checkpoint, and says who cosigned it.
fn signed(file: &Path, origin: &Origin, note: &[u8], dir: &Path) -> anyhow::Result<Witnessed> {
    let trust = read_trust(file)?;
    let keys = keys::named(&trust, file, origin)?;
    let policy = witness_policy(&trust)?;
    let (_, cosigned) = verify_checkpoint_cosigned(note, &keys, policy.as_ref(), &AwsLc)
        .with_context(|| dir.join("checkpoint").display().to_string())?;
    Ok(match &policy {
        Some(policy) => Witnessed::of(policy, &cosigned),
        None => Witnessed::default(),
    })
}
