//! A whole log inside evidence: every tile, bundle and checkpoint, recomputed.

use std::collections::BTreeSet;

use chancery_identity::trust::{LogOrigin, TrustDocument};
use chancery_tlog::{
    Cosigned, LeafHash, LogKeys, LogPolicy, MemoryTree, Note, NoteError, Rebuilt, TileKind,
    TilePath, VerifiedCheckpoint, decode_bundle, parse_tile, rebuild, tiles_for,
    verify_checkpoint_cosigned,
};
use chancery_types::{Digest, SignatureVerifier, causes};

use crate::Files;

/// A log whose checkpoint both of its keys signed and whose every file is what its entries make.
/// Only verification makes it.
#[derive(Debug, Clone)]
pub struct VerifiedLog {
    checkpoint: VerifiedCheckpoint,
    cosigned: Cosigned,
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
    /// there with exactly the bytes that its entries make. Cosignatures may stand under the
    /// checkpoint: those of witnesses of the policy must verify, others are ignored. Fails with
    /// everything that is wrong, at least one problem.
    pub fn verify(
        files: &Files,
        folder: &str,
        keys: &LogKeys,
        policy: Option<&LogPolicy>,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, Vec<LogProblem>> {
        let reader = Reader { files, folder };
        let (checkpoint, cosigned) = reader
            .checkpoint(keys, policy, verifier)
            .map_err(|problem| vec![problem])?;
        // A log has a bundle for each 256 entries: a size beyond its files is not walked through.
        if checkpoint.size() / 256 > files.iter().count() as u64 {
            return Err(vec![
                reader.problem("tile/entries", "entry bundles are missing"),
            ]);
        }
        let bundles = reader.bundles(checkpoint.size())?;
        let rebuilt = rebuild(checkpoint.size(), bundles.iter().map(|(_, bytes)| bytes))
            .map_err(|error| vec![reader.problem("tile/entries", &causes(&error))])?;
        let mut problems = reader.differing_tiles(&rebuilt);
        if rebuilt.root != *checkpoint.root() {
            problems = reader.why_another_root(&checkpoint, &rebuilt, problems);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut entries = Vec::new();
        for (path, bytes) in bundles {
            let decoded = decode_bundle(bytes, path.width()).unwrap_or_default();
            entries.extend(decoded.into_iter().map(<[u8]>::to_vec));
        }
        Ok(Self {
            checkpoint,
            cosigned,
            entries,
            tree: rebuilt.tree(),
        })
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

    /// Which witnesses of the policy cosigned it.
    pub const fn cosigned(&self) -> &Cosigned {
        &self.cosigned
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

struct Reader<'a> {
    files: &'a Files,
    folder: &'a str,
}

impl<'a> Reader<'a> {
    fn problem(&self, name: &str, problem: &str) -> LogProblem {
        LogProblem {
            path: format!("{}/{name}", self.folder),
            problem: problem.to_owned(),
        }
    }

    fn read(&self, name: &str) -> Result<&'a [u8], LogProblem> {
        let bytes = self.files.get(&format!("{}/{name}", self.folder));
        bytes.ok_or_else(|| self.problem(name, "the file is missing"))
    }

    fn checkpoint(
        &self,
        keys: &LogKeys,
        policy: Option<&LogPolicy>,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(VerifiedCheckpoint, Cosigned), LogProblem> {
        let note = self.read("checkpoint")?;
        verify_checkpoint_cosigned(note, keys, policy, verifier)
            .map_err(|error| self.problem("checkpoint", &causes(&error)))
    }

    fn bundles(&self, size: u64) -> Result<Vec<(TilePath, &'a [u8])>, Vec<LogProblem>> {
        let (mut bundles, mut problems) = (Vec::new(), Vec::new());
        for path in tiles_for(size) {
            match self.read(&path.to_string()) {
                Err(problem) => problems.push(problem),
                Ok(_) if path.kind() != TileKind::Entries => {}
                Ok(bytes) => match decode_bundle(bytes, path.width()) {
                    Ok(_) => bundles.push((path, bytes)),
                    Err(error) => problems.push(self.problem(&path.to_string(), &causes(&error))),
                },
            }
        }
        if problems.is_empty() {
            Ok(bundles)
        } else {
            Err(problems)
        }
    }

    fn differing_tiles(&self, rebuilt: &Rebuilt) -> Vec<LogProblem> {
        let mut problems = Vec::new();
        for tile in &rebuilt.tiles {
            let name = tile.path.to_string();
            match self.read(&name) {
                Ok(bytes) if bytes == tile.bytes => {}
                Ok(_) => problems.push(self.problem(&name, "differs from what the entries make")),
                Err(problem) => problems.push(problem),
            }
        }
        problems
    }

    /// The entries do not make the signed root. Where the leaf hashes in the tiles do, the bundles
    /// that differ from them are named in place of the tiles.
    fn why_another_root(
        &self,
        checkpoint: &VerifiedCheckpoint,
        rebuilt: &Rebuilt,
        tiles: Vec<LogProblem>,
    ) -> Vec<LogProblem> {
        let mut hashes = Vec::new();
        for path in tiles_for(rebuilt.size).filter(|path| path.kind() == TileKind::Hashes(0)) {
            let parsed = self.read(&path.to_string()).ok();
            let parsed = parsed.and_then(|bytes| parse_tile(bytes, path.width()).ok());
            hashes.extend(parsed.unwrap_or_default());
        }
        let leaves = hashes
            .iter()
            .map(|hash| LeafHash::from_bytes(*hash.as_bytes()));
        let tree: MemoryTree = leaves.clone().collect();
        if tree.root() != *checkpoint.root() {
            let mut problems = tiles;
            problems.push(self.problem(
                "tile/entries",
                "the entries do not make the root that the checkpoint signs",
            ));
            return problems;
        }
        let differing = leaves.zip(&rebuilt.leaves).enumerate();
        let differing = differing.filter(|(_, (named, made))| named != *made);
        let mut problems = Vec::new();
        for (index, _) in differing {
            let bundle = tiles_for(rebuilt.size).find(|path| {
                path.kind() == TileKind::Entries && path.index() == index as u64 / 256
            });
            let name = bundle.map_or("tile/entries".to_owned(), |path| path.to_string());
            let text = format!("entry {index} is not the one that the checkpoint signs");
            problems.push(self.problem(&name, &text));
        }
        problems
    }
}

/// The keys of a log origin that the trust document names.
pub fn log_keys(origin: &LogOrigin) -> Result<LogKeys, LogProblem> {
    let problem = |error: &dyn std::error::Error| LogProblem {
        path: format!("trust document, log origin {}", origin.origin),
        problem: causes(error),
    };
    let name = origin.origin.parse().map_err(|error| problem(&error))?;
    let ed25519 = origin.ed25519.parse().map_err(|error| problem(&error))?;
    let ml_dsa_44 = origin.ml_dsa_44.parse().map_err(|error| problem(&error))?;
    LogKeys::new(name, ed25519, ml_dsa_44).map_err(|error| problem(&error))
}

/// The witness policy of a trust document; none where it names no witnesses. One that names logs is
/// refused, because the logs are the document's, and one that asks for no witness.
pub fn witness_policy(trust: &TrustDocument) -> Result<Option<LogPolicy>, LogProblem> {
    let problem = |problem: String| LogProblem {
        path: "trust document, witnesses".to_owned(),
        problem,
    };
    let Some(rule) = &trust.witnesses else {
        return Ok(None);
    };
    let policy =
        LogPolicy::parse(rule.policy.as_bytes()).map_err(|error| problem(causes(&error)))?;
    if !policy.logs().is_empty() {
        let text = "the policy has log lines; the logs are those that the document names";
        return Err(problem(text.to_owned()));
    }
    if !policy.asks_for_witnesses() {
        let text = "the quorum asks for no witness; leave the member out where nobody is asked";
        return Err(problem(text.to_owned()));
    }
    let known = |name: &str| trust.log_origin(name).is_some();
    let mut names = policy.witnesses().iter().map(|it| it.key().name().as_str());
    if let Some(name) = names.find(|name| known(name)) {
        return Err(problem(format!(
            "{name} is a log and cannot be a witness of itself"
        )));
    }
    Ok(Some(policy))
}

/// The digest by which a checkpoint is enrolled and named: of the note as its log signed it, so
/// that it is the same whoever cosigns.
pub fn checkpoint_digest(note: &[u8]) -> Result<Digest, NoteError> {
    let own = Note::parse(note)?.of_log_alone()?;
    Ok(Digest::of(own.to_string()))
}
