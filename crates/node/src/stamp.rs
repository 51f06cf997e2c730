//! What tells whether a file is as it was when it was read.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, TMPFS_MAGIC, XFS_SUPER_MAGIC, fstatfs,
};

/// `RAMFS_MAGIC` of the kernel.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// The file systems that do not see who writes through a shared mapping: the time of change stays what it
/// was.
const UNSEEING: [FsType; 2] = [TMPFS_MAGIC, RAMFS_MAGIC];

/// The file systems of which a stamp says the same of every process: whoever executes the file keeps it from
/// being written to, device and inode name one file, and nobody sets the time of change. An overlay, whose
/// layers are written to beside it, is none of them.
const TELLING: [FsType; 3] = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC];

/// How old the last change of a file must be, in seconds: one that comes right after another one may bear
/// the same time.
const SETTLED_SECONDS: i64 = 2;

/// A file as it was when it was read.
///
/// Alone it says nothing: who has a page of the file mapped and written already writes on through the
/// mapping, and the stamp stays. It counts for a file that a process executed while it was read: the
/// kernel lets nobody have a file open for writing or mapped so while it is executed, and the first write
/// through a mapping that is made later is a change with a time of its own, where the stamp lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    pub(crate) size: u64,
    changed: (i64, i64),
}

impl From<fs::Metadata> for Stamp {
    fn from(file: fs::Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

impl Stamp {
    /// Whether whatever changes this file from now on, that has this stamp, gives it another one.
    pub(crate) fn lasts(&self, file: &File) -> bool {
        self.is_settled() && sees_changes(file)
    }

    /// Whether what a process executes that has this stamp is what another one executed that had it.
    pub(crate) fn tells_of_others(&self, file: &File) -> bool {
        self.is_settled()
            && fstatfs(file).is_ok_and(|system| TELLING.contains(&system.filesystem_type()))
    }

    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
        self.changed.0.saturating_add(SETTLED_SECONDS) <= now
    }
}

fn sees_changes(file: &File) -> bool {
    fstatfs(file).is_ok_and(|system| !UNSEEING.contains(&system.filesystem_type()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    fn stamp(file: &File) -> Stamp {
        file.metadata().unwrap().into()
    }

    fn until_settled(path: &Path) -> File {
        let file = File::open(path).unwrap();
        while !stamp(&file).is_settled() {
            std::thread::sleep(Duration::from_millis(20));
        }
        file
    }

    #[test]
    fn a_stamp_lasts_once_the_last_change_is_a_while_ago() {
        let program = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
        let path = folder.path().join("one");
        fs::write(&path, "one").unwrap();
        let file = File::open(&path).unwrap();
        let new = stamp(&file);
        assert!(!new.lasts(&file));
        let file = until_settled(&path);
        assert_eq!(stamp(&file), new);
        assert!(new.lasts(&file));
        fs::write(&path, "two").unwrap();
        assert_ne!(stamp(&file), new);
        assert!(!stamp(&file).lasts(&file));
    }

    #[test]
    fn where_changes_are_not_seen_no_stamp_lasts() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = folder.path().join("one");
        fs::write(&path, "one").unwrap();
        let file = until_settled(&path);
        assert!(!sees_changes(&file));
        assert!(!stamp(&file).lasts(&file));
        assert!(!stamp(&file).tells_of_others(&file));
    }
}
