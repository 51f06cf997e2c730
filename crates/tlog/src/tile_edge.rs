use crate::tile_path::{items_of, kinds};
use crate::{
    Frontier, LeafHash, Resource, TILE_WIDTH, TileKind, TilePath, TreeHash, encode_tile, tile_at,
    tile_root,
};

/// The partial tile of every level at one size of a tree: all that is needed to go on with its
/// tiles, to name its root, and to know its last entries again. At most 255 hashes a level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TileEdge {
    size: u64,
    /// INVARIANT: `levels[l]` holds `size / 256^l mod 256` hashes; no empty level is the last.
    levels: Vec<Vec<TreeHash>>,
}

/// Why hashes are not the edge of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the edge of a tree: the number of hashes of a level does not fit the size")]
pub struct TileEdgeError;

impl TileEdge {
    /// The edge of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a tree of `size` entries whose level `l` ends in the partial tile `levels[l]`.
    pub fn from_levels(size: u64, mut levels: Vec<Vec<TreeHash>>) -> Result<Self, TileEdgeError> {
        while levels.last().is_some_and(Vec::is_empty) {
            levels.pop();
        }
        let fits = kinds().skip(1).enumerate().all(|(level, kind)| {
            let found = levels.get(level).map_or(0, Vec::len);
            found as u64 == items_of(kind, size) % u64::from(TILE_WIDTH)
        });
        // A size of 64 bits has eight digits in base 256.
        (fits && levels.len() <= 8)
            .then_some(Self { size, levels })
            .ok_or(TileEdgeError)
    }

    /// Adds a leaf; tiles that it completes are added to `full`.
    pub fn push(&mut self, leaf: LeafHash, full: &mut Vec<Resource>) {
        self.size += 1;
        self.push_hash(0, leaf.into(), full);
    }

    /// Adds a full tile of leaves by its root. Only where the tree ends with a full one.
    pub(crate) fn push_tile(&mut self, root: TreeHash, full: &mut Vec<Resource>) {
        self.size += u64::from(TILE_WIDTH);
        self.push_hash(1, root, full);
    }

    /// The partial tiles that a checkpoint of this size needs, level by level.
    pub fn partials(&self) -> Vec<Resource> {
        let levels = kinds().skip(1).zip(&self.levels);
        let tiles = levels.filter_map(|(kind, hashes)| {
            let index = items_of(kind, self.size) / u64::from(TILE_WIDTH);
            Some(Resource {
                path: tile_at(kind, index, self.size)?,
                bytes: encode_tile(hashes),
            })
        });
        tiles.collect()
    }

    /// The hashes of the partial tile of a level; none where the level ends with a full one.
    pub fn level(&self, level: u8) -> &[TreeHash] {
        self.levels
            .get(usize::from(level))
            .map_or(&[], |level| level)
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

    fn push_hash(&mut self, from: u8, mut hash: TreeHash, full: &mut Vec<Resource>) {
        for level in from.. {
            if self.levels.len() <= usize::from(level) {
                self.levels.resize(usize::from(level) + 1, Vec::new());
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
            // The tile ends where the tree does.
            let kind = TileKind::Hashes(level);
            let index = items_of(kind, self.size) / u64::from(TILE_WIDTH) - 1;
            full.extend(TilePath::new(kind, index, TILE_WIDTH).map(|path| Resource {
                path,
                bytes: encode_tile(&hashes),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogEdge, MemoryTree};

    fn leaf(index: u32) -> LeafHash {
        LeafHash::of(index.to_be_bytes())
    }

    fn tiles_of(files: Vec<Resource>) -> Vec<Resource> {
        let is_tile = |file: &Resource| file.path.kind() != TileKind::Entries;
        files.into_iter().filter(is_tile).collect()
    }

    #[test]
    fn makes_the_tiles_and_roots_that_the_writer_makes() {
        let (mut edge, mut writer) = (TileEdge::new(), LogEdge::new());
        let (mut tiles, mut files) = (Vec::new(), Vec::new());
        let mut tree = MemoryTree::new();
        for index in 0..700 {
            edge.push(leaf(index), &mut tiles);
            writer.push(&index.to_be_bytes(), &mut files).unwrap();
            tree.push(leaf(index));
            assert_eq!(edge.root(), tree.root(), "{index}");
        }
        assert_eq!(tiles, tiles_of(files));
        assert_eq!(edge.partials(), tiles_of(writer.partials()));
    }

    #[test]
    fn goes_on_from_roots_of_tiles_through_three_levels() {
        let (mut edge, mut tree) = (TileEdge::new(), MemoryTree::new());
        let hashes: Vec<TreeHash> = (0..256).map(|index| leaf(index).into()).collect();
        let root = tile_root(&hashes);
        let mut tiles = Vec::new();
        for _ in 0..257 {
            edge.push_tile(root, &mut tiles);
            // A tile's root stands where a leaf of a tree of tiles would.
            tree.push(LeafHash::from_bytes(*root.as_bytes()));
        }
        assert_eq!((edge.size(), edge.root()), (257 * 256, tree.root()));
        let [full] = tiles.as_slice() else {
            panic!("{} tiles", tiles.len());
        };
        assert_eq!(full.path.to_string(), "tile/1/000");
        let names: Vec<String> = edge
            .partials()
            .iter()
            .map(|tile| tile.path.to_string())
            .collect();
        assert_eq!(names, ["tile/1/001.p/1", "tile/2/000.p/1"]);
    }

    #[test]
    fn goes_on_from_its_levels_and_refuses_others() {
        let levels = |edge: &TileEdge| (0..8).map(|level| edge.level(level).to_vec()).collect();
        let mut edge = TileEdge::new();
        for size in 0..600 {
            let again = TileEdge::from_levels(size, levels(&edge));
            assert_eq!(again.as_ref(), Ok(&edge));
            for other in [size + 1, size + 256, u64::MAX] {
                let refused = TileEdge::from_levels(other, levels(&edge));
                assert_eq!(refused, Err(TileEdgeError), "{size} as {other}");
            }
            edge.push(leaf(size as u32), &mut Vec::new());
        }
        let nine = vec![vec![leaf(0).into()]; 9];
        assert_eq!(TileEdge::from_levels(u64::MAX, nine), Err(TileEdgeError));
    }
}
