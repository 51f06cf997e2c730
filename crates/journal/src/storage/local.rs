use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::{Access, Storage, StorageFile, StorageLock};

/// The file systems of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

#[derive(Debug)]
struct LocalFile(File);

#[derive(Debug)]
struct LocalLock {
    _file: File,
}

impl Storage for LocalDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        found(fs::read(path))
    }

    fn read_from_medium(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        uncached(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn read_start_from_medium(&self, path: &Path, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = uncached(path)?;
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        Ok(found(fs::metadata(path))?.map(|found| found.len()))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let Some(items) = found(fs::read_dir(folder))? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for item in items {
            // A name that is not text is none of ours.
            names.extend(item?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, path: &Path, access: Access) -> io::Result<Box<dyn StorageFile>> {
        self.remove(path)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if access == Access::Owner {
            options.mode(0o600);
        }
        Ok(Box::new(LocalFile(options.open(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let file = OpenOptions::new().write(true).open(path)?;
        Ok(Box::new(LocalFile(file)))
    }

    fn create_folder(&self, path: &Path, access: Access) -> io::Result<bool> {
        let mut builder = DirBuilder::new();
        if access == Access::Owner {
            builder.mode(0o700);
        }
        match builder.create(path) {
            Ok(()) => Ok(true),
            Err(_) if path.is_dir() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        found(fs::remove_file(path)).map(|_| ())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        found(fs::remove_dir_all(path)).map(|_| ())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_all(&self, folder: &Path) -> io::Result<()> {
        Ok(nix::unistd::syncfs(File::open(folder)?)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(LocalLock { _file: file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl StorageFile for LocalFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        // What is needed to read it again, its length among that.
        self.0.sync_data()
    }

    fn start_sync(&self) {
        // Linux starts to write the pages that are not clean yet, and drops them from its cache
        // where they are: whoever reads a bundle next is an auditor.
        let _ = posix_fadvise(&self.0, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
}

impl StorageLock for LocalLock {}

/// A file whose cached pages were written and dropped.
fn uncached(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    file.sync_all()?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    Ok(file)
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
