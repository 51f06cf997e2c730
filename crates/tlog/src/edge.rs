use crate::tile_path::{items_of, kinds};
use crate::{
    BundleError, EntryTooLarge, Frontier, LeafHash, TILE_WIDTH, TileError, TileKind, TilePath,
    TreeHash, decode_bundle, encode_entry, encode_tile, parse_tile, tile_at, tile_root,
};

/// The unfinished right edge of a tiled log: its last, partial bundle and the partial tile of
/// every level. All that is needed to go on writing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogEdge {
    size: u64,
    bundle: Vec<u8>,
    /// INVARIANT: `levels[l]` holds `size / 256^l mod 256` hashes.
    levels: Vec<Vec<TreeHash>>,
}

/// One file of a tiled log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Where it stands.
    pub path: TilePath,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Why an edge cannot be taken up again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError<E: std::error::Error + 'static> {
    /// A file cannot be read.
    #[error("{0} cannot be read")]
    Read(TilePath, #[source] E),
    /// A tile is malformed.
    #[error("{0} is malformed")]
    Tile(TilePath, #[source] TileError),
    /// The last bundle is malformed.
    #[error("{0} is malformed")]
    Bundle(TilePath, #[source] BundleError),
    /// The entries of the last bundle are not those of its tile.
    #[error("{0} does not hold the entries that its tile names")]
    Mismatch(TilePath),
}

impl LogEdge {
    /// The edge of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up the edge of a log of `size` entries from its partial files.
    pub fn load<E: std::error::Error + 'static>(
        size: u64,
        mut read: impl FnMut(&TilePath) -> Result<Vec<u8>, E>,
    ) -> Result<Self, EdgeError<E>> {
        let mut edge = Self {
            size,
            ..Self::default()
        };
        for kind in kinds() {
            let partial = last_partial(kind, size);
            let bytes = match &partial {
                Some(path) => read(path).map_err(|e| EdgeError::Read(*path, e))?,
                None => Vec::new(),
            };
            match (kind, partial) {
                (TileKind::Entries, _) => edge.bundle = bytes,
                (TileKind::Hashes(_), Some(path)) => edge
                    .levels
                    .push(parse_tile(&bytes, path.width()).map_err(|e| EdgeError::Tile(path, e))?),
                (TileKind::Hashes(_), None) => edge.levels.push(Vec::new()),
            }
        }
        edge.check_bundle()?;
        Ok(edge)
    }

    /// Adds an entry; files that it completes are added to `full`.
    pub fn push(
        &mut self,
        entry: &[u8],
        full: &mut Vec<Resource>,
    ) -> Result<LeafHash, EntryTooLarge> {
        encode_entry(entry, &mut self.bundle)?;
        let leaf = LeafHash::of(entry);
        let index = self.size / u64::from(TILE_WIDTH);
        self.size += 1;
        if self.size.is_multiple_of(u64::from(TILE_WIDTH)) {
            full.extend(resource(TileKind::Entries, index, TILE_WIDTH, || {
                std::mem::take(&mut self.bundle)
            }));
        }
        self.push_hash(leaf.into(), full);
        Ok(leaf)
    }

    /// The partial files that a checkpoint of this size needs.
    pub fn partials(&self) -> Vec<Resource> {
        kinds()
            .filter_map(|kind| last_partial(kind, self.size))
            .map(|path| Resource {
                path,
                bytes: match path.kind() {
                    TileKind::Entries => self.bundle.clone(),
                    TileKind::Hashes(level) => self
                        .levels
                        .get(usize::from(level))
                        .map_or_else(Vec::new, |hashes| encode_tile(hashes)),
                },
            })
            .collect()
    }

    /// The number of entries.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> TreeHash {
        self.frontier().root()
    }

    /// The frontier of the tree.
    pub fn frontier(&self) -> Frontier {
        let mut roots = Vec::new();
        for hashes in self.levels.iter().rev() {
            let mut rest = hashes.as_slice();
            for bit in (0..8).rev() {
                if rest.len() >> bit & 1 == 1
                    && let Some((part, after)) = rest.split_at_checked(1 << bit)
                {
                    roots.push(tile_root(part));
                    rest = after;
                }
            }
        }
        // The levels hold the digits of the size in base 256, so there is one root for every bit.
        Frontier::from_parts(self.size, roots).unwrap_or_default()
    }

    fn push_hash(&mut self, mut hash: TreeHash, full: &mut Vec<Resource>) {
        let mut index = (self.size - 1) / u64::from(TILE_WIDTH);
        for level in 0_u8.. {
            if self.levels.len() <= usize::from(level) {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(usize::from(level)) else {
                return;
            };
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let hashes = std::mem::take(hashes);
            hash = tile_root(&hashes);
            full.extend(resource(TileKind::Hashes(level), index, TILE_WIDTH, || {
                encode_tile(&hashes)
            }));
            index /= u64::from(TILE_WIDTH);
        }
    }

    fn check_bundle<E: std::error::Error + 'static>(&self) -> Result<(), EdgeError<E>> {
        let Some(path) = last_partial(TileKind::Entries, self.size) else {
            return Ok(());
        };
        let entries =
            decode_bundle(&self.bundle, path.width()).map_err(|e| EdgeError::Bundle(path, e))?;
        let leaves = entries.into_iter().map(|e| TreeHash::from(LeafHash::of(e)));
        match self.levels.first() {
            Some(hashes) if leaves.eq(hashes.iter().copied()) => Ok(()),
            _ => Err(EdgeError::Mismatch(path)),
        }
    }
}

fn last_partial(kind: TileKind, size: u64) -> Option<TilePath> {
    tile_at(kind, items_of(kind, size) / u64::from(TILE_WIDTH), size)
}

fn resource(
    kind: TileKind,
    index: u64,
    width: u16,
    bytes: impl FnOnce() -> Vec<u8>,
) -> Option<Resource> {
    TilePath::new(kind, index, width).ok().map(|path| Resource {
        path,
        bytes: bytes(),
    })
}
