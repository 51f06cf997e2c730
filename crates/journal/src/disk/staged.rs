use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_tlog::Resource;

use super::{TEMPORARY, folder_of, read_if_present, sync_folder};
use crate::{Access, Damage, JournalError, Storage, StorageFile};

/// From this many new files on, one sync of the file system is cheaper than one for each.
const SYNC_ALL_FROM: usize = 64;

/// Tiles and bundles that are being written. A path never changes what it holds: what is there
/// already is compared, and a new name appears once all contents are durable.
#[derive(Debug)]
pub(crate) struct Staged {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    /// Every folder above a file of this batch, up to the log's own.
    folders: BTreeSet<PathBuf>,
    written: Vec<(PathBuf, PathBuf)>,
    /// The files that are synced one by one; none of them once they are too many.
    open: Vec<(Box<dyn StorageFile>, PathBuf)>,
}

impl Staged {
    /// An empty batch for the log in `dir`.
    pub(crate) fn new(storage: Arc<dyn Storage>, dir: &Path) -> Self {
        Self {
            storage,
            dir: dir.to_owned(),
            folders: BTreeSet::new(),
            written: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Adds a file. Its content is on its way to the disk; its name is not there yet.
    pub(crate) fn add(&mut self, resource: &Resource) -> Result<(), JournalError> {
        let target = self.dir.join(resource.path.to_string());
        if !self.folders.contains(folder_of(&target)) {
            let above = target.ancestors().skip(1);
            let above = above.take_while(|folder| folder.starts_with(&self.dir));
            self.folders.extend(above.map(Path::to_owned));
        }
        match read_if_present(&*self.storage, &target)? {
            Some(bytes) if bytes == resource.bytes => return Ok(()),
            Some(_) => return Err(JournalError::damaged(&target, Damage::Mismatch)),
            None => {}
        }
        let name = format!("tile-{}", self.written.len());
        let temporary = self.dir.join(TEMPORARY).join(name);
        let io = || JournalError::io(&temporary);
        let file = self
            .storage
            .create(&temporary, Access::Mask)
            .map_err(io())?;
        file.write_all_at(&resource.bytes, 0).map_err(io())?;
        self.written.push((temporary.clone(), target));
        match self.written.len() {
            count if count < SYNC_ALL_FROM => self.open.push((file, temporary)),
            _ => {
                self.open.drain(..).for_each(|(file, _)| file.start_sync());
                file.start_sync();
            }
        }
        Ok(())
    }

    /// Makes the contents durable, then the names. The batch is empty afterwards.
    pub(crate) fn settle(&mut self) -> Result<(), JournalError> {
        if self.written.len() < SYNC_ALL_FROM {
            for (file, path) in self.open.drain(..) {
                file.sync().map_err(JournalError::io(&path))?;
            }
        } else {
            self.storage
                .sync_all(&self.dir)
                .map_err(JournalError::io(&self.dir))?;
        }
        // A folder sorts before what is in it.
        for folder in &self.folders {
            self.storage
                .create_folder(folder, Access::Mask)
                .map_err(JournalError::io(folder))?;
        }
        for (temporary, target) in self.written.drain(..) {
            self.storage
                .rename(&temporary, &target)
                .map_err(JournalError::io(&target))?;
        }
        // The deepest folder first: a name is durable once the names of all folders above it are.
        for folder in std::mem::take(&mut self.folders).iter().rev() {
            sync_folder(&*self.storage, folder)?;
        }
        Ok(())
    }
}
