use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::held::Held;
use super::record::{Body, Write};
use super::sequence::FileId;
use super::{Buffer, ObjectDisk, lock, missing};
use crate::StorageFile;

/// A file that is not stored yet.
#[derive(Debug)]
pub(super) struct NewFile(pub(super) Buffer);

/// A file of the sequence.
pub(super) struct SequencedFile {
    disk: ObjectDisk,
    held: Arc<Held>,
    path: PathBuf,
    inner: Mutex<Unsynced>,
}

struct Unsynced {
    file: FileId,
    writes: Vec<Write>,
}

impl SequencedFile {
    pub(super) fn new(disk: &ObjectDisk, held: Arc<Held>, path: &Path, file: FileId) -> Self {
        Self {
            disk: disk.clone(),
            held,
            path: path.to_owned(),
            inner: Mutex::new(Unsynced {
                file,
                writes: Vec::new(),
            }),
        }
    }
}

impl StorageFile for NewFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let too_far = |_| io::Error::from(ErrorKind::FileTooLarge);
        let offset = usize::try_from(offset).map_err(too_far)?;
        let mut content = lock(&self.0);
        let end = content.len().max(offset.saturating_add(bytes.len()));
        content.resize(end, 0);
        if let Some(place) = content.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // A content goes with its name, which a sync of the folder makes durable.
        Ok(())
    }
}

impl StorageFile for SequencedFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let too_large = || io::Error::from(ErrorKind::FileTooLarge);
        let write = Write::new(offset, bytes).ok_or_else(too_large)?;
        lock(&self.inner).writes.push(write);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        if inner.writes.is_empty() {
            return Ok(());
        }
        let (file, writes) = (inner.file, std::mem::take(&mut inner.writes));
        let held = Arc::clone(&self.held);
        let name = match file {
            FileId::Begun(_) => None,
            FileId::Allocated => Some(held.name(&self.path).ok_or_else(|| missing(&self.path))?),
        };
        let bucket = self.disk.0.bucket.clone();
        let number = self.disk.wait(async move {
            let body = |number| Body::File {
                file: match file {
                    FileId::Begun(file) => file,
                    FileId::Allocated => number,
                },
                name,
                writes,
            };
            held.append(&bucket, body).await
        })?;
        if file == FileId::Allocated {
            inner.file = FileId::Begun(number);
        }
        Ok(())
    }
}

impl fmt::Debug for SequencedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SequencedFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
