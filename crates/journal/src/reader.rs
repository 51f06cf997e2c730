mod check;
mod entries;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_tlog::{
    Checkpoint, LeafHash, NodeSource, Note, Origin, ProveError, Subtree, TILE_WIDTH, TileKind,
    TileNodes, TileNodesError, TilePath, TlogProof, TreeHash, decode_bundle, encode_entry,
    parse_tile, prove_consistency, prove_inclusion, subtree_root, tile_at,
};

use crate::disk::{FORMAT_FILE, read_format, read_if_present, read_state};
use crate::storage::place_of;
use crate::wal::scan;
use crate::witness::AlarmNotes;
use crate::{Damage, JournalError, LocalDisk, Storage};

pub(crate) use check::check_right_edge;
pub use entries::Entries;

const CHECKPOINT_FILE: &str = "checkpoint";

/// Reads a log directory, beside its writer or without one. What it returns is checked against
/// the tiles; whether the log is to be trusted is for the verification of its checkpoint to say.
#[derive(Debug, Clone)]
pub struct Reader {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    origin: Origin,
}

impl Reader {
    /// Takes up a log directory of this machine, or the log where the directory says that it is kept.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let (storage, dir) = place_of(dir)?;
        Self::open_on(storage, &dir)
    }

    /// Takes up a log directory on a disk.
    pub fn open_on(storage: Arc<dyn Storage>, dir: &Path) -> Result<Self, JournalError> {
        let origin = read_format(&*storage, dir)?.ok_or_else(|| JournalError::Missing {
            path: dir.join(FORMAT_FILE),
        })?;
        Ok(Self::new(storage, dir, origin))
    }

    /// Takes up a folder that holds a published log: a checkpoint and its tiles, as
    /// [`Reader::export`] writes them and a mirror keeps them. A writer's own directory is one too.
    pub fn open_published(dir: &Path) -> Result<Self, JournalError> {
        let storage: Arc<dyn Storage> = Arc::new(LocalDisk);
        if let Some(origin) = read_format(&*storage, dir)? {
            return Ok(Self::new(storage, dir, origin));
        }
        let path = dir.join(CHECKPOINT_FILE);
        let bytes = read_if_present(&*storage, &path)?;
        let bytes = bytes.ok_or_else(|| JournalError::Missing { path: path.clone() })?;
        let (_, checkpoint) = parse_checkpoint(&path, &bytes)?;
        Ok(Self::new(storage, dir, checkpoint.origin))
    }

    /// The log.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The visible checkpoint, a signed note, and what its text says; none before the first.
    pub fn checkpoint(&self) -> Result<Option<(String, Checkpoint)>, JournalError> {
        let path = self.checkpoint_path();
        let Some(bytes) = read_if_present(&*self.storage, &path)? else {
            return Ok(None);
        };
        let (note, checkpoint) = parse_checkpoint(&path, &bytes)?;
        if checkpoint.origin != self.origin {
            return Err(JournalError::damaged(&path, Damage::Mismatch));
        }
        Ok(Some((note, checkpoint)))
    }

    /// The bytes of a tile or bundle that the visible checkpoint covers; none of any other, and
    /// none where the file is not there.
    pub fn published(&self, path: &TilePath) -> Result<Option<Vec<u8>>, JournalError> {
        let widest = tile_at(path.kind(), path.index(), self.size()?);
        if widest.is_none_or(|widest| widest.width() < path.width()) {
            return Ok(None);
        }
        match self.resource(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(JournalError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The number of entries that the visible checkpoint covers.
    pub fn size(&self) -> Result<u64, JournalError> {
        Ok(self
            .checkpoint()?
            .map_or(0, |(_, checkpoint)| checkpoint.size))
    }

    /// The number of entries that are durable here, published or not: what a writer that takes up
    /// this directory begins with.
    pub fn durable_size(&self) -> Result<u64, JournalError> {
        let state = read_state(&*self.storage, &self.dir)?;
        Ok(scan(&*self.storage, &self.dir, state.size())?.next)
    }

    /// The notes that stopped this log, where it was stopped: what was shown of it and, where there
    /// was any, what it had signed itself by then. Their signatures are not verified here.
    pub fn alarm_notes(&self) -> Result<Vec<String>, JournalError> {
        let notes = AlarmNotes::read(self)?;
        Ok(notes.map(AlarmNotes::into_notes).unwrap_or_default())
    }

    /// The bytes of a tile or bundle. A partial one that has made room for the full one is cut
    /// out of that.
    pub fn resource(&self, path: &TilePath) -> Result<Vec<u8>, JournalError> {
        let file = self.dir.join(path.to_string());
        if let Some(bytes) = read_if_present(&*self.storage, &file)? {
            return Ok(bytes);
        }
        let full = self.dir.join(path.to_full().to_string());
        match read_if_present(&*self.storage, &full)? {
            Some(bytes) if !path.is_full() => cut(&full, &bytes, path),
            _ => Err(JournalError::Missing { path: file }),
        }
    }

    /// The bytes of a tile or bundle of exactly that path; none where there is none.
    pub(crate) fn file(&self, path: &TilePath) -> Result<Option<Vec<u8>>, JournalError> {
        read_if_present(&*self.storage, &self.dir.join(path.to_string()))
    }

    /// One entry that the visible checkpoint covers.
    pub fn read_entry(&self, index: u64) -> Result<Vec<u8>, JournalError> {
        let size = self.size()?;
        let bundle = self.bundle(index / u64::from(TILE_WIDTH), size)?;
        let at = (index % u64::from(TILE_WIDTH)) as usize;
        bundle
            .into_iter()
            .nth(at)
            .ok_or(JournalError::OutOfRange { asked: index, size })
    }

    /// The entries of a range, as far as the visible checkpoint covers it.
    pub fn entries(&self, range: std::ops::Range<u64>) -> Result<Entries, JournalError> {
        Ok(Entries::new(self.clone(), range, self.size()?))
    }

    /// The proof that entry `index` is in the tree of `size` entries.
    pub fn prove_inclusion(&self, index: u64, size: u64) -> Result<Vec<TreeHash>, JournalError> {
        prove_inclusion(&self.nodes(size)?, index, size)
            .map_err(|error| self.prove_error(error, index, size))
    }

    /// The proof that the tree of `new_size` begins with that of `old_size`; none is needed, and
    /// the proof is empty, where the older tree is empty.
    pub fn prove_consistency(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<Vec<TreeHash>, JournalError> {
        if old_size == 0 {
            return Ok(Vec::new());
        }
        prove_consistency(&self.nodes(new_size)?, old_size, new_size)
            .map_err(|error| self.prove_error(error, old_size, new_size))
    }

    /// The root that the tree had with `size` entries, as far as the visible checkpoint goes.
    pub fn root_at(&self, size: u64) -> Result<TreeHash, JournalError> {
        let known = self.size()?;
        self.root_within(size, known)
    }

    /// The proof file for an entry that the visible checkpoint covers.
    pub fn proof_file(&self, index: u64) -> Result<TlogProof, JournalError> {
        let (note, checkpoint) = self.checkpoint()?.ok_or_else(|| JournalError::Missing {
            path: self.checkpoint_path(),
        })?;
        Ok(TlogProof {
            extra: None,
            index,
            path: self.prove_inclusion(index, checkpoint.size)?,
            checkpoint: note,
        })
    }

    pub(crate) fn new(storage: Arc<dyn Storage>, dir: &Path, origin: Origin) -> Self {
        Self {
            storage,
            dir: dir.to_owned(),
            origin,
        }
    }

    pub(crate) const fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.dir.join(CHECKPOINT_FILE)
    }

    /// The hashes of a tile.
    pub(crate) fn hashes(&self, path: &TilePath) -> Result<Vec<TreeHash>, JournalError> {
        let bytes = self.resource(path)?;
        parse_tile(&bytes, path.width())
            .map_err(|error| JournalError::damaged(&self.dir.join(path.to_string()), error))
    }

    /// The entries of a bundle of a log of `size` entries, each compared with its leaf hash.
    pub(crate) fn bundle(&self, index: u64, size: u64) -> Result<Vec<Vec<u8>>, JournalError> {
        let beyond = || JournalError::OutOfRange {
            asked: index.saturating_mul(u64::from(TILE_WIDTH)),
            size,
        };
        let path = tile_at(TileKind::Entries, index, size).ok_or_else(beyond)?;
        let tile = tile_at(TileKind::Hashes(0), index, size).ok_or_else(beyond)?;
        let bytes = self.resource(&path)?;
        let entries = decode_bundle(&bytes, path.width())
            .map_err(|error| JournalError::damaged(&self.dir.join(path.to_string()), error))?;
        let leaves = entries.iter().map(|e| TreeHash::from(LeafHash::of(e)));
        if !leaves.eq(self.hashes(&tile)?) {
            return Err(JournalError::mismatch(&self.dir, &path));
        }
        Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
    }

    /// The root that the tree had with `size` entries, from the files of one of `known` entries.
    pub(crate) fn root_within(&self, size: u64, known: u64) -> Result<TreeHash, JournalError> {
        let beyond = || JournalError::OutOfRange {
            asked: size,
            size: known,
        };
        let tree = Subtree::new(0, size).map_err(|_| beyond())?;
        subtree_root(&self.nodes_within(known), tree)
            .map_err(|error| self.node_error(error, size, known))
    }

    /// The nodes of a tree of at least `size` entries: the files of the visible checkpoint are
    /// there, those of an arbitrary smaller size may never have been.
    fn nodes(
        &self,
        size: u64,
    ) -> Result<impl NodeSource<Error = TileNodesError<JournalError>>, JournalError> {
        Ok(self.nodes_within(self.size()?.max(size)))
    }

    fn nodes_within(&self, known: u64) -> impl NodeSource<Error = TileNodesError<JournalError>> {
        TileNodes::new(known, |path: &TilePath| self.resource(path))
    }

    fn prove_error(
        &self,
        error: ProveError<TileNodesError<JournalError>>,
        asked: u64,
        size: u64,
    ) -> JournalError {
        match error {
            ProveError::Source(error) => self.node_error(error, asked, size),
            _ => JournalError::OutOfRange { asked, size },
        }
    }

    fn node_error(
        &self,
        error: TileNodesError<JournalError>,
        asked: u64,
        size: u64,
    ) -> JournalError {
        match error {
            TileNodesError::Read(_, error) => error,
            TileNodesError::Tile(path, error) => {
                JournalError::damaged(&self.dir.join(path.to_string()), error)
            }
            _ => JournalError::OutOfRange { asked, size },
        }
    }
}

fn parse_checkpoint(path: &Path, bytes: &[u8]) -> Result<(String, Checkpoint), JournalError> {
    let damaged = |damage: Damage| JournalError::damaged(path, damage);
    let note = Note::parse(bytes).map_err(|error| damaged(error.into()))?;
    let checkpoint = note
        .text()
        .parse()
        .map_err(|error: chancery_tlog::CheckpointTextError| damaged(error.into()))?;
    Ok((note.to_string(), checkpoint))
}

/// The partial tile or bundle that a full one began as.
fn cut(file: &Path, full: &[u8], path: &TilePath) -> Result<Vec<u8>, JournalError> {
    if path.kind() != TileKind::Entries {
        let cut = full
            .get(..usize::from(path.width()) * 32)
            .map(<[u8]>::to_vec);
        return cut
            .ok_or_else(|| JournalError::io(file)(io::Error::from(io::ErrorKind::UnexpectedEof)));
    }
    let entries =
        decode_bundle(full, TILE_WIDTH).map_err(|error| JournalError::damaged(file, error))?;
    let mut cut = Vec::new();
    for entry in entries.into_iter().take(path.width().into()) {
        encode_entry(entry, &mut cut).map_err(|_| JournalError::damaged(file, Damage::Mismatch))?;
    }
    Ok(cut)
}
