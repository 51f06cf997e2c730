//! What is in files that were read before.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_types::Digest;
use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, TMPFS_MAGIC, XFS_SUPER_MAGIC, fstatfs,
};

/// The file systems whose word about a file is the kernel's own: nobody but the system's owner mounts one
/// that says what he likes.
const KERNELS_OWN: [FsType; 4] = [
    EXT4_SUPER_MAGIC,
    XFS_SUPER_MAGIC,
    BTRFS_SUPER_MAGIC,
    TMPFS_MAGIC,
];

/// For how many files is known what is in them.
const MOST: usize = 64;

/// How old the last change of a file must be, in seconds: one that comes right after another one may bear
/// the same time.
const SETTLED_SECONDS: i64 = 2;

/// A file as it was when it was read: nobody changes a file and leaves all of this as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    pub(crate) size: u64,
    changed: (i64, i64),
}

/// The digests of the files that were read last, so that a program of which there are many processes is
/// read once.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<Vec<(Stamp, Digest)>>);

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
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
        self.changed.0.saturating_add(SETTLED_SECONDS) <= now
    }
}

impl Files {
    /// The digest of a file that has that stamp: read, unless it was read as just this file before.
    pub(crate) fn digest(&self, file: &File, stamp: Stamp) -> io::Result<Digest> {
        let lasting = is_kernels_own(file);
        if let Some(known) = self.known(stamp).filter(|_| lasting) {
            return Ok(known);
        }
        let digest = Digest::of_reader(file.take(stamp.size))?;
        if lasting && stamp.is_settled() && Stamp::from(file.metadata()?) == stamp {
            self.keep(stamp, digest);
        }
        Ok(digest)
    }

    fn known(&self, stamp: Stamp) -> Option<Digest> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = files.iter().find(|(known, _)| *known == stamp);
        found.map(|(_, digest)| *digest)
    }

    fn keep(&self, stamp: Stamp, digest: Digest) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of one file there is one state.
        files.retain(|(known, _)| (known.device, known.inode) != (stamp.device, stamp.inode));
        if files.len() >= MOST {
            files.remove(0);
        }
        files.push((stamp, digest));
    }
}

fn is_kernels_own(file: &File) -> bool {
    fstatfs(file).is_ok_and(|system| KERNELS_OWN.contains(&system.filesystem_type()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stamp(file: &File) -> Stamp {
        file.metadata().unwrap().into()
    }

    /// A file that nobody has changed for a while.
    fn settled(path: &std::path::Path, content: &str) -> File {
        fs::write(path, content).unwrap();
        let file = File::open(path).unwrap();
        while !stamp(&file).is_settled() {
            std::thread::sleep(Duration::from_millis(20));
        }
        file
    }

    #[test]
    fn a_file_is_read_again_once_it_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        let (files, file) = (Files::default(), settled(&path, "one"));
        let before = stamp(&file);
        assert_eq!(files.digest(&file, before).unwrap(), Digest::of("one"));
        // What is kept is believed as long as the file is as it was, and no longer.
        assert_eq!(files.known(before).is_some(), is_kernels_own(&file));
        files.keep(before, Digest::of("kept"));
        let file = File::open(&path).unwrap();
        let expected = match is_kernels_own(&file) {
            true => Digest::of("kept"),
            false => Digest::of("one"),
        };
        assert_eq!(files.digest(&file, before).unwrap(), expected);
        fs::write(&path, "two").unwrap();
        let file = File::open(&path).unwrap();
        assert_ne!(stamp(&file), before);
        assert_eq!(
            files.digest(&file, stamp(&file)).unwrap(),
            Digest::of("two")
        );
    }

    #[test]
    fn of_a_file_that_was_just_changed_nothing_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        fs::write(&path, "one").unwrap();
        let (files, file) = (Files::default(), File::open(&path).unwrap());
        assert_eq!(
            files.digest(&file, stamp(&file)).unwrap(),
            Digest::of("one")
        );
        assert_eq!(files.known(stamp(&file)), None);
    }

    #[test]
    fn of_what_no_disk_holds_nothing_is_kept() {
        let files = Files::default();
        let file = File::open("/proc/version").unwrap();
        files.digest(&file, stamp(&file)).unwrap();
        assert_eq!(files.known(stamp(&file)), None);
    }

    #[test]
    fn only_so_many_are_kept_and_of_each_one_state() {
        let files = Files::default();
        let of = |inode, size| Stamp {
            device: 1,
            inode,
            size,
            changed: (1, 1),
        };
        for inode in 0..2 * MOST as u64 {
            files.keep(of(inode, 1), Digest::of(inode.to_string()));
        }
        assert_eq!(files.0.lock().unwrap().len(), MOST);
        assert_eq!(files.known(of(0, 1)), None);
        let last = 2 * MOST as u64 - 1;
        files.keep(of(last, 2), Digest::of("changed"));
        assert_eq!(files.known(of(last, 1)), None);
        assert_eq!(files.known(of(last, 2)), Some(Digest::of("changed")));
    }
}
