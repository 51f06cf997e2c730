//! The files of a bundle and the one digest that names them.

use std::collections::BTreeMap;

use chancery_types::{CanonicalError, Digest, to_canonical};

use crate::{BundleError, Place};

/// A bundle's files: path inside of it, bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Most bytes of all files of a bundle together.
pub const MAX_BUNDLE_BYTES: usize = 8 * 1024 * 1024;

/// The folder of the tables of tests.
pub const TESTS_FOLDER: &str = "tests";

/// Most files of a bundle.
pub const MAX_BUNDLE_FILES: usize = 4_096;

/// The digest of a bundle: SHA-256 over the canonical JSON object that maps each file's path to
/// the digest of its bytes, `{"allow.cedar":"sha256:...","bundle.json":"sha256:...",...}`. Any other
/// byte, name or file gives another digest.
pub fn bundle_digest(files: &Files) -> Result<Digest, CanonicalError> {
    let digests: BTreeMap<&str, Digest> = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), Digest::of(bytes)))
        .collect();
    to_canonical(&digests).map(Digest::of)
}

/// Checks sizes and paths before anything is parsed.
pub(crate) fn check(files: &Files) -> Result<(), BundleError> {
    let bytes: usize = files.values().map(Vec::len).sum();
    if bytes > MAX_BUNDLE_BYTES || files.len() > MAX_BUNDLE_FILES {
        return Err(BundleError::TooLarge);
    }
    for path in files.keys() {
        if !is_plain(path) {
            return Err(BundleError::Path(Place::file(path)));
        }
        let known = [
            crate::BUNDLE_FILE,
            crate::SCHEMA_FILE,
            crate::DELEGATION_FILE,
            crate::SESSION_FILE,
        ];
        if !known.contains(&path.as_str()) && !is_policy(path) && !is_table(path) {
            return Err(BundleError::UnknownFile(Place::file(path)));
        }
    }
    Ok(())
}

pub(crate) fn is_policy(path: &str) -> bool {
    path.strip_suffix(".cedar")
        .is_some_and(|stem| !stem.is_empty() && !stem.ends_with('/'))
}

/// Whether a path is that of a table of tests, which stands in `tests` itself.
pub(crate) fn is_table(path: &str) -> bool {
    path.strip_prefix(TESTS_FOLDER)
        .and_then(|name| name.strip_prefix('/')?.strip_suffix(".json"))
        .is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

pub(crate) fn text<'a>(files: &'a Files, path: &str) -> Result<&'a str, BundleError> {
    let bytes = files
        .get(path)
        .ok_or_else(|| BundleError::Missing(Place::file(path)))?;
    std::str::from_utf8(bytes).map_err(|_| BundleError::Encoding(Place::file(path)))
}

fn is_plain(path: &str) -> bool {
    path.len() <= 255
        && path.split('/').all(|segment| {
            !segment.is_empty()
                && !segment.starts_with('.')
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        })
}
