use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::files::{NewFile, SequencedFile};
use super::held::ObjectLock;
use super::record::{Body, MAX_FILE};
use super::sequence::{FileId, Sequence, text};
use super::{Buffer, ObjectDisk, delete_all, lock, missing};
use crate::{Access, Storage, StorageFile, StorageLock};

impl Storage for ObjectDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        if let Some(bytes) = lock(&self.0.unnamed).get(path) {
            return Ok(Some(lock(bytes).clone()));
        }
        if let Some(bytes) = self.read_sequenced(path, u64::MAX)? {
            return Ok(Some(bytes));
        }
        let (bucket, name) = (self.0.bucket.clone(), text(path));
        let found = self.wait(async move { bucket.get(&name).await })?;
        Ok(found.map(|found| {
            if let Some(held) = self.holder_of(path) {
                // What somebody else wrote meanwhile is not what this holder goes on from.
                let mut seen = lock(&held.seen);
                seen.entry(path.to_owned()).or_insert(found.version);
            }
            found.bytes.into()
        }))
    }

    fn read_from_medium(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read(path)?.ok_or_else(|| missing(path))
    }

    fn read_start_from_medium(&self, path: &Path, length: usize) -> io::Result<Vec<u8>> {
        match self.read_sequenced(path, length as u64)? {
            Some(bytes) => Ok(bytes),
            None => self.read_from_medium(path).map(|mut bytes| {
                bytes.truncate(length);
                bytes
            }),
        }
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        if let Some(bytes) = lock(&self.0.unnamed).get(path) {
            return Ok(Some(lock(bytes).len() as u64));
        }
        let sequenced = self.in_sequence(path, |_, sequence| sequence.length(path));
        if let Some(length) = sequenced.flatten() {
            return Ok(Some(length));
        }
        let (bucket, name) = (self.0.bucket.clone(), text(path));
        self.wait(async move { bucket.length(&name).await })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        if self.held(folder).is_none()
            && let Some(dir) = folder.parent().map(Path::to_owned)
        {
            let (bucket, of) = (self.0.bucket.clone(), dir.clone());
            let read = self.wait(async move { Sequence::load(&bucket, &of).await })?;
            lock(&self.0.read).insert(dir, read);
        }
        let (bucket, name) = (self.0.bucket.clone(), text(folder));
        let mut names = self.wait(async move { bucket.list(&name).await })?;
        let sequenced = self.in_sequence(folder, |_, sequence| sequence.names_in(folder));
        names.extend(sequenced.unwrap_or_default());
        Ok(names)
    }

    fn create(&self, path: &Path, _access: Access) -> io::Result<Box<dyn StorageFile>> {
        let bytes = Buffer::default();
        lock(&self.0.unnamed).insert(path.to_owned(), Arc::clone(&bytes));
        Ok(Box::new(NewFile(bytes)))
    }

    fn allocate(&self, path: &Path, length: u64) -> io::Result<()> {
        if length > MAX_FILE {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let held = self.held(path).ok_or_else(|| unsupported(path))?;
        lock(&held.sequence).allocate(path);
        Ok(())
    }

    fn keeps_room(&self) -> bool {
        false
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        let held = self.held(path).ok_or_else(|| unsupported(path))?;
        let file = lock(&held.sequence)
            .find(path)
            .ok_or_else(|| missing(path))?;
        Ok(Box::new(SequencedFile::new(self, held, path, file)))
    }

    fn create_folder(&self, _path: &Path, _access: Access) -> io::Result<bool> {
        // There are none: a name below one says all.
        Ok(false)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut unnamed = lock(&self.0.unnamed);
        if let Some(bytes) = unnamed.remove(from) {
            unnamed.insert(to.to_owned(), bytes);
            return Ok(());
        }
        drop(unnamed);
        let held = self.held(from).ok_or_else(|| unsupported(from))?;
        let found = lock(&held.sequence).find(from);
        let Some(FileId::Begun(file)) = found else {
            return Err(unsupported(from));
        };
        let name = held.name(to).ok_or_else(|| unsupported(to))?;
        let bucket = self.0.bucket.clone();
        self.wait(async move {
            let body = |_| Body::File {
                file,
                name: Some(name),
                writes: Vec::new(),
            };
            held.append(&bucket, body).await
        })?;
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.0.unnamed).remove(path);
        let bucket = self.0.bucket.clone();
        if let Some(held) = self.held(path) {
            lock(&held.seen).remove(path);
            let mut sequence = lock(&held.sequence);
            if sequence.find(path).is_some() {
                sequence.remove(path);
                let unneeded = sequence.take_unneeded(&held.dir);
                drop(sequence);
                return self.wait(async move { delete_all(&bucket, unneeded).await });
            }
        }
        let name = text(path);
        self.wait(async move { bucket.delete(&name).await })
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        lock(&self.0.unnamed).retain(|file, _| !file.starts_with(path));
        let (bucket, name) = (self.0.bucket.clone(), text(path));
        self.wait(async move { bucket.delete_folder(&name).await })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let files: Vec<_> = lock(&self.0.unnamed)
            .iter()
            .filter(|(file, _)| file.parent() == Some(path))
            .map(|(file, bytes)| (file.clone(), Arc::clone(bytes)))
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        let stored = self.store(&files);
        // Taken out where that failed as well: what was never stored is not to be read as if it were.
        let mut unnamed = lock(&self.0.unnamed);
        for (file, synced) in files {
            if unnamed
                .get(&file)
                .is_some_and(|now| Arc::ptr_eq(now, &synced))
            {
                unnamed.remove(&file);
            }
        }
        stored
    }

    fn sync_all(&self, _folder: &Path) -> io::Result<()> {
        // A content goes with its name.
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        let lock = ObjectLock::take(self, path)?;
        Ok(lock.map(|lock| Box::new(lock) as Box<dyn StorageLock>))
    }
}

/// What nobody asks of a log's storage.
fn unsupported(path: &Path) -> io::Error {
    let what = format!("{}: not done to an object", path.display());
    io::Error::new(ErrorKind::Unsupported, what)
}
