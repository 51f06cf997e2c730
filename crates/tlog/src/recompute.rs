//! A served log, recomputed from its entries and compared with everything else that it serves.

mod held;
mod pair;

use std::cell::RefCell;
use std::ops::Range;

use crate::{
    Checkpoint, LeafHash, LogFile, LogFinding, LogReason, NodeSource as _, Resource, Subtree,
    TILE_WIDTH, TileEdge, TileKind, TileNodes, TileNodesError, TilePath, TreeHash, encode_tile,
    parse_tile, subtree_root, tile_at,
};

use held::{Files, compared};
use pair::{Pair, Resolved};

/// So many findings are told apart; then the rest of the log is not read.
pub const MAX_LOG_FINDINGS: usize = 100;

/// Reads the bytes of exactly one path of a log; none where there is none.
pub type ReadLogFile<'a, E> = dyn FnMut(&TilePath) -> Result<Option<Vec<u8>>, E> + 'a;

/// What became of a log that was recomputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recomputed {
    /// The edge of the recomputed tree. Without findings it is that of the checkpoint.
    pub edge: TileEdge,
    /// What is wrong, at most [`MAX_LOG_FINDINGS`].
    pub findings: Vec<LogFinding>,
    /// How many files were read.
    pub files: u64,
}

/// Recomputes a log of which `checkpoint` was verified: leaf hashes, tiles and root follow from the
/// bytes of the entry bundles alone, and every tile and the root of the checkpoint must be those.
/// What was seen before is `seen`; entries before it are read again where `whole` says so, and
/// the checkpoint must continue it in any case. Without a finding all of that holds.
///
/// `read` has the bytes of exactly that path, or none; a partial file that made room for the full
/// one is taken from that. `each` sees the entries of every bundle that is read and complete, in
/// order, before it is known whether the log holds. Memory does not grow with the log.
pub fn recompute<E: std::error::Error + 'static>(
    checkpoint: &Checkpoint,
    seen: &TileEdge,
    whole: bool,
    read: &mut ReadLogFile<'_, E>,
    each: &mut dyn FnMut(u64, &[u8]),
) -> Result<Recomputed, E> {
    let mut pass = Pass {
        size: checkpoint.size,
        root: checkpoint.root,
        seen,
        files: Files::new(read),
        edge: if whole { TileEdge::new() } else { seen.clone() },
        findings: Vec::new(),
        suspects: Vec::new(),
        forked: None,
    };
    if let Some(finding) = behind(checkpoint, seen) {
        pass.findings.push(finding);
    } else if checkpoint.size > pass.edge.size() && pass.bundles(each)? {
        pass.partial_tiles()?;
        pass.judge()?;
    }
    pass.findings.truncate(MAX_LOG_FINDINGS);
    Ok(Recomputed {
        edge: pass.edge,
        findings: pass.findings,
        files: pass.files.count,
    })
}

/// What the checkpoint alone says against what was seen.
fn behind(checkpoint: &Checkpoint, seen: &TileEdge) -> Option<LogFinding> {
    let size = checkpoint.size;
    if size < seen.size() {
        let lost = Some(size..seen.size());
        return Some(LogFinding::of_checkpoint(LogReason::Shrunk, lost));
    }
    (size == seen.size() && checkpoint.root != seen.root())
        .then(|| LogFinding::of_checkpoint(LogReason::Forked, Some(0..size)))
}

struct Pass<'a, E> {
    size: u64,
    root: TreeHash,
    seen: &'a TileEdge,
    files: Files<'a, E>,
    edge: TileEdge,
    findings: Vec<LogFinding>,
    /// Full tiles of level 0 that hash to something else than the tile above says.
    suspects: Vec<u64>,
    /// Entries that are not those seen before.
    forked: Option<Range<u64>>,
}

impl<E: std::error::Error + 'static> Pass<'_, E> {
    /// Reads every bundle with its tile; false where the tree cannot be computed to its end.
    fn bundles(&mut self, each: &mut dyn FnMut(u64, &[u8])) -> Result<bool, E> {
        let width = u64::from(TILE_WIDTH);
        for index in self.edge.size() / width..self.size.div_ceil(width) {
            let Some(pair) = Pair::read(index, self.size, &mut self.files)? else {
                return Ok(false);
            };
            pair.entries_from(self.edge.size(), each);
            self.take(&pair)?;
            let reached = self.edge.size() >= self.size.min((index + 1) * width);
            if !reached || self.findings.len() >= MAX_LOG_FINDINGS {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Goes on with what a bundle and its tile are found to be. What was seen stands: whether the
    /// log still says so, its root will show.
    fn take(&mut self, pair: &Pair) -> Result<(), E> {
        let known = self.edge.level(0).to_vec();
        let mut full = Vec::new();
        let resolved = match pair.agreed() {
            Some(leaves) => Resolved::Leaves(leaves),
            None => pair.resolve(self.above(pair.index)?),
        };
        match resolved {
            Resolved::Leaves(leaves) => {
                let leaves = continued(&known, &leaves);
                self.findings.extend(pair.findings(&leaves));
                self.push(&leaves, known.len(), &mut full);
            }
            Resolved::Either(bundle, tile) => {
                let leaves = self.by_root(&[continued(&known, &bundle), continued(&known, &tile)]);
                match leaves {
                    Some(leaves) => {
                        self.findings.extend(pair.findings(&leaves));
                        self.push(&leaves, known.len(), &mut full);
                    }
                    None => {
                        self.findings.extend(pair.unresolved());
                        self.push(&continued(&known, &tile), known.len(), &mut full);
                    }
                }
            }
            Resolved::Root(root) => {
                self.findings.extend(pair.unresolved());
                if known.is_empty() {
                    self.edge.push_tile(root, &mut full);
                }
            }
            Resolved::Nothing => self.findings.extend(pair.unresolved()),
        }
        let above = |tile: &&Resource| tile.path.kind() != TileKind::Hashes(0);
        full.iter()
            .filter(above)
            .try_for_each(|tile| self.compare(tile))
    }

    /// The leaves, if any, that complete the tree to the signed one.
    fn by_root(&self, candidates: &[Vec<TreeHash>]) -> Option<Vec<TreeHash>> {
        let makes = |leaves: &&Vec<TreeHash>| {
            let (mut edge, from) = (self.edge.clone(), self.edge.level(0).len());
            for leaf in leaves.iter().skip(from) {
                edge.push(LeafHash::from_bytes(*leaf.as_bytes()), &mut Vec::new());
            }
            edge.size() == self.size && edge.root() == self.root
        };
        candidates.iter().find(makes).cloned()
    }

    fn push(&mut self, leaves: &[TreeHash], from: usize, full: &mut Vec<Resource>) {
        for leaf in leaves.iter().skip(from) {
            self.edge.push(LeafHash::from_bytes(*leaf.as_bytes()), full);
            if self.edge.size() == self.seen.size() && self.edge.root() != self.seen.root() {
                let made = |level: u8, place: usize, _| {
                    Ok::<_, E>(self.edge.level(level).get(place).copied())
                };
                self.forked = divergence(self.seen, made).unwrap_or_default();
            }
        }
    }

    /// What the tile above says that a full tile of leaves hashes to.
    fn above(&mut self, index: u64) -> Result<Option<TreeHash>, E> {
        let width = u64::from(TILE_WIDTH);
        let Some(path) = tile_at(TileKind::Hashes(1), index / width, self.size) else {
            return Ok(None);
        };
        let held = self.files.tile(&path)?;
        let place = (index % width) as usize;
        Ok(held.and_then(|held| held.hashes.get(place).copied()))
    }

    /// Compares a tile with what it must be.
    fn compare(&mut self, tile: &Resource) -> Result<(), E> {
        let truth = parse_tile(&tile.bytes, tile.path.width()).unwrap_or_default();
        let held = self.files.tile(&tile.path)?;
        if let (TileKind::Hashes(1), Some(held)) = (tile.path.kind(), &held) {
            let first = tile.path.index() * u64::from(TILE_WIDTH);
            let pairs = truth.iter().zip(&held.hashes).zip(first..);
            let differ = pairs.filter(|((made, held), _)| made != held);
            self.suspects.extend(differ.map(|(_, index)| index));
        }
        let finding = compared(&tile.path, &truth, held.as_ref());
        self.findings.extend(finding);
        Ok(())
    }

    /// The partial tiles of all levels but the lowest.
    fn partial_tiles(&mut self) -> Result<(), E> {
        let partials = self.edge.partials();
        let above = |tile: &&Resource| tile.path.kind() != TileKind::Hashes(0);
        partials
            .iter()
            .filter(above)
            .try_for_each(|tile| self.compare(tile))
    }

    /// Says what the signed root means for all that was read.
    fn judge(&mut self) -> Result<(), E> {
        if self.edge.root() == self.root {
            if let Some(range) = self.forked.take() {
                self.fork(range);
            }
        } else if self.made_by_tiles()? {
            match self.left_by_tiles()? {
                Some(range) => self.fork(range),
                None => self.blame_pairs(),
            }
        } else {
            self.another_root();
        }
        Ok(())
    }

    /// Another history was signed: what else differs follows from it.
    fn fork(&mut self, range: Range<u64>) {
        self.findings
            .retain(|finding| finding.reason == LogReason::Missing);
        let finding = LogFinding::of_checkpoint(LogReason::Forked, Some(range));
        self.findings.insert(0, finding);
    }

    /// The tiles above make the signed root: where they differ from what the entries make, bundle
    /// and tile were replaced together.
    fn blame_pairs(&mut self) {
        if self.suspects.is_empty() {
            self.another_root();
            return;
        }
        self.findings.retain(|finding| {
            let LogFile::Tile(path) = finding.file else {
                return true;
            };
            let above = matches!(path.kind(), TileKind::Hashes(level) if level > 0);
            !(above && finding.reason == LogReason::TileMismatch)
        });
        let width = u64::from(TILE_WIDTH);
        for index in std::mem::take(&mut self.suspects) {
            for (kind, reason) in [
                (TileKind::Entries, LogReason::EntryMismatch),
                (TileKind::Hashes(0), LogReason::TileMismatch),
            ] {
                let path = tile_at(kind, index, self.size);
                self.findings.extend(path.map(|path| LogFinding {
                    file: LogFile::Tile(path),
                    reason,
                    entries: Some(index * width..(index + 1) * width),
                }));
            }
        }
    }

    fn another_root(&mut self) {
        let whole = Some(0..self.size);
        self.findings
            .push(LogFinding::of_checkpoint(LogReason::RootMismatch, whole));
    }

    /// Whether the log's own tiles make the signed root.
    fn made_by_tiles(&mut self) -> Result<bool, E> {
        let root = self.root;
        let Ok(tree) = Subtree::new(0, self.size) else {
            return Ok(false);
        };
        let files = RefCell::new(&mut self.files);
        let nodes = TileNodes::new(self.size, |path: &TilePath| served(&files, path));
        found(subtree_root(&nodes, tree)).map(|made| made == Some(root))
    }

    /// Where the log's own tiles leave the tree that was seen; none where they do not.
    fn left_by_tiles(&mut self) -> Result<Option<Range<u64>>, E> {
        let seen = self.seen;
        let files = RefCell::new(&mut self.files);
        let nodes = TileNodes::new(self.size, |path: &TilePath| served(&files, path));
        divergence(seen, |level, _, first| {
            let level = u32::from(level) * 8;
            found(nodes.node(level, first >> level))
        })
    }
}

/// The first of the subtrees that make up the edge of a tree which is another one now. `made` has
/// the hash that stands at a place of a level's last tile, or over the entries from the first.
fn divergence<E>(
    seen: &TileEdge,
    mut made: impl FnMut(u8, usize, u64) -> Result<Option<TreeHash>, E>,
) -> Result<Option<Range<u64>>, E> {
    let mut first = 0_u64;
    for level in (0..8_u8).rev() {
        let span = 1_u64 << (u32::from(level) * 8);
        for (place, hash) in seen.level(level).iter().enumerate() {
            let end = first.saturating_add(span);
            if made(level, place, first)?.as_ref() != Some(hash) {
                return Ok(Some(first..end));
            }
            first = end;
        }
    }
    Ok(None)
}

/// The leaves that are known, then those that follow them.
fn continued(known: &[TreeHash], leaves: &[TreeHash]) -> Vec<TreeHash> {
    let rest = leaves.iter().skip(known.len());
    known.iter().chain(rest).copied().collect()
}

/// Why a node is not had from served tiles.
#[derive(Debug, thiserror::Error)]
enum Unserved<E: std::error::Error + 'static> {
    #[error("the tile is not there, or not whole")]
    Absent,
    #[error(transparent)]
    Read(E),
}

fn served<E: std::error::Error + 'static>(
    files: &RefCell<&mut Files<'_, E>>,
    path: &TilePath,
) -> Result<Vec<u8>, Unserved<E>> {
    let held = files.borrow_mut().tile(path).map_err(Unserved::Read)?;
    let hashes = held.map(|held| held.hashes);
    hashes
        .filter(|hashes| hashes.len() == usize::from(path.width()))
        .map(|hashes| encode_tile(&hashes))
        .ok_or(Unserved::Absent)
}

fn found<E: std::error::Error + 'static>(
    node: Result<TreeHash, TileNodesError<Unserved<E>>>,
) -> Result<Option<TreeHash>, E> {
    match node {
        Ok(hash) => Ok(Some(hash)),
        Err(TileNodesError::Read(_, Unserved::Read(error))) => Err(error),
        Err(_) => Ok(None),
    }
}
