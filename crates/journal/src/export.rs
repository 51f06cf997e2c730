use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use chancery_tlog::{Checkpoint, Note, TileKind, rebuild, tiles_for};

use crate::disk::folder_of;
use crate::{Damage, JournalError, Reader};

/// What was copied out of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// What the checkpoint says.
    pub checkpoint: Checkpoint,
    /// The number of files, the checkpoint included.
    pub files: u64,
}

impl Reader {
    /// Copies a checkpoint and every tile and bundle of a log of its size into `target`, which
    /// must not exist: exactly the files that [`tiles_for`] names and `checkpoint`. The tiles are
    /// recomputed from the entries, compared with those on disk and with the checkpoint's root,
    /// so that a damaged log is noticed here and not by the one who is to be convinced.
    pub fn export(&self, note: &str, target: &Path) -> Result<Exported, JournalError> {
        let source = self.checkpoint_path();
        let damaged = |damage: Damage| JournalError::damaged(&source, damage);
        let parsed = Note::parse(note.as_bytes()).map_err(|error| damaged(error.into()))?;
        let checkpoint: Checkpoint = parsed
            .text()
            .parse()
            .map_err(|error: chancery_tlog::CheckpointTextError| damaged(error.into()))?;
        if checkpoint.origin != *self.origin() {
            return Err(damaged(Damage::Mismatch));
        }
        let bundles: Result<Vec<_>, _> = tiles_for(checkpoint.size)
            .take_while(|path| path.kind() == TileKind::Entries)
            .map(|path| Ok((path, self.resource(&path)?)))
            .collect();
        let bundles: Vec<_> = bundles?;
        let bytes = bundles.iter().map(|(_, bytes)| bytes);
        let rebuilt = rebuild(checkpoint.size, bytes).map_err(|error| self.rebuild_error(error))?;
        if rebuilt.root != checkpoint.root {
            return Err(damaged(Damage::Mismatch));
        }
        fs::create_dir(target).map_err(JournalError::io(target))?;
        for (path, bytes) in &bundles {
            write(&target.join(path.to_string()), bytes)?;
        }
        for tile in &rebuilt.tiles {
            if self.resource(&tile.path)? != tile.bytes {
                return Err(JournalError::mismatch(self.dir(), &tile.path));
            }
            write(&target.join(tile.path.to_string()), &tile.bytes)?;
        }
        write(&target.join("checkpoint"), note.as_bytes())?;
        Ok(Exported {
            checkpoint,
            files: (bundles.len() + rebuilt.tiles.len() + 1) as u64,
        })
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(JournalError::io(folder))?;
    File::create_new(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(JournalError::io(path))
}
