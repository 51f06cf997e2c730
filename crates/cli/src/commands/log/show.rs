//! `chancery log checkpoint` and `entries`.

use anyhow::{Context as _, bail};
use chancery_audit::leaf_hash;
use chancery_journal::Reader;
use chancery_types::{Digest, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::args::Format;
use crate::output;

#[derive(Serialize)]
struct Published {
    origin: String,
    size: u64,
    root: String,
    note: String,
}

pub(super) fn checkpoint(format: Format, reader: &Reader) -> anyhow::Result<()> {
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
    leaf: Digest,
    entry: Value,
}

pub(super) fn entries(
    format: Format,
    reader: &Reader,
    from: u64,
    count: u64,
) -> anyhow::Result<()> {
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
                Timestamp::from_micros(at).to_string(),
                text("type").trim_matches('"').to_owned(),
                text("body"),
            ]
        });
        output::table(["entry", "at", "type", "body"], rows)
    })
}
