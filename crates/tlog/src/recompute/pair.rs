//! An entry bundle and the tile of its leaf hashes: two witnesses of the same entries.

use crate::{LogFinding, TileKind, TilePath, TreeHash, tile_at, tile_root};

use super::held::{Files, Held, compared, finding, mismatch};

/// Both files, as they are.
pub(super) struct Pair {
    pub(super) index: u64,
    bundle_path: TilePath,
    tile_path: TilePath,
    bundle: Option<Held>,
    tile: Option<Held>,
}

/// What a pair of files says together with the hash that the tile above has for them.
pub(super) enum Resolved {
    /// These are the leaves.
    Leaves(Vec<TreeHash>),
    /// Those of the bundle, or those of the tile.
    Either(Vec<TreeHash>, Vec<TreeHash>),
    /// None of both has them; together they hash to this.
    Root(TreeHash),
    /// Nothing.
    Nothing,
}

impl Pair {
    pub(super) fn read<E>(
        index: u64,
        size: u64,
        files: &mut Files<'_, E>,
    ) -> Result<Option<Self>, E> {
        let paths =
            tile_at(TileKind::Entries, index, size).zip(tile_at(TileKind::Hashes(0), index, size));
        let Some((bundle_path, tile_path)) = paths else {
            return Ok(None);
        };
        Ok(Some(Self {
            index,
            bundle: files.held(&bundle_path)?,
            tile: files.held(&tile_path)?,
            bundle_path,
            tile_path,
        }))
    }

    /// Shows the entries from `first` on, where the bundle is whole.
    pub(super) fn entries_from(&self, first: u64, each: &mut dyn FnMut(u64, &[u8])) {
        let whole = self
            .bundle
            .as_ref()
            .filter(|held| held.is_whole(self.bundle_path.width()));
        let start = self.index * u64::from(crate::TILE_WIDTH);
        for (index, entry) in (start..).zip(whole.into_iter().flat_map(|held| &held.entries)) {
            if index >= first {
                each(index, entry);
            }
        }
    }

    /// The leaves on which both agree, and both are whole.
    pub(super) fn agreed(&self) -> Option<Vec<TreeHash>> {
        let (bundle, tile) = (self.whole(&self.bundle)?, self.whole(&self.tile)?);
        (bundle == tile).then_some(bundle)
    }

    /// Whom to believe where they do not agree.
    pub(super) fn resolve(&self, above: Option<TreeHash>) -> Resolved {
        let enough = |held: &Option<Held>| {
            let hashes = held.as_ref().map(|held| held.hashes.clone());
            hashes.filter(|hashes| hashes.len() == usize::from(self.tile_path.width()))
        };
        let both = (enough(&self.bundle), enough(&self.tile));
        if self.tile_path.is_full()
            && let Some(root) = above
        {
            let makes = |leaves: &Vec<TreeHash>| tile_root(leaves) == root;
            let leaves = both.0.filter(makes).or_else(|| both.1.filter(makes));
            return leaves.map_or(Resolved::Root(root), Resolved::Leaves);
        }
        match both {
            (Some(bundle), Some(tile)) if bundle != tile => Resolved::Either(bundle, tile),
            (Some(leaves), _) | (None, Some(leaves)) => Resolved::Leaves(leaves),
            (None, None) => Resolved::Nothing,
        }
    }

    /// What is wrong with the two where the leaves are these.
    pub(super) fn findings(&self, leaves: &[TreeHash]) -> impl Iterator<Item = LogFinding> {
        let bundle = compared(&self.bundle_path, leaves, self.bundle.as_ref());
        let tile = compared(&self.tile_path, leaves, self.tile.as_ref());
        bundle.into_iter().chain(tile)
    }

    /// What is wrong where nobody says what the leaves are: what is missing, and otherwise both.
    pub(super) fn unresolved(&self) -> Vec<LogFinding> {
        let width = usize::from(self.tile_path.width());
        let files = [
            (&self.bundle_path, &self.bundle),
            (&self.tile_path, &self.tile),
        ];
        let said = |(path, held): (&TilePath, &Option<Held>)| match held {
            None => finding(path, crate::LogReason::Missing, 0..width),
            Some(held) if held.hashes.len() < width => {
                finding(path, crate::LogReason::Truncated, held.hashes.len()..width)
            }
            Some(_) => finding(path, mismatch(path), 0..width),
        };
        files.into_iter().map(said).collect()
    }

    fn whole(&self, held: &Option<Held>) -> Option<Vec<TreeHash>> {
        let held = held.as_ref()?;
        held.is_whole(self.tile_path.width())
            .then(|| held.hashes.clone())
    }
}
