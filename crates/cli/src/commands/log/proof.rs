//! `chancery log prove` and `verify-proof`.

use anyhow::{Context as _, ensure};
use chancery_audit::leaf_hash;
use chancery_crypto::AwsLc;
use chancery_journal::{Reader, Unwitnessed};
use chancery_tlog::{Checkpoint, INDEX_PROOF_HEADER, Note, TlogProof};
use chancery_types::{Digest, Timestamp};
use serde::Serialize;

use super::check::Witnessed;
use super::keys::Believed;
use super::{instance, keys};
use crate::args::{Format, ProveArgs, VerifyProofArgs};
use crate::output;

/// Proves one entry, or one instance, under the published checkpoint.
pub(super) fn make(format: Format, reader: &Reader, args: &ProveArgs) -> anyhow::Result<()> {
    if let Some(instance) = &args.instance {
        let proof = instance::prove(reader, instance, args.upto)?.to_string();
        return output::result(format, &proof, || proof.clone());
    }
    let index = args.index.context("INDEX or --instance ID is missing")?;
    let proof = reader.proof_file(index)?.to_string();
    if let Some(file) = &args.entry_out {
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
    let of_instances = INDEX_PROOF_HEADER.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if bytes.starts_with(of_instances.as_bytes()) {
        ensure!(
            args.entry.is_none(),
            "--entry {}: the proof is of an instance; give its entries with --entries",
            args.entry
                .iter()
                .map(|file| file.display().to_string())
                .collect::<String>()
        );
        return instance::verify(format, args, &bytes);
    }
    ensure!(
        args.entries.is_none() && args.upto.is_none(),
        "{}: the proof is of one entry; --entries and --upto are for proofs of an instance",
        args.proof.display()
    );
    let file = args.entry.as_ref();
    let file = file.context("--entry FILE is missing: the proof is about that entry's bytes")?;
    let entry = std::fs::read(file).with_context(|| file.display().to_string())?;
    let proof = TlogProof::parse(&bytes).with_context(shown)?;
    let stated = Stated::read(&proof, args)?;
    let verified = proof.verify(&entry, &stated.believed.keys, &AwsLc);
    let verified = verified.with_context(shown)?;
    let checkpoint = verified.checkpoint();
    let witnessed = stated.witnessed(checkpoint.checkpoint(), args)?;
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

/// The checkpoint under which a proof stands, as it is written, and whose word is taken for it.
pub(super) struct Stated {
    note: Note,
    pub(super) believed: Believed,
}

impl Stated {
    /// Which log a proof says it is of; its keys then say whether that is so.
    pub(super) fn read(proof: &TlogProof, args: &VerifyProofArgs) -> anyhow::Result<Self> {
        let shown = || args.proof.display().to_string();
        let note = Note::parse(proof.checkpoint.as_bytes()).with_context(shown)?;
        let claimed: Checkpoint = note.text().parse().with_context(shown)?;
        let believed = keys::given(&args.keys, &claimed.origin)?;
        Ok(Self { note, believed })
    }

    /// Which witnesses cosigned the verified checkpoint, where a trust document names some; fails
    /// without their quorum where the document withholds such checkpoints.
    pub(super) fn witnessed(
        &self,
        checkpoint: &Checkpoint,
        args: &VerifyProofArgs,
    ) -> anyhow::Result<Option<Witnessed>> {
        let shown = || args.proof.display().to_string();
        let Some(witnesses) = &self.believed.witnesses else {
            return Ok(None);
        };
        let policy = &witnesses.policy;
        let cosigned = policy.cosigners(checkpoint, &self.note, None, &AwsLc);
        let cosigned = cosigned.with_context(shown)?;
        ensure!(
            cosigned.is_met() || witnesses.unwitnessed == Unwitnessed::Publish,
            "{}: unwitnessed: the witness quorum of the trust document did not cosign its \
             checkpoint; prove the entry again once it has",
            shown()
        );
        Ok(Some(Witnessed::of(policy, &cosigned)))
    }
}
