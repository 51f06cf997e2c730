//! `chancery log`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use chancery_audit::{Entry, leaf_hash};
use chancery_crypto::AwsLc;
use chancery_evidence::log::{log_keys, witness_policy};
use chancery_journal::Reader;
use chancery_tlog::verify_checkpoint_cosigned;
use serde::Serialize;
use serde_json::Value;

use crate::args::{Format, LogArgs, LogCommand, LogName};
use crate::deployment::{Layout, read_trust};
use crate::output;

pub(super) fn run(format: Format, args: LogArgs) -> anyhow::Result<ExitCode> {
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None => {
            let layout = Layout::open(&args.data.data)?;
            match args.log {
                LogName::Gateway => layout.gateway_log(),
                LogName::Server => layout.server_log(),
            }
        }
    };
    let reader = Reader::open(&dir)?;
    match args.command {
        LogCommand::Checkpoint => checkpoint(format, &reader)?,
        LogCommand::Entries { from, count } => entries(format, &reader, from, count)?,
        LogCommand::Check { trust } => check(format, &reader, &dir, trust.as_deref())?,
        LogCommand::Prove { index } => {
            let proof = reader.proof_file(index)?.to_string();
            output::result(format, &proof, || proof.clone())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Published {
    origin: String,
    size: u64,
    root: String,
    note: String,
}

fn checkpoint(format: Format, reader: &Reader) -> anyhow::Result<()> {
    let Some((note, checkpoint)) = reader.checkpoint()? else {
        bail!("{}: no checkpoint is published yet", reader.dir().display());
    };
    let published = Published {
        origin: checkpoint.origin.to_string(),
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        note: note.clone(),
    };
    output::result(format, &published, || note)
}

#[derive(Serialize)]
struct Listed {
    index: u64,
    leaf: chancery_types::Digest,
    entry: Value,
}

fn entries(format: Format, reader: &Reader, from: u64, count: u64) -> anyhow::Result<()> {
    let end = from.saturating_add(count).min(reader.size()?);
    let mut listed = Vec::new();
    for entry in reader.entries(from.min(end)..end)? {
        let (index, bytes) = entry?;
        let entry = serde_json::from_slice(&bytes).with_context(|| format!("entry {index}"))?;
        listed.push(Listed {
            index,
            leaf: leaf_hash(&bytes),
            entry,
        });
    }
    output::result(format, &listed, || {
        let rows = listed.iter().map(|line| {
            let text = |name: &str| {
                line.entry
                    .get(name)
                    .map(Value::to_string)
                    .unwrap_or_default()
            };
            let at = line
                .entry
                .get("at")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            [
                line.index.to_string(),
                chancery_types::Timestamp::from_micros(at).to_string(),
                text("type").trim_matches('"').to_owned(),
                text("body"),
            ]
        });
        output::table(["entry", "at", "type", "body"], rows)
    })
}

#[derive(Serialize)]
struct Checked {
    dir: PathBuf,
    origin: String,
    size: u64,
    root: String,
    signatures: &'static str,
    /// The witnesses of the trust document that cosigned; none without a trust document.
    #[serde(skip_serializing_if = "Option::is_none")]
    witnesses: Option<Vec<String>>,
    /// Whether they are the quorum.
    #[serde(skip_serializing_if = "Option::is_none")]
    witnessed: Option<bool>,
}

/// Recomputes the log; with a trust document, verifies who signed it.
fn check(format: Format, reader: &Reader, dir: &Path, trust: Option<&Path>) -> anyhow::Result<()> {
    reader.audit()?;
    let Some((note, checkpoint)) = reader.checkpoint()? else {
        bail!("{}: no checkpoint is published yet", dir.display());
    };
    for entry in reader.entries(0..checkpoint.size)? {
        let (index, bytes) = entry?;
        Entry::parse(&bytes).with_context(|| format!("{}: entry {index}", dir.display()))?;
    }
    let (mut witnesses, mut witnessed) = (None, None);
    let signatures = match trust {
        None => "not checked: self-asserted without --trust",
        Some(file) => {
            let trust = read_trust(file)?;
            let origin = trust
                .log_origin(checkpoint.origin.as_str())
                .with_context(|| {
                    format!("{}: names no log {}", file.display(), checkpoint.origin)
                })?;
            let policy = witness_policy(&trust)?;
            let keys = log_keys(origin)?;
            let (_, cosigned) =
                verify_checkpoint_cosigned(note.as_bytes(), &keys, policy.as_ref(), &AwsLc)
                    .with_context(|| dir.join("checkpoint").display().to_string())?;
            let named = policy.iter().flat_map(chancery_tlog::LogPolicy::witnesses);
            let names = named.map(|witness| String::from_utf8_lossy(witness.name()).into_owned());
            let names: Vec<String> = names.collect();
            let by = cosigned.by().iter();
            witnesses = Some(
                by.filter_map(|(place, _)| names.get(*place).cloned())
                    .collect(),
            );
            witnessed = Some(cosigned.is_met());
            "Ed25519 and ML-DSA-44 verified"
        }
    };
    let checked = Checked {
        dir: dir.to_owned(),
        origin: checkpoint.origin.to_string(),
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        signatures,
        witnesses,
        witnessed,
    };
    output::result(format, &checked, || {
        let witnesses = checked.witnesses.as_deref().unwrap_or_default();
        let witnessed = match checked.witnessed {
            None => String::new(),
            Some(false) if witnesses.is_empty() => "; unwitnessed".to_owned(),
            Some(false) => format!("; unwitnessed: cosigned by {} alone", witnesses.join(", ")),
            Some(true) => format!("; witnessed by {}", witnesses.join(", ")),
        };
        format!(
            "{}: {} entries, every tile recomputed, root {}; signatures: {signatures}{witnessed}",
            checked.origin, checked.size, checked.root
        )
    })
}
