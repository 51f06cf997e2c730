//! What the files of a log hold, read without believing that they are whole.

use std::collections::BTreeMap;
use std::ops::Range;

use super::ReadLogFile;
use crate::{LeafHash, LogFile, LogFinding, LogReason, TILE_WIDTH, TileKind, TilePath, TreeHash};

/// The files of a log, and how many were read.
pub(super) struct Files<'a, E> {
    read: &'a mut ReadLogFile<'a, E>,
    pub(super) count: u64,
    /// The tile above level 0 that was read last: many bundles ask for the same one.
    last: Option<(TilePath, Option<Held>)>,
}

/// The hashes of a tile, or those of the entries of a bundle.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) hashes: Vec<TreeHash>,
    /// The entries, of a bundle.
    pub(super) entries: Vec<Vec<u8>>,
    /// Whether bytes follow the last hash or entry that belongs there.
    surplus: bool,
}

impl Held {
    /// Whether it holds so many and nothing else.
    pub(super) fn is_whole(&self, width: u16) -> bool {
        !self.surplus && self.hashes.len() == usize::from(width)
    }

    fn of_tile(bytes: &[u8], width: u16) -> Self {
        let (hashes, _) = bytes.as_chunks::<32>();
        let hashes = hashes.iter().take(width.into()).copied();
        Self {
            hashes: hashes.map(TreeHash::from_bytes).collect(),
            entries: Vec::new(),
            surplus: bytes.len() > usize::from(width) * 32,
        }
    }

    fn of_bundle(bytes: &[u8], width: u16) -> Self {
        let (mut rest, mut entries) = (bytes, Vec::new());
        while entries.len() < usize::from(width)
            && let Some((entry, next)) = rest.split_first_chunk::<2>().and_then(|(length, rest)| {
                rest.split_at_checked(u16::from_be_bytes(*length).into())
            })
        {
            entries.push(entry.to_vec());
            rest = next;
        }
        Self {
            hashes: entries
                .iter()
                .map(|entry| LeafHash::of(entry).into())
                .collect(),
            surplus: entries.len() == usize::from(width) && !rest.is_empty(),
            entries,
        }
    }
}

impl<'a, E> Files<'a, E> {
    pub(super) fn new(read: &'a mut ReadLogFile<'a, E>) -> Self {
        Self {
            read,
            count: 0,
            last: None,
        }
    }

    /// The hashes of a tile.
    pub(super) fn tile(&mut self, path: &TilePath) -> Result<Option<Held>, E> {
        if path.kind() == TileKind::Hashes(0) {
            return self.held(path);
        }
        match &self.last {
            Some((last, held)) if last == path => Ok(held.clone()),
            _ => {
                let held = self.held(path)?;
                self.last = Some((*path, held.clone()));
                Ok(held)
            }
        }
    }

    /// The entries of a bundle with their hashes, or the hashes of a tile.
    pub(super) fn held(&mut self, path: &TilePath) -> Result<Option<Held>, E> {
        let of = match path.kind() {
            TileKind::Entries => Held::of_bundle,
            TileKind::Hashes(_) => Held::of_tile,
        };
        self.count += 1;
        if let Some(bytes) = (self.read)(path)? {
            return Ok(Some(of(&bytes, path.width())));
        }
        if path.is_full() {
            return Ok(None);
        }
        // A partial file may make room for the full one, of which it is the beginning.
        self.count += 1;
        let full = (self.read)(&path.to_full())?;
        Ok(full.map(|bytes| {
            let mut held = of(&bytes, TILE_WIDTH);
            held.hashes.truncate(path.width().into());
            held.entries.truncate(path.width().into());
            held.surplus = false;
            held
        }))
    }
}

/// What is wrong with a file that should hold `truth`.
pub(super) fn compared(
    path: &TilePath,
    truth: &[TreeHash],
    held: Option<&Held>,
) -> Option<LogFinding> {
    let width = truth.len();
    let Some(held) = held else {
        return Some(finding(path, LogReason::Missing, 0..width));
    };
    let found = held.hashes.as_slice();
    if found == truth {
        return (held.surplus).then(|| finding(path, LogReason::Surplus, 0..width));
    }
    if truth.starts_with(found) {
        return Some(finding(path, LogReason::Truncated, found.len()..width));
    }
    if found.len() < width && is_subsequence(found, truth) {
        let left_out = left_out(found, truth);
        return Some(finding(path, LogReason::Omitted, left_out));
    }
    let differing = differing(found, truth);
    if counted(found) == counted(truth) {
        return Some(finding(path, LogReason::Reordered, differing));
    }
    Some(finding(path, mismatch(path), differing))
}

/// Other entries, or other hashes, than those of the tree.
pub(super) const fn mismatch(path: &TilePath) -> LogReason {
    match path.kind() {
        TileKind::Entries => LogReason::EntryMismatch,
        TileKind::Hashes(_) => LogReason::TileMismatch,
    }
}

/// A finding about the entries below some places of a file.
pub(super) fn finding(path: &TilePath, reason: LogReason, places: Range<usize>) -> LogFinding {
    let span = match path.kind() {
        TileKind::Entries => 1_u64,
        TileKind::Hashes(level) => 1_u64.checked_shl(u32::from(level) * 8).unwrap_or(u64::MAX),
    };
    let first = path.index().saturating_mul(u64::from(TILE_WIDTH));
    let entry = |place: usize| first.saturating_add(place as u64).saturating_mul(span);
    LogFinding {
        file: LogFile::Tile(*path),
        reason,
        entries: Some(entry(places.start)..entry(places.end)),
    }
}

fn is_subsequence(found: &[TreeHash], truth: &[TreeHash]) -> bool {
    let mut rest = truth.iter();
    found.iter().all(|hash| rest.any(|next| next == hash))
}

/// From the first to the last place of `truth` that `found`, which is in order, leaves out.
fn left_out(found: &[TreeHash], truth: &[TreeHash]) -> Range<usize> {
    let same = |(a, b): &(&TreeHash, &TreeHash)| a == b;
    let start = found.iter().zip(truth).take_while(same).count();
    let tail = found.iter().rev().zip(truth.iter().rev());
    let end = truth.len() - tail.take_while(same).count();
    start..end.max(start + truth.len() - found.len())
}

/// From the first to the last place that is not the same.
fn differing(found: &[TreeHash], truth: &[TreeHash]) -> Range<usize> {
    let at = |place: usize| found.get(place) != truth.get(place);
    let places = 0..truth.len();
    let first = places.clone().find(|place| at(*place)).unwrap_or(0);
    let last = places.rev().find(|place| at(*place)).unwrap_or(first);
    first..last + 1
}

/// How often each hash is there.
fn counted(hashes: &[TreeHash]) -> BTreeMap<[u8; 32], usize> {
    let mut counts = BTreeMap::new();
    for hash in hashes {
        *counts.entry(*hash.as_bytes()).or_default() += 1;
    }
    counts
}
