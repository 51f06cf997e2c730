mod local;
mod objects;
mod place;

use std::fmt::Debug;
use std::io;
use std::path::Path;

pub use local::LocalDisk;
pub use objects::{ObjectDisk, ObjectDiskError, Record, RecordBody, RecordError, RecordWrite};
pub use place::keep_log_in;
pub(crate) use place::place_of;

/// The disk below a log and below its signer's ratchet: whatever they read or write goes through
/// this, so that a model of a failing disk can stand in its place.
///
/// What is written is durable after [`StorageFile::sync`], a name after
/// [`Storage::sync_folder`] of the folder that it stands in; before that, a power cut may keep any
/// part of it, in any order. Renaming replaces whole: readers find the old or the new file.
pub trait Storage: Debug + Send + Sync {
    /// A whole file; none where there is none.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// A whole file as the medium holds it, made durable first: after a failed sync, a cache may
    /// hold what the medium does not.
    fn read_from_medium(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The first bytes of that, as many as asked for and there.
    fn read_start_from_medium(&self, path: &Path, length: usize) -> io::Result<Vec<u8>>;

    /// The length of a file; none where there is none.
    fn length(&self, path: &Path) -> io::Result<Option<u64>>;

    /// The names in a folder, in no order; empty where there is no folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// A new, empty file. One of that name is taken away, never emptied: it may be another name
    /// of a file that is needed.
    fn create(&self, path: &Path, access: Access) -> io::Result<Box<dyn StorageFile>>;

    /// A new file of that many zeros, which is written at offsets later on. Its name is durable as any
    /// other is; where no room has to be kept for it, only once something in it is.
    fn allocate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = self.create(path, Access::Owner)?;
        let zeros = vec![0; 1 << 20];
        let mut offset = 0;
        while offset < length {
            let part = (length - offset).min(zeros.len() as u64);
            file.write_all_at(zeros.get(..part as usize).unwrap_or_default(), offset)?;
            offset += part;
        }
        file.sync()
    }

    /// Whether room is kept for what was allocated, so that using it again is worth more than taking it
    /// away. Where none is, all that was ever written to a file stays as long as the file does.
    fn keeps_room(&self) -> bool {
        true
    }

    /// A file that is there, for writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Makes a folder; says whether it was not there before.
    fn create_folder(&self, path: &Path, access: Access) -> io::Result<bool>;

    /// Gives a file another name, in the place of one that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file away, if it is there.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Takes a folder away with all that is in it, if it is there.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes everything durable that was written to the file system of a folder.
    fn sync_all(&self, folder: &Path) -> io::Result<()>;

    /// Takes the lock that a file stands for, until the value is dropped or the process ends;
    /// none where another holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>>;

    /// Ends the process, after a write or sync that failed: nothing that follows could be relied
    /// on. Where it returns, the writer has ended all the same and takes nothing more.
    fn end_process(&self) {
        std::process::abort()
    }
}

/// A file that is written.
pub trait StorageFile: Debug + Send + Sync {
    /// Writes all of `bytes` from `offset` on; zeros fill what lies before it and was never
    /// written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes content and length durable.
    fn sync(&self) -> io::Result<()>;

    /// Asks that what was written be on its way to the medium already, so that a later sync has
    /// less to wait for. Promises nothing.
    fn start_sync(&self) {}
}

/// A lock that is held.
pub trait StorageLock: Debug + Send + Sync {}

/// Who may read a new file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its owner alone.
    Owner,
    /// Whomever the process's mask lets: tiles and checkpoints, which a web server may serve.
    Mask,
}
