//! `chancery log prove --instance` and the verification of what it writes.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use chancery_audit::{Entry, Event, IndexRoot, Label, LeafRef, leaf_hash};
use chancery_crypto::AwsLc;
use chancery_evidence::completeness::{InstanceIndex, ProvenInstance, verify_instance};
use chancery_journal::Reader;
use chancery_tlog::{IndexProof, IndexedChain};
use chancery_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::check::Witnessed;
use super::proof::Stated;
use crate::args::{Format, VerifyProofArgs};
use crate::output;

/// Proves what the log holds of an instance, by an index that the published checkpoint covers: the
/// newest, or the first that covers `upto` entries.
pub(super) fn prove(
    reader: &Reader,
    instance: &str,
    upto: Option<u64>,
) -> anyhow::Result<IndexProof> {
    let name: Label = (instance.parse()).with_context(|| format!("--instance {instance}"))?;
    let (place, root) = root_of(reader, upto)?;
    let mut index = InstanceIndex::default();
    for entry in reader.entries(0..root.size)? {
        let (index_of, bytes) = entry?;
        let entry = Entry::parse(&bytes).with_context(|| format!("entry {index_of}"))?;
        let leaf = LeafRef {
            index: index_of,
            hash: leaf_hash(&bytes),
        };
        index.take(&leaf, &entry.event);
    }
    ensure!(
        index.to_entry() == root,
        "{}: the index at entry {place} is not that of the entries; `chancery log check` says how",
        reader.dir().display()
    );
    let (entry, inclusion) = (reader.read_entry(place)?, reader.proof_file(place)?);
    let path = index.prove(name.as_str());
    Ok(IndexProof::new(name.as_str(), entry, path, inclusion)?)
}

/// The index to prove by, and the entry that names it.
fn root_of(reader: &Reader, upto: Option<u64>) -> anyhow::Result<(u64, IndexRoot)> {
    let mut found = None;
    for entry in reader.entries(0..reader.size()?)? {
        let (place, bytes) = entry?;
        let entry = Entry::parse(&bytes).with_context(|| format!("entry {place}"))?;
        let Event::IndexRoot(root) = entry.event else {
            continue;
        };
        match upto {
            Some(upto) if root.size >= upto => return Ok((place, root)),
            Some(_) => {}
            None => found = Some((place, root)),
        }
    }
    match (found, upto) {
        (Some(found), _) => Ok(found),
        (None, Some(upto)) => bail!(
            "{}: no published index covers {upto} entries yet; a gateway enrols one every minute \
             where something changed",
            reader.dir().display()
        ),
        (None, None) => bail!(
            "{}: no index is published; gateways enrol them, when instances have joined",
            reader.dir().display()
        ),
    }
}

#[derive(Serialize)]
struct Shown {
    origin: String,
    instance: String,
    /// How many first entries of the log the index covers.
    covers: u64,
    /// How many of them are the instance's; 0 where there is none.
    entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    /// The entry that names the index, and when it was enrolled.
    index: u64,
    at: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<String>,
    /// Whether the entries themselves were compared.
    compared: bool,
    /// Only with a trust document that names witnesses.
    #[serde(flatten)]
    witnessed: Option<Witnessed>,
}

/// Verifies the proof of an instance with the log's keys and, where they are given, its entries.
pub(super) fn verify(format: Format, args: &VerifyProofArgs, bytes: &[u8]) -> anyhow::Result<()> {
    let shown = || args.proof.display().to_string();
    let proof = IndexProof::parse(bytes).with_context(shown)?;
    let stated = Stated::read(proof.inclusion(), args)?;
    let keys = &stated.believed.keys;
    let proven = verify_instance(&proof, args.upto.unwrap_or(0), keys, &AwsLc);
    let proven = proven.with_context(shown)?;
    let witnessed = stated.witnessed(proven.checkpoint().checkpoint(), args)?;
    if let Some(file) = &args.entries {
        compare(&proven, file)?;
    }
    let (checkpoint, chain) = (proven.checkpoint(), proven.chain());
    let shown = Shown {
        origin: checkpoint.origin().to_string(),
        instance: proven.instance().to_string(),
        covers: proven.covers(),
        entries: chain.map_or(0, IndexedChain::entries),
        last: chain.map(IndexedChain::last),
        head: chain.map(|chain| chain.head().digest().to_string()),
        index: proven.index(),
        at: proven.at().to_string(),
        size: checkpoint.size(),
        signed: checkpoint
            .timestamp()
            .map(|seconds| Timestamp::from_seconds(seconds).to_string()),
        compared: args.entries.is_some(),
        witnessed,
    };
    output::result(format, &shown, || {
        let (instance, covers, origin) = (&shown.instance, shown.covers, &shown.origin);
        let witnessed = shown.witnessed.as_ref().map(Witnessed::shown);
        let witnessed = witnessed.unwrap_or_default();
        match (shown.entries, shown.compared) {
            (0, _) => format!(
                "there is none of {instance} among the first {covers} of {origin}{witnessed}"
            ),
            (count, true) => format!(
                "these {count} entries are all of {instance} among the first {covers} of {origin}{witnessed}"
            ),
            (count, false) => format!(
                "{count} entries are all of {instance} among the first {covers} of {origin}{witnessed}"
            ),
        }
    })
}

/// A line of `log export`.
#[derive(Deserialize)]
struct Line<'a> {
    index: u64,
    #[serde(borrow)]
    entry: &'a RawValue,
}

fn compare(proven: &ProvenInstance, file: &Path) -> anyhow::Result<()> {
    let shown = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(shown)?;
    let lines: Result<Vec<Line<'_>>, _> = text.lines().map(serde_json::from_str).collect();
    let lines = lines.with_context(shown)?;
    let entries = lines
        .iter()
        .map(|line| (line.index, line.entry.get().as_bytes()));
    proven.compare(entries).with_context(shown)
}
