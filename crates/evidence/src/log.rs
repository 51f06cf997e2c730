//! A whole log inside evidence: every tile, bundle and checkpoint, recomputed.

use std::collections::BTreeSet;

use chancery_identity::trust::LogOrigin;
use chancery_tlog::{
    LogKeys, MemoryTree, TileKind, VerifiedCheckpoint, decode_bundle, rebuild, tiles_for,
    verify_checkpoint_exact,
};
use chancery_types::SignatureVerifier;

use crate::Files;

/// A log whose checkpoint both of its keys signed and whose every file is what its entries make.
/// Only verification makes it.
#[derive(Debug, Clone)]
pub struct VerifiedLog {
    checkpoint: VerifiedCheckpoint,
    entries: Vec<Vec<u8>>,
    tree: MemoryTree,
}

/// Why a log is refused: which file, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct LogProblem {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl VerifiedLog {
    /// Verifies the log below `folder`. Every file that a log of the checkpoint's size has must be
    /// there with exactly the bytes that its entries make.
    pub fn verify(
        files: &Files,
        folder: &str,
        keys: &LogKeys,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, LogProblem> {
        let at = |name: &str| format!("{folder}/{name}");
        let problem = |path: String, problem: String| LogProblem { path, problem };
        let read = |path: String| {
            files.get(&path).ok_or_else(|| problem(path.clone(), "the file is missing".to_owned()))
        };
        let note = read(at("checkpoint"))?;
        let checkpoint = verify_checkpoint_exact(note, keys, verifier)
            .map_err(|error| problem(at("checkpoint"), said(&error)))?;
        let size = checkpoint.size();
        let bundle_paths: Vec<_> =
            tiles_for(size).filter(|path| path.kind() == TileKind::Entries).collect();
        let mut bundles = Vec::new();
        let mut entries = Vec::new();
        for path in &bundle_paths {
            let name = at(&path.to_string());
            let bytes = read(name.clone())?;
            let decoded = decode_bundle(bytes, path.width())
                .map_err(|error| problem(name, said(&error)))?;
            entries.extend(decoded.into_iter().map(<[u8]>::to_vec));
            bundles.push(bytes);
        }
        let rebuilt = rebuild(size, bundles)
            .map_err(|error| problem(at("tile/entries"), said(&error)))?;
        for tile in &rebuilt.tiles {
            let name = at(&tile.path.to_string());
            if read(name.clone())? != tile.bytes {
                return Err(problem(name, "differs from what the entries make".to_owned()));
            }
        }
        if rebuilt.root != *checkpoint.root() {
            return Err(problem(
                at("tile/entries"),
                "the entries do not make the root that the checkpoint signs".to_owned(),
            ));
        }
        let tree = rebuilt.tree();
        Ok(Self { checkpoint, entries, tree })
    }

    /// The paths that a log of this size has below `folder`.
    pub fn paths(&self, folder: &str) -> BTreeSet<String> {
        tiles_for(self.checkpoint.size())
            .map(|path| format!("{folder}/{path}"))
            .chain([format!("{folder}/checkpoint")])
            .collect()
    }

    /// The checkpoint.
    pub const fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }

    /// The entries in order.
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// The tree over them.
    pub const fn tree(&self) -> &MemoryTree {
        &self.tree
    }
}

/// The keys of a log origin that the trust document names.
pub fn log_keys(origin: &LogOrigin) -> Result<LogKeys, LogProblem> {
    let problem = |error: &dyn std::error::Error| LogProblem {
        path: format!("trust document, log origin {}", origin.origin),
        problem: said(error),
    };
    let name = origin.origin.parse().map_err(|error| problem(&error))?;
    let ed25519 = origin.ed25519.parse().map_err(|error| problem(&error))?;
    let ml_dsa_44 = origin.ml_dsa_44.parse().map_err(|error| problem(&error))?;
    LogKeys::new(name, ed25519, ml_dsa_44).map_err(|error| problem(&error))
}

/// An error with its causes, in one line.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
