use chancery_tlog::{
    Checkpoint, LogEdge, RebuildError, Recomputed, Resource, TILE_WIDTH, TileEdge, TileKind,
    TilePath, decode_bundle, recompute, tile_at, tile_root, tiles_for,
};

use crate::{Damage, JournalError, Reader};

/// So many of the last bundles, and of the last tiles of every level, are read at a start.
const WINDOW: u64 = 256;

impl Reader {
    /// Recomputes every tile and the root from the entry bundles and compares them with what is
    /// there and with the visible checkpoint. Names the first file that differs. Holds one bundle
    /// in memory, however long the log is.
    pub fn audit(&self) -> Result<Option<Checkpoint>, JournalError> {
        let Some((_, checkpoint)) = self.checkpoint()? else {
            return Ok(None);
        };
        let (mut edge, mut rebuilt) = (LogEdge::new(), Vec::new());
        for path in tiles_for(checkpoint.size).take_while(|path| path.kind() == TileKind::Entries) {
            let damaged = |damage: Damage| {
                let file = self.dir().join(path.to_string());
                JournalError::damaged(&file, damage)
            };
            let bytes = self.resource(&path)?;
            for entry in decode_bundle(&bytes, path.width()).map_err(|e| damaged(e.into()))? {
                // What a bundle carries is never too large for one.
                edge.push(entry, &mut rebuilt)
                    .map_err(|_| damaged(Damage::Mismatch))?;
            }
            for tile in rebuilt.drain(..) {
                self.compare(&tile)?;
            }
        }
        for tile in edge.partials() {
            self.compare(&tile)?;
        }
        if edge.root() != checkpoint.root {
            let path = self.checkpoint_path();
            return Err(JournalError::damaged(&path, Damage::Mismatch));
        }
        Ok(Some(checkpoint))
    }

    fn compare(&self, tile: &Resource) -> Result<(), JournalError> {
        // Bundles are what the tiles are recomputed from.
        if tile.path.kind() == TileKind::Entries || self.resource(&tile.path)? == tile.bytes {
            return Ok(());
        }
        Err(JournalError::mismatch(self.dir(), &tile.path))
    }

    /// Recomputes a checkpoint's log as [`chancery_tlog::recompute`] does: everything that differs,
    /// and not only the first. `each` sees the entries.
    pub fn recompute(
        &self,
        checkpoint: &Checkpoint,
        mut each: impl FnMut(u64, &[u8]),
    ) -> Result<Recomputed, JournalError> {
        let mut read = |path: &TilePath| self.file(path);
        recompute(checkpoint, &TileEdge::new(), true, &mut read, &mut each)
    }

    pub(crate) fn rebuild_error(&self, error: RebuildError) -> JournalError {
        let file = |path: TilePath| self.dir().join(path.to_string());
        match error {
            RebuildError::Missing(path) => JournalError::Missing { path: file(path) },
            RebuildError::Bundle(path, error) => JournalError::damaged(&file(path), error),
            _ => JournalError::damaged(self.dir(), Damage::Mismatch),
        }
    }
}

/// What a writer checks before it goes on with a log of `size` entries: every file is there and
/// not shorter than it can be, and the newest bundles and tiles agree with those above them.
pub(crate) fn check_right_edge(reader: &Reader, size: u64) -> Result<(), JournalError> {
    for path in tiles_for(size) {
        check_length(reader, &path)?;
    }
    let bundles = size.div_ceil(u64::from(TILE_WIDTH));
    for index in bundles.saturating_sub(WINDOW)..bundles {
        reader.bundle(index, size)?;
    }
    for level in 1..8_u8 {
        let hashes = size >> (u32::from(level) * 8);
        for position in hashes.saturating_sub(WINDOW)..hashes {
            check_child(reader, level, position, size)?;
        }
    }
    Ok(())
}

fn check_length(reader: &Reader, path: &TilePath) -> Result<(), JournalError> {
    let file = reader.dir().join(path.to_string());
    let found = reader.storage().length(&file);
    let Some(found) = found.map_err(JournalError::io(&file))? else {
        // A partial one may have made room for the full one already; both missing is an error.
        return reader.resource(path).map(|_| ());
    };
    let width = u64::from(path.width());
    let fits = match path.kind() {
        TileKind::Entries => found >= width * 2,
        TileKind::Hashes(_) => found == width * 32,
    };
    fits.then_some(())
        .ok_or_else(|| JournalError::damaged(&file, Damage::Checksum))
}

/// Compares the hash at `position` of `level` with the root of the full tile that it stands for.
fn check_child(reader: &Reader, level: u8, position: u64, size: u64) -> Result<(), JournalError> {
    let width = u64::from(TILE_WIDTH);
    let parent = tile_at(TileKind::Hashes(level), position / width, size);
    let child = tile_at(TileKind::Hashes(level - 1), position, size);
    let (Some(parent), Some(child)) = (parent, child) else {
        return Ok(());
    };
    let hashes = reader.hashes(&parent)?;
    if hashes.get((position % width) as usize) == Some(&tile_root(&reader.hashes(&child)?)) {
        return Ok(());
    }
    Err(JournalError::mismatch(reader.dir(), &child))
}
