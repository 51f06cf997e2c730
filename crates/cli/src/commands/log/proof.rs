//! `chancery log prove` and `verify-proof`.

use std::path::Path;

use anyhow::{Context as _, ensure};
use chancery_audit::leaf_hash;
use chancery_crypto::AwsLc;
use chancery_journal::{Reader, Unwitnessed};
use chancery_tlog::{Checkpoint, Note, TlogProof};
use chancery_types::{Digest, Timestamp};
use serde::Serialize;

use super::check::Witnessed;
use super::keys;
use crate::args::{Format, VerifyProofArgs};
use crate::output;

/// Proves one entry under the published checkpoint.
pub(super) fn make(
    format: Format,
    reader: &Reader,
    index: u64,
    entry_out: Option<&Path>,
) -> anyhow::Result<()> {
    let proof = reader.proof_file(index)?.to_string();
    if let Some(file) = entry_out {
        let entry = reader.read_entry(index)?;
        std::fs::write(file, entry).with_context(|| file.display().to_string())?;
    }
    output::result(format, &proof, || proof.clone())
}

#[derive(Serialize)]
struct Verified {
    origin: String,
    index: u64,
    size: u64,
    leaf: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<String>,
    /// Only with a trust document that names witnesses.
    #[serde(flatten)]
    witnessed: Option<Witnessed>,
}

/// Verifies a proof with the log's keys, and the quorum of its witnesses where a trust document
/// names some; without it a proof is refused where the document withholds such checkpoints.
pub(super) fn verify(format: Format, args: &VerifyProofArgs) -> anyhow::Result<()> {
    let shown = || args.proof.display().to_string();
    let bytes = std::fs::read(&args.proof).with_context(shown)?;
    let entry = std::fs::read(&args.entry).with_context(|| args.entry.display().to_string())?;
    let proof = TlogProof::parse(&bytes).with_context(shown)?;
    // Which log it says it is of; its keys then say whether that is so.
    let note = Note::parse(proof.checkpoint.as_bytes()).with_context(shown)?;
    let claimed: Checkpoint = note.text().parse().with_context(shown)?;
    let believed = keys::given(&args.keys, &claimed.origin)?;
    let verified = proof.verify(&entry, &believed.keys, &AwsLc);
    let verified = verified.with_context(shown)?;
    let checkpoint = verified.checkpoint();
    let mut witnessed = None;
    if let Some(witnesses) = &believed.witnesses {
        let policy = &witnesses.policy;
        let cosigned = policy
            .cosigners(checkpoint.checkpoint(), &note, None, &AwsLc)
            .with_context(shown)?;
        ensure!(
            cosigned.is_met() || witnesses.unwitnessed == Unwitnessed::Publish,
            "{}: unwitnessed: the witness quorum of the trust document did not cosign its \
             checkpoint; prove the entry again once it has",
            shown()
        );
        witnessed = Some(Witnessed::of(policy, &cosigned));
    }
    let verified = Verified {
        origin: checkpoint.origin().to_string(),
        index: verified.index(),
        size: checkpoint.size(),
        leaf: leaf_hash(&entry),
        signed: checkpoint
            .timestamp()
            .map(|seconds| Timestamp::from_seconds(seconds).to_string()),
        witnessed,
    };
    output::result(format, &verified, || {
        format!(
            "entry {} of {} is in {}, leaf {}{}",
            verified.index,
            verified.size,
            verified.origin,
            verified.leaf,
            verified
                .witnessed
                .as_ref()
                .map(Witnessed::shown)
                .unwrap_or_default()
        )
    })
}
