use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chancery_tlog::Resource;

use super::{TEMPORARY, folder_of, read_if_present, sync_folder};
use crate::{Damage, JournalError};

/// From this many new files on, one sync of the file system is cheaper than one for each.
const SYNC_ALL_FROM: usize = 64;

/// Writes tiles and bundles that are not there yet, and compares those that are: a path never
/// changes what it holds. All contents are durable before the first new name appears.
pub(crate) fn write_immutable(dir: &Path, resources: &[Resource]) -> Result<(), JournalError> {
    let mut folders = BTreeSet::new();
    let mut written = Vec::new();
    for (number, resource) in resources.iter().enumerate() {
        let target = dir.join(resource.path.to_string());
        folders.extend(
            target
                .ancestors()
                .skip(1)
                .take_while(|folder| folder.starts_with(dir))
                .map(Path::to_owned),
        );
        match read_if_present(&target)? {
            Some(bytes) if bytes == resource.bytes => {}
            Some(_) => return Err(JournalError::damaged(&target, Damage::Mismatch)),
            None => {
                let temporary = dir.join(TEMPORARY).join(format!("tile-{number}"));
                let file = write_unsynced(&temporary, &resource.bytes)?;
                written.push((file, temporary, target));
            }
        }
    }
    sync_contents(dir, &written)?;
    for (_, temporary, target) in &written {
        let folder = folder_of(target);
        fs::create_dir_all(folder).map_err(JournalError::io(folder))?;
        fs::rename(temporary, target).map_err(JournalError::io(target))?;
    }
    // The deepest folder first: a name is durable once the names of all folders above it are.
    folders.iter().rev().try_for_each(|path| sync_folder(path))
}

fn write_unsynced(path: &Path, bytes: &[u8]) -> Result<File, JournalError> {
    let mut file = File::create(path).map_err(JournalError::io(path))?;
    file.write_all(bytes).map_err(JournalError::io(path))?;
    Ok(file)
}

fn sync_contents(dir: &Path, files: &[(File, PathBuf, PathBuf)]) -> Result<(), JournalError> {
    if files.len() >= SYNC_ALL_FROM {
        let folder = File::open(dir).map_err(JournalError::io(dir))?;
        return nix::unistd::syncfs(&folder).map_err(|errno| JournalError::io(dir)(errno.into()));
    }
    files
        .iter()
        .try_for_each(|(file, path, _)| file.sync_data().map_err(JournalError::io(path)))
}
