//! The model in the place of a disk: it counts what is done to it, and fails when it was told to.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_journal::{Access, Storage, StorageFile, StorageLock};

use crate::random::Random;
use crate::tree::{Keep, Tree};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// The disk as one process sees it, or as a test does, which outlives them.
#[derive(Debug, Clone)]
pub(crate) struct ModelDisk {
    inner: Arc<Mutex<Inner>>,
    /// The start of the machine that the process belongs to.
    life: Option<u64>,
}

/// What is done to a disk that changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Create,
    Write,
    Sync,
    CreateFolder,
    Rename,
    Remove,
    SyncFolder,
    SyncAll,
}

/// What fails, counted from the moment of planning.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plan {
    Nothing,
    /// Power goes at that operation: it may happen in part.
    CutAt(u64),
    /// From that write on there is no room.
    FullAt(u64),
    /// That write fails.
    FailWrite(u64),
    /// That sync fails.
    FailSync(u64),
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    /// It is under way when power goes.
    Cut,
    Fails(i32),
}

#[derive(Debug)]
struct Inner {
    tree: Tree,
    random: Random,
    plan: Plan,
    operations: u64,
    writes: u64,
    syncs: u64,
    /// What was done, in order.
    trace: Vec<(Op, PathBuf)>,
    /// Names that stood for something else before.
    replaced: Vec<PathBuf>,
    off: bool,
    ended: bool,
    /// Counts the starts; nothing that was opened before the last one works any more.
    life: u64,
    locked: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct ModelFile {
    disk: ModelDisk,
    life: u64,
    id: u64,
    path: PathBuf,
}

#[derive(Debug)]
struct ModelLock {
    disk: ModelDisk,
    life: u64,
    path: PathBuf,
}

impl ModelDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let inner = Inner {
            tree: Tree::new(),
            random: Random::new(seed),
            plan: Plan::Nothing,
            operations: 0,
            writes: 0,
            syncs: 0,
            trace: Vec::new(),
            replaced: Vec::new(),
            off: false,
            ended: false,
            life: 0,
            locked: BTreeSet::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            life: None,
        }
    }

    /// The disk for a process: after the next start, nothing of that one reaches it.
    pub(crate) fn attach(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            life: Some(self.inner().life),
        }
    }

    /// Says what is to fail and counts anew.
    pub(crate) fn plan(&self, plan: Plan) {
        let mut inner = self.inner();
        inner.plan = plan;
        (inner.operations, inner.writes, inner.syncs) = (0, 0, 0);
        inner.trace.clear();
        inner.replaced.clear();
    }

    pub(crate) fn operations(&self) -> u64 {
        self.inner().operations
    }

    pub(crate) fn writes(&self) -> u64 {
        self.inner().writes
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.inner().syncs
    }

    pub(crate) fn trace(&self) -> Vec<(Op, PathBuf)> {
        self.inner().trace.clone()
    }

    pub(crate) fn replaced(&self) -> Vec<PathBuf> {
        self.inner().replaced.clone()
    }

    /// Whether power is off.
    pub(crate) fn is_off(&self) -> bool {
        self.inner().off
    }

    /// Whether the process on this disk ended itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.inner().ended
    }

    /// The process is gone, the machine and its caches are not.
    pub(crate) fn restart(&self) {
        let mut inner = self.inner();
        inner.plan = Plan::Nothing;
        (inner.off, inner.ended) = (false, false);
        inner.life += 1;
        inner.locked.clear();
    }

    /// Cuts power and puts it on again.
    pub(crate) fn cut(&self, keep: Keep) {
        let mut inner = self.inner();
        let Inner { tree, random, .. } = &mut *inner;
        tree.cut(keep, random);
        drop(inner);
        self.restart();
    }

    /// What a file would hold after a power cut now that keeps nothing.
    pub(crate) fn durable(&self, path: &Path) -> Option<Vec<u8>> {
        self.inner().tree.durable(path)
    }

    /// Puts a durable file in a place, with the folders above it.
    pub(crate) fn plant(&self, path: &Path, bytes: &[u8]) {
        let mut inner = self.inner();
        let above: Vec<_> = path.ancestors().skip(1).collect();
        for folder in above.into_iter().rev() {
            inner.tree.create_folder(folder).unwrap();
        }
        let id = inner.tree.create(path).unwrap();
        inner.tree.write(id, bytes, 0).unwrap();
        inner.tree.sync_all();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that a failure leaves undone, and that is not durable yet.
    fn name<T>(
        &self,
        op: Op,
        path: &Path,
        apply: impl FnOnce(&mut Tree) -> Result<T>,
    ) -> Result<T> {
        let mut inner = self.inner();
        match inner.begin(self.life, op, path)? {
            Fate::Done => apply(&mut inner.tree),
            Fate::Cut => {
                apply(&mut inner.tree)?;
                Err(power_is_off())
            }
            Fate::Fails(code) => Err(Error::from_raw_os_error(code)),
        }
    }
}

impl Inner {
    fn begin(&mut self, life: Option<u64>, op: Op, path: &Path) -> Result<Fate> {
        self.alive(life)?;
        self.operations += 1;
        self.trace.push((op, path.to_owned()));
        let is_sync = matches!(op, Op::Sync | Op::SyncFolder | Op::SyncAll);
        if is_sync {
            self.syncs += 1;
        } else {
            self.writes += 1;
        }
        let fate = match self.plan {
            Plan::CutAt(at) if at == self.operations => {
                self.off = true;
                Fate::Cut
            }
            Plan::FullAt(at) if !is_sync && op != Op::Remove && self.writes >= at => {
                Fate::Fails(ENOSPC)
            }
            Plan::FailWrite(at) if !is_sync && at == self.writes => Fate::Fails(EIO),
            Plan::FailSync(at) if is_sync && at == self.syncs => Fate::Fails(EIO),
            _ => Fate::Done,
        };
        Ok(fate)
    }

    /// A process that is gone does nothing more.
    fn alive(&self, life: Option<u64>) -> Result<()> {
        if self.off || self.ended || life.is_some_and(|life| life != self.life) {
            return Err(power_is_off());
        }
        Ok(())
    }
}

impl Storage for ModelDisk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let inner = self.inner();
        inner.alive(self.life)?;
        inner.tree.read(path)
    }

    fn read_from_medium(&self, path: &Path) -> Result<Vec<u8>> {
        let mut inner = self.inner();
        let fate = inner.begin(self.life, Op::Sync, path)?;
        let Inner { tree, random, .. } = &mut *inner;
        let id = tree.open(path)?;
        match fate {
            Fate::Done => {
                tree.sync_file(id)?;
                tree.drop_cache(id);
                Ok(tree.read(path)?.unwrap_or_default())
            }
            Fate::Cut => Err(power_is_off()),
            Fate::Fails(code) => {
                tree.fail_sync(id, random);
                Err(Error::from_raw_os_error(code))
            }
        }
    }

    fn read_start_from_medium(&self, path: &Path, length: usize) -> Result<Vec<u8>> {
        let mut bytes = self.read_from_medium(path)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    fn length(&self, path: &Path) -> Result<Option<u64>> {
        Ok(self.read(path)?.map(|bytes| bytes.len() as u64))
    }

    fn list(&self, folder: &Path) -> Result<Vec<String>> {
        let inner = self.inner();
        inner.alive(self.life)?;
        inner.tree.list(folder)
    }

    fn create(&self, path: &Path, _: Access) -> Result<Box<dyn StorageFile>> {
        let id = self.name(Op::Create, path, |tree| tree.create(path))?;
        Ok(self.handle(path, id))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn StorageFile>> {
        let inner = self.inner();
        inner.alive(self.life)?;
        let id = inner.tree.open(path)?;
        drop(inner);
        Ok(self.handle(path, id))
    }

    fn create_folder(&self, path: &Path, _: Access) -> Result<bool> {
        self.name(Op::CreateFolder, path, |tree| tree.create_folder(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let existed = self.inner().tree.exists(to);
        self.name(Op::Rename, to, |tree| tree.rename(from, to))?;
        if existed {
            self.inner().replaced.push(to.to_owned());
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.name(Op::Remove, path, |tree| tree.remove(path))
    }

    fn remove_folder(&self, path: &Path) -> Result<()> {
        self.name(Op::Remove, path, |tree| tree.remove(path))
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        let mut inner = self.inner();
        match inner.begin(self.life, Op::SyncFolder, path)? {
            Fate::Done => inner.tree.sync_folder(path),
            Fate::Cut => Err(power_is_off()),
            Fate::Fails(code) => Err(Error::from_raw_os_error(code)),
        }
    }

    fn sync_all(&self, folder: &Path) -> Result<()> {
        let mut inner = self.inner();
        let fate = inner.begin(self.life, Op::SyncAll, folder)?;
        let Inner { tree, random, .. } = &mut *inner;
        match fate {
            Fate::Done => {
                tree.sync_all();
                Ok(())
            }
            Fate::Cut => Err(power_is_off()),
            Fate::Fails(code) => {
                tree.fail_sync_all(random);
                Err(Error::from_raw_os_error(code))
            }
        }
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn StorageLock>>> {
        let mut inner = self.inner();
        inner.alive(self.life)?;
        if !inner.locked.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(ModelLock {
            disk: self.clone(),
            life: inner.life,
            path: path.to_owned(),
        })))
    }

    fn end_process(&self) {
        let mut inner = self.inner();
        if self.life.is_none_or(|life| life == inner.life) {
            inner.ended = true;
        }
    }
}

impl ModelDisk {
    fn handle(&self, path: &Path, id: u64) -> Box<dyn StorageFile> {
        Box::new(ModelFile {
            disk: self.clone(),
            life: self.inner().life,
            id,
            path: path.to_owned(),
        })
    }
}

impl StorageFile for ModelFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut inner = self.disk.inner();
        match inner.begin(Some(self.life), Op::Write, &self.path)? {
            Fate::Done => inner.tree.write(self.id, bytes, offset),
            Fate::Cut => {
                inner.tree.write(self.id, bytes, offset)?;
                Err(power_is_off())
            }
            Fate::Fails(code) => {
                let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
                inner.tree.write(self.id, half, offset)?;
                Err(Error::from_raw_os_error(code))
            }
        }
    }

    fn sync(&self) -> Result<()> {
        let mut inner = self.disk.inner();
        let fate = inner.begin(Some(self.life), Op::Sync, &self.path)?;
        let Inner { tree, random, .. } = &mut *inner;
        match fate {
            Fate::Done => tree.sync_file(self.id),
            Fate::Cut => Err(power_is_off()),
            Fate::Fails(code) => {
                tree.fail_sync(self.id, random);
                Err(Error::from_raw_os_error(code))
            }
        }
    }
}

impl StorageLock for ModelLock {}

impl Drop for ModelLock {
    fn drop(&mut self) {
        let mut inner = self.disk.inner();
        if inner.life == self.life {
            inner.locked.remove(&self.path);
        }
    }
}

fn power_is_off() -> Error {
    Error::new(ErrorKind::NotConnected, "power is off")
}
