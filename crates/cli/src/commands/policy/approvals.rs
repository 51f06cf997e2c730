//! The file of signatures that travels with a bundle between those who sign it. No part of the bundle.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use chancery_policy::BundleSignature;
use chancery_types::{Digest, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

use crate::output;

/// The file's name in the folder of the bundle.
const FILE: &str = "approvals.json";

/// What the file says that it is.
const FORM: &str = "chancery/policy-approvals/v1";

/// Largest file.
const MAX_BYTES: u64 = 65_536;

/// Signatures over one bundle.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approvals {
    approvals: String,
    /// The digest of the bundle that they are over.
    policy: Digest,
    signatures: Vec<BundleSignature>,
}

/// The signatures over the bundle of that digest in its folder; none where the file is about another one.
pub(super) fn read(folder: &Path, policy: Digest) -> anyhow::Result<Vec<BundleSignature>> {
    let path = path(folder);
    let shown = || path.display().to_string();
    if !path.exists() {
        return Ok(Vec::new());
    }
    let size = std::fs::metadata(&path).with_context(shown)?.len();
    ensure!(size <= MAX_BYTES, "{}: too large", path.display());
    let bytes = std::fs::read(&path).with_context(shown)?;
    let value = parse_strict(&bytes).with_context(shown)?;
    let read: Approvals = serde_json::from_value(value).with_context(shown)?;
    ensure!(
        read.approvals == FORM,
        "{}: approvals: expected {FORM:?}",
        path.display()
    );
    if read.policy != policy {
        output::say(format!(
            "{}: its signatures are over {}, not over this bundle: they are left out",
            path.display(),
            read.policy
        ));
        return Ok(Vec::new());
    }
    Ok(read.signatures)
}

/// Keeps these signatures over the bundle of that digest, those of before about it among them.
pub(super) fn keep(
    folder: &Path,
    policy: Digest,
    signature: BundleSignature,
) -> anyhow::Result<(PathBuf, Vec<BundleSignature>)> {
    let mut signatures = read(folder, policy)?;
    signatures.retain(|known| known.kid != signature.kid);
    signatures.push(signature);
    signatures.sort();
    let approvals = Approvals {
        approvals: FORM.to_owned(),
        policy,
        signatures,
    };
    let path = path(folder);
    std::fs::write(&path, to_canonical(&approvals)?).with_context(|| path.display().to_string())?;
    Ok((path, approvals.signatures))
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
