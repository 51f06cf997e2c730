use crate::{
    BundleError, LeafHash, LogEdge, MemoryTree, Resource, TileKind, TilePath, TreeHash,
    decode_bundle, tiles_for,
};

/// A tiled log recomputed from nothing but its entry bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The number of entries.
    pub size: u64,
    /// The root of the tree.
    pub root: TreeHash,
    /// The hash of every entry.
    pub leaves: Vec<LeafHash>,
    /// Every tile of hashes that a log of this size has, in the order of [`tiles_for`].
    pub tiles: Vec<Resource>,
}

/// Why a log cannot be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// A bundle is not there.
    #[error("{0} is missing")]
    Missing(TilePath),
    /// A bundle does not hold what a log of this size has there.
    #[error("{0} is malformed")]
    Bundle(TilePath, #[source] BundleError),
    /// More bundles than a log of this size has.
    #[error("more entry bundles than a log of this size has")]
    Surplus,
}

impl Rebuilt {
    /// The whole tree, for proofs and earlier roots.
    pub fn tree(&self) -> MemoryTree {
        self.leaves.iter().copied().collect()
    }
}

/// Recomputes leaf hashes, tiles and root of a log of `size` entries from the bytes of its
/// bundles in order. What a log presents as tiles must equal what this returns, byte for byte.
pub fn rebuild<B: AsRef<[u8]>>(
    size: u64,
    bundles: impl IntoIterator<Item = B>,
) -> Result<Rebuilt, RebuildError> {
    let mut bundles = bundles.into_iter();
    let (mut edge, mut leaves, mut files) = (LogEdge::new(), Vec::new(), Vec::new());
    for path in tiles_for(size).take_while(|path| path.kind() == TileKind::Entries) {
        let bundle = bundles.next().ok_or(RebuildError::Missing(path))?;
        let entries = decode_bundle(bundle.as_ref(), path.width())
            .map_err(|error| RebuildError::Bundle(path, error))?;
        for entry in entries {
            // What a bundle carries is never too large for one.
            leaves.extend(edge.push(entry, &mut files));
        }
        files.retain(|file| file.path.kind() != TileKind::Entries);
    }
    if bundles.next().is_some() {
        return Err(RebuildError::Surplus);
    }
    let root = edge.root();
    files.extend(edge.partials());
    files.retain(|file| file.path.kind() != TileKind::Entries);
    files.sort_by_key(|file| file.path);
    Ok(Rebuilt {
        size,
        root,
        leaves,
        tiles: files,
    })
}
