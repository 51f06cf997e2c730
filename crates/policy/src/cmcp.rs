//! The digest by which cMCP names a policy directory, for the artefacts that carry it. Ours is
//! [`crate::bundle_digest`].

use std::collections::BTreeMap;

use chancery_types::{Digest, parse_strict_with_floats, to_jcs};
use serde_json::{Value, json};

use crate::{Files, SCHEMA_FILE};

/// Why a directory has no cMCP digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CmcpError {
    /// A file that the recipe needs is absent.
    #[error("{0}: missing")]
    Missing(&'static str),
    /// `manifest.json` is not a JSON object.
    #[error("manifest.json: not a JSON object")]
    Manifest,
    /// A file is not UTF-8.
    #[error("{0}: not UTF-8")]
    Encoding(String),
}

/// The cMCP digest (0.5.0 and later) of a directory with `manifest.json`, `schema.cedarschema` and
/// `*.cedar`: SHA-256 over the RFC 8785 form of `{manifest, policy_files, schema_hash}`, the
/// manifest without its signature, texts with Unix line ends.
pub fn cmcp_digest(files: &Files) -> Result<Digest, CmcpError> {
    let manifest = files
        .get("manifest.json")
        .ok_or(CmcpError::Missing("manifest.json"))?;
    let Ok(Value::Object(mut manifest)) = parse_strict_with_floats(manifest) else {
        return Err(CmcpError::Manifest);
    };
    manifest.remove("signature");
    let policies = files
        .iter()
        .filter(|(path, _)| path.ends_with(".cedar"))
        .map(|(path, bytes)| Ok((path.as_str(), text_digest(path, bytes)?)))
        .collect::<Result<BTreeMap<_, _>, CmcpError>>()?;
    let schema = files
        .get(SCHEMA_FILE)
        .ok_or(CmcpError::Missing(SCHEMA_FILE))?;
    let whole = json!({
        "manifest": manifest,
        "policy_files": policies,
        "schema_hash": text_digest(SCHEMA_FILE, schema)?,
    });
    to_jcs(&whole)
        .map(Digest::of)
        .map_err(|_| CmcpError::Manifest)
}

fn text_digest(path: &str, bytes: &[u8]) -> Result<String, CmcpError> {
    let text = std::str::from_utf8(bytes).map_err(|_| CmcpError::Encoding(path.to_owned()))?;
    Ok(Digest::of(text.replace("\r\n", "\n").replace('\r', "\n")).to_hex())
}
