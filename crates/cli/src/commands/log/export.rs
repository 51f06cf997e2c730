//! `chancery log export`.

use std::io::{self, BufWriter};
use std::ops::Range;

use anyhow::Context as _;
use chancery_audit::{LoggedEntry, ocsf, otlp};
use chancery_journal::Reader;

use super::lines;
use crate::args::ExportAs;

/// Writes the entries of a range, as far as the checkpoint covers it.
pub(super) fn run(
    reader: &Reader,
    form: ExportAs,
    range: Range<u64>,
    proofs: bool,
) -> anyhow::Result<()> {
    let end = range.end.min(reader.size()?);
    let bar = super::bar()?;
    bar.set_length(end.saturating_sub(range.start));
    let mut out = BufWriter::new(io::stdout().lock());
    for entry in reader.entries(range.start.min(end)..end)? {
        let (index, bytes) = entry?;
        let proof = match proofs {
            true => Some(reader.proof_file(index)?.to_string()),
            false => None,
        };
        let line = match form {
            ExportAs::Jsonl => lines::line(index, &bytes, proof.as_deref())?,
            ExportAs::Ocsf | ExportAs::Otlp => {
                let mut logged = LoggedEntry::parse(index, &bytes)
                    .with_context(|| format!("{}: entry {index}", reader.dir().display()))?;
                if let Some(proof) = &proof {
                    logged = logged.with_proof(proof);
                }
                match form {
                    ExportAs::Ocsf => ocsf(&logged).to_string(),
                    _ => otlp(&logged).to_string(),
                }
            }
        };
        if !lines::write(&mut out, &line)? {
            break;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    lines::flush(&mut out)?;
    Ok(())
}
