use crate::tile_path::{items_of, kinds};
use crate::{
    BundleError, EntryTooLarge, Frontier, LeafHash, TILE_WIDTH, TileEdge, TileError, TileKind,
    TilePath, TreeHash, decode_bundle, encode_entry, parse_tile, tile_at,
};

/// The unfinished right edge of a tiled log: its last, partial bundle and the partial tile of
/// every level. All that is needed to go on writing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogEdge {
    bundle: Vec<u8>,
    tiles: TileEdge,
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
        let (mut bundle, mut levels) = (Vec::new(), Vec::new());
        for kind in kinds() {
            let partial = last_partial(kind, size);
            let bytes = match &partial {
                Some(path) => read(path).map_err(|e| EdgeError::Read(*path, e))?,
                None => Vec::new(),
            };
            match (kind, partial) {
                (TileKind::Entries, _) => bundle = bytes,
                (TileKind::Hashes(_), Some(path)) => levels
                    .push(parse_tile(&bytes, path.width()).map_err(|e| EdgeError::Tile(path, e))?),
                (TileKind::Hashes(_), None) => levels.push(Vec::new()),
            }
        }
        // Each tile was read as wide as it is in a log of this size.
        let tiles = TileEdge::from_levels(size, levels).unwrap_or_default();
        let edge = Self { bundle, tiles };
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
        let size = self.size() + 1;
        if size.is_multiple_of(u64::from(TILE_WIDTH)) {
            let index = size / u64::from(TILE_WIDTH) - 1;
            full.extend(
                TilePath::new(TileKind::Entries, index, TILE_WIDTH).map(|path| Resource {
                    path,
                    bytes: std::mem::take(&mut self.bundle),
                }),
            );
        }
        self.tiles.push(leaf, full);
        Ok(leaf)
    }

    /// The partial files that a checkpoint of this size needs.
    pub fn partials(&self) -> Vec<Resource> {
        let bundle = last_partial(TileKind::Entries, self.size()).map(|path| Resource {
            path,
            bytes: self.bundle.clone(),
        });
        bundle.into_iter().chain(self.tiles.partials()).collect()
    }

    /// The number of entries.
    pub const fn size(&self) -> u64 {
        self.tiles.size()
    }

    /// The root of the tree.
    pub fn root(&self) -> TreeHash {
        self.tiles.root()
    }

    /// The frontier of the tree.
    pub fn frontier(&self) -> Frontier {
        self.tiles.frontier()
    }

    fn check_bundle<E: std::error::Error + 'static>(&self) -> Result<(), EdgeError<E>> {
        let Some(path) = last_partial(TileKind::Entries, self.size()) else {
            return Ok(());
        };
        let entries =
            decode_bundle(&self.bundle, path.width()).map_err(|e| EdgeError::Bundle(path, e))?;
        let leaves = entries.into_iter().map(|e| TreeHash::from(LeafHash::of(e)));
        leaves
            .eq(self.tiles.level(0).iter().copied())
            .then_some(())
            .ok_or(EdgeError::Mismatch(path))
    }
}

fn last_partial(kind: TileKind, size: u64) -> Option<TilePath> {
    tile_at(kind, items_of(kind, size) / u64::from(TILE_WIDTH), size)
}
