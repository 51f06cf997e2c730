//! A disk that makes nothing durable for a while, and a signer whose questions are seen.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use chancery_journal::{Access, LocalDisk, Storage, StorageFile, StorageLock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// Syncs entries of some kinds once it is told to.
#[derive(Debug, Default)]
pub(crate) struct Dam(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The kinds that are held back.
    kinds: BTreeSet<&'static str>,
    /// The kinds that somebody waits for to be synced.
    waiting: BTreeSet<&'static str>,
    /// What each sync of the log made durable.
    synced: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct File {
    file: Box<dyn StorageFile>,
    held: Arc<Held>,
    /// What was written to the log and is not synced; nothing of other files.
    unsynced: Option<Mutex<Vec<u8>>>,
}

impl Dam {
    pub(crate) fn hold(&self, kind: &'static str) {
        self.0.state.lock().unwrap().kinds.insert(kind);
    }

    pub(crate) fn release(&self, kind: &'static str) {
        self.0.state.lock().unwrap().kinds.remove(kind);
        self.0.changed.notify_all();
    }

    /// Until an entry of that kind is written and waits for its sync.
    pub(crate) async fn holds(&self, kind: &'static str) {
        while !self.0.state.lock().unwrap().waiting.contains(kind) {
            tokio::task::yield_now().await;
        }
    }

    /// How many syncs of the log made entries of that kind durable.
    pub(crate) fn syncs(&self, kind: &str) -> usize {
        let state = self.0.state.lock().unwrap();
        let synced = state.synced.iter().filter(|bytes| has(bytes, kind));
        synced.count()
    }

    fn file(&self, path: &Path, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        let is_log = path.parent().is_some_and(|folder| folder.ends_with("wal"));
        Box::new(File {
            file,
            held: Arc::clone(&self.0),
            unsynced: is_log.then(Mutex::default),
        })
    }
}

fn has(written: &[u8], kind: &str) -> bool {
    written
        .windows(kind.len())
        .any(|part| part == kind.as_bytes())
}

impl StorageFile for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some(unsynced) = &self.unsynced {
            unsynced.lock().unwrap().extend(bytes);
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        if let Some(unsynced) = &self.unsynced {
            let written = std::mem::take(&mut *unsynced.lock().unwrap());
            let mut state = self.held.state.lock().unwrap();
            while let Some(kind) = state.kinds.iter().copied().find(|kind| has(&written, kind)) {
                state.waiting.insert(kind);
                state = self.held.changed.wait(state).unwrap();
                state.waiting.remove(kind);
            }
            state.synced.push(written);
        }
        self.file.sync()
    }
}

impl Storage for Dam {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        LocalDisk.read(path)
    }

    fn read_from_medium(&self, path: &Path) -> io::Result<Vec<u8>> {
        LocalDisk.read_from_medium(path)
    }

    fn read_start_from_medium(&self, path: &Path, length: usize) -> io::Result<Vec<u8>> {
        LocalDisk.read_start_from_medium(path, length)
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        LocalDisk.length(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        LocalDisk.list(folder)
    }

    fn create(&self, path: &Path, access: Access) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.file(path, LocalDisk.create(path, access)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.file(path, LocalDisk.open(path)?))
    }

    fn create_folder(&self, path: &Path, access: Access) -> io::Result<bool> {
        LocalDisk.create_folder(path, access)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        LocalDisk.sync_folder(path)
    }

    fn sync_all(&self, folder: &Path) -> io::Result<()> {
        LocalDisk.sync_all(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        LocalDisk.lock(path)
    }
}

/// What stands before a signer: it passes everything on, and says what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    asked: Mutex<Vec<String>>,
    breaks: AtomicBool,
    /// What it holds back.
    holds: Mutex<Option<&'static str>>,
    /// How often it let go of what it held back.
    released: watch::Sender<usize>,
    /// How much of that was answered.
    answered: AtomicUsize,
}

impl Watched {
    pub(crate) fn start(at: &Path, signer: PathBuf) -> Arc<Self> {
        let listener = UnixListener::bind(at).unwrap();
        let watched = Arc::new(Self::default());
        let this = Arc::clone(&watched);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&this).pass(stream, signer.clone()));
            }
        });
        watched
    }

    async fn pass(self: Arc<Self>, mut stream: UnixStream, signer: PathBuf) {
        let mut start = [0; 1024];
        let Ok(read @ 1..) = stream.read(&mut start).await else {
            return;
        };
        let line = String::from_utf8_lossy(&start[..read]);
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let issues = path.contains("x509");
        let mut released = self.released.subscribe();
        released.mark_unchanged();
        let held = self
            .holds
            .lock()
            .unwrap()
            .is_some_and(|what| path.contains(what));
        self.asked.lock().unwrap().push(path);
        if held && released.changed().await.is_err() {
            return;
        }
        if issues && self.breaks.load(Ordering::SeqCst) {
            return;
        }
        let Ok(mut signer) = UnixStream::connect(signer).await else {
            return;
        };
        if signer.write_all(&start[..read]).await.is_err() {
            return;
        }
        if !held {
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut signer).await;
            return;
        }
        // What was held back is asked for also where the asker has gone.
        let ((mut asker, mut told), (mut answer, mut signer)) =
            (stream.into_split(), signer.into_split());
        let answering = async {
            if let Ok(read @ 1..) = answer.read(&mut start).await {
                self.answered.fetch_add(1, Ordering::SeqCst);
                let _ = told.write_all(&start[..read]).await;
                let _ = tokio::io::copy(&mut answer, &mut told).await;
            }
        };
        let _ = tokio::join!(tokio::io::copy(&mut asker, &mut signer), answering);
    }

    /// Holds such questions back, as a signer that hangs.
    pub(crate) fn hold(&self, what: &'static str) {
        *self.holds.lock().unwrap() = Some(what);
    }

    /// Passes on what comes from now on, and keeps what it holds back.
    pub(crate) fn pass_others(&self) {
        *self.holds.lock().unwrap() = None;
    }

    /// Passes on what it held back, and everything that comes.
    pub(crate) fn release(&self) {
        self.pass_others();
        self.released.send_modify(|count| *count += 1);
    }

    /// Until so many questions of that kind have come.
    pub(crate) async fn was_asked(&self, what: &str, times: usize) {
        while self.about(what) < times {
            tokio::task::yield_now().await;
        }
    }

    /// Until something that was held back is answered.
    pub(crate) async fn has_answered(&self) {
        while self.answered.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// How many questions about X.509-SVIDs there were.
    pub(crate) fn x509(&self) -> usize {
        self.about("x509")
    }

    /// How many snapshots it was asked to sign.
    pub(crate) fn snapshots(&self) -> usize {
        self.about("snapshot")
    }

    pub(crate) fn about(&self, what: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|path| path.contains(what)).count()
    }

    /// Whether it breaks off whoever asks for X.509-SVIDs.
    pub(crate) fn breaks(&self, breaks: bool) {
        self.breaks.store(breaks, Ordering::SeqCst);
    }
}
