use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_crypto::random_bytes;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::bucket::{Bucket, Expected, PutError, Version};
use super::lease::Lease;
use super::probe::probe;
use super::record::Body;
use super::sequence::{Sequence, object, text};
use super::{ObjectDisk, delete_all, lock};
use crate::StorageLock;
use crate::disk::folder_of;

/// A folder whose lock this disk holds.
pub(super) struct Held {
    pub(super) dir: PathBuf,
    holder: [u8; 16],
    /// That a write was refused or not answered: what follows could not be relied on.
    is_over: Arc<AtomicBool>,
    pub(super) sequence: Mutex<Sequence>,
    /// Whose turn it is to add a record: no number is begun before the one below it is settled.
    turn: tokio::sync::Mutex<()>,
    /// The files in the folder, as this holder read or wrote them last.
    pub(super) seen: Mutex<BTreeMap<PathBuf, Version>>,
}

/// The lock of a folder.
pub(super) struct ObjectLock {
    disk: ObjectDisk,
    dir: PathBuf,
    renewing: Option<Renewing>,
}

/// A lease that is renewed until it is given back.
struct Renewing {
    task: JoinHandle<Lease>,
    stop: Arc<Notify>,
}

impl Held {
    pub(super) fn check(&self) -> io::Result<()> {
        if self.is_over.load(Ordering::Acquire) {
            return Err(PutError::Refused.into());
        }
        Ok(())
    }

    pub(super) fn end(&self, error: PutError) -> io::Error {
        self.is_over.store(true, Ordering::Release);
        error.into()
    }

    /// Adds the record that `body` makes of its number, which is returned once it is durable.
    pub(super) async fn append(
        &self,
        bucket: &Bucket,
        body: impl FnOnce(u64) -> Body,
    ) -> io::Result<u64> {
        let _turn = self.turn.lock().await;
        self.check()?;
        let record = {
            let sequence = lock(&self.sequence);
            sequence.record(self.holder, body(sequence.next()))
        };
        let name = object(&self.dir, record.number);
        let put = bucket.put(&name, record.to_bytes().into(), Expected::Absent);
        put.await.map_err(|error| self.end(error))?;
        lock(&self.sequence).apply(&self.dir, &record);
        Ok(record.number)
    }

    /// The name of a file in a record.
    pub(super) fn name(&self, path: &Path) -> Option<String> {
        path.strip_prefix(&self.dir).ok().map(text)
    }
}

impl ObjectLock {
    /// Takes the lock that the lease at `path` stands for, and ends whoever wrote before.
    pub(super) fn take(disk: &ObjectDisk, path: &Path) -> io::Result<Option<Self>> {
        let dir = folder_of(path).to_owned();
        if lock(&disk.0.held).contains_key(&dir) {
            return Ok(None);
        }
        let holder = random_bytes().map_err(io::Error::other)?;
        let (bucket, term) = (disk.0.bucket.clone(), disk.0.term);
        let (of, lease) = (dir.clone(), path.to_owned());
        let is_over = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&is_over);
        let taken = disk.wait(async move {
            probe(&bucket, &of).await?;
            let Some(lease) = Lease::take(&bucket, &lease, holder, term).await? else {
                return Ok(None);
            };
            // Others are not to think that it ended, however long the reading takes.
            let renewing = Renewing::start(lease, &bucket, &of, ended, term / 3);
            let taken_over = async {
                let mut sequence = Sequence::take_over(&bucket, &of, holder).await?;
                delete_all(&bucket, sequence.take_unneeded(&of)).await?;
                Ok(sequence)
            };
            match taken_over.await {
                Ok(sequence) => Ok(Some((renewing, sequence))),
                Err(error) => {
                    let _ = renewing.give_back(&bucket).await;
                    Err(error)
                }
            }
        })?;
        let Some((renewing, sequence)) = taken else {
            return Ok(None);
        };
        let held = Arc::new(Held {
            dir: dir.clone(),
            holder,
            is_over,
            sequence: Mutex::new(sequence),
            turn: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
        });
        // What an earlier holder of this process did not store is nothing to go on from.
        lock(&disk.0.unnamed).retain(|file, _| !file.starts_with(&dir));
        lock(&disk.0.held).insert(dir.clone(), held);
        Ok(Some(Self {
            disk: disk.clone(),
            dir,
            renewing: Some(renewing),
        }))
    }
}

impl StorageLock for ObjectLock {}

impl Drop for ObjectLock {
    fn drop(&mut self) {
        lock(&self.disk.0.held).remove(&self.dir);
        let Some(renewing) = self.renewing.take() else {
            return;
        };
        let bucket = self.disk.0.bucket.clone();
        // Where this fails, the next holder waits for as long as a lease lasts.
        let _ = self
            .disk
            .wait(async move { renewing.give_back(&bucket).await });
    }
}

impl Renewing {
    /// Sets `is_over` where somebody else took the lease.
    fn start(
        lease: Lease,
        bucket: &Bucket,
        dir: &Path,
        is_over: Arc<AtomicBool>,
        every: Duration,
    ) -> Self {
        let stop = Arc::new(Notify::new());
        let (bucket, told) = (bucket.clone(), Arc::clone(&stop));
        let dir = dir.to_owned();
        let task = tokio::spawn(renew(lease, bucket, dir, is_over, every, told));
        Self { task, stop }
    }

    async fn give_back(self, bucket: &Bucket) -> io::Result<()> {
        self.stop.notify_one();
        let lease = self.task.await.map_err(io::Error::other)?;
        Ok(lease.give_back(bucket).await?)
    }
}

/// Renews a lease until it is told to stop, or somebody else took it.
async fn renew(
    mut lease: Lease,
    bucket: Bucket,
    dir: PathBuf,
    is_over: Arc<AtomicBool>,
    every: Duration,
    stop: Arc<Notify>,
) -> Lease {
    loop {
        let told = tokio::time::timeout(every, stop.notified()).await;
        if told.is_ok() {
            return lease;
        }
        match lease.renew(&bucket).await {
            Ok(()) => {}
            Err(PutError::Refused) => {
                is_over.store(true, Ordering::Release);
                tracing::error!(dir = %dir.display(), "another writer took this log's lease");
                stop.notified().await;
                return lease;
            }
            Err(PutError::Failed(error)) => {
                tracing::warn!(%error, "the lease of a log is not renewed, trying again");
            }
        }
    }
}

impl fmt::Debug for ObjectLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectLock")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
