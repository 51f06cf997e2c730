//! Entries on standard output, one JSON document a line.

use std::io::{self, ErrorKind, Write};

use anyhow::Context as _;
use chancery_audit::leaf_hash;
use chancery_types::Digest;
use serde::Serialize;
use serde_json::value::RawValue;

/// An entry with its place.
#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    leaf: Digest,
    entry: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a str>,
}

/// An entry as it stands in the log, byte for byte, with index, leaf hash and proof.
pub(super) fn line(index: u64, bytes: &[u8], proof: Option<&str>) -> anyhow::Result<String> {
    let entry: &RawValue =
        serde_json::from_slice(bytes).with_context(|| format!("entry {index} is not JSON"))?;
    let line = Line {
        index,
        leaf: leaf_hash(bytes),
        entry,
        proof,
    };
    Ok(serde_json::to_string(&line)?)
}

/// Writes a line; false where nobody reads any more, as after `head`.
pub(super) fn write(out: &mut impl Write, line: &str) -> anyhow::Result<bool> {
    known(writeln!(out, "{line}"))
}

/// Writes out what was held back; false where nobody reads any more.
pub(super) fn flush(out: &mut impl Write) -> anyhow::Result<bool> {
    known(out.flush())
}

fn known(written: io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("standard output"),
    }
}
