use crate::{
    NodeSource, TILE_WIDTH, TileError, TileKind, TilePath, TreeHash, parse_tile, tile_at, tile_root,
};

/// The nodes of a tree of known size, read from its tiles.
#[derive(Debug)]
pub struct TileNodes<F> {
    size: u64,
    read: F,
}

/// Why a node cannot be had from tiles.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TileNodesError<E: std::error::Error + 'static> {
    /// The node is not in a tree of this size.
    #[error("beyond the end of the tree")]
    OutOfTree,
    /// The tile cannot be read.
    #[error("{0} cannot be read")]
    Read(TilePath, #[source] E),
    /// The tile is malformed.
    #[error("{0} is malformed")]
    Tile(TilePath, #[source] TileError),
}

impl<E, F> TileNodes<F>
where
    F: Fn(&TilePath) -> Result<Vec<u8>, E>,
{
    /// The nodes of the tree of `size` entries whose tiles `read` fetches.
    pub const fn new(size: u64, read: F) -> Self {
        Self { size, read }
    }
}

impl<E, F> NodeSource for TileNodes<F>
where
    E: std::error::Error + 'static,
    F: Fn(&TilePath) -> Result<Vec<u8>, E>,
{
    type Error = TileNodesError<E>;

    fn node(&self, level: u32, index: u64) -> Result<TreeHash, Self::Error> {
        let first = index
            .checked_mul(1 << (level % 8))
            .ok_or(TileNodesError::OutOfTree)?;
        let count = 1_usize << (level % 8);
        let kind = TileKind::Hashes((level / 8).try_into().unwrap_or(u8::MAX));
        let path = tile_at(kind, first / u64::from(TILE_WIDTH), self.size)
            .ok_or(TileNodesError::OutOfTree)?;
        let bytes = (self.read)(&path).map_err(|e| TileNodesError::Read(path, e))?;
        let hashes = parse_tile(&bytes, path.width()).map_err(|e| TileNodesError::Tile(path, e))?;
        let within = (first % u64::from(TILE_WIDTH)) as usize;
        hashes
            .get(within..within + count)
            .map(tile_root)
            .ok_or(TileNodesError::OutOfTree)
    }
}
