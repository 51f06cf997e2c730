use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_journal::{CheckpointSigner, Config, Journal, LocalSigner, LogServer, Reader};
use chancery_tlog::{Checkpoint, LogEdge, LogKeys, Note};
use tokio::sync::oneshot;

/// Logs that one signer signs.
#[derive(Debug)]
pub(crate) struct Logs {
    folder: tempfile::TempDir,
    signer: Arc<LocalSigner>,
}

/// A server, until it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

pub(crate) fn entry(branch: u64, index: u64) -> Vec<u8> {
    format!("{branch} {index} {}", "z".repeat(index as usize % 9)).into_bytes()
}

impl Logs {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = "td.example/log/served".parse().unwrap();
        let keys = folder.path().join("signer");
        let signer = LocalSigner::open_or_create(&keys, &origin).unwrap();
        // Every signer begins with a note over the empty log.
        fs::copy(keys.join("ratchet"), folder.path().join("first-note")).unwrap();
        Self {
            folder,
            signer: Arc::new(signer),
        }
    }

    pub(crate) fn keys(&self) -> LogKeys {
        self.signer.keys().clone()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes on in the log of that name until it has so many entries, and publishes it.
    pub(crate) async fn grow(&self, name: &str, size: u64) -> PathBuf {
        let dir = self.path(name);
        let mut config = Config::new(&dir, self.signer.origin().clone());
        config.publish_interval = Duration::from_secs(3_600);
        config.segment_bytes = 1 << 17;
        let signer = Arc::clone(&self.signer) as Arc<dyn CheckpointSigner>;
        let journal = Journal::open(config, signer).unwrap();
        let entries = (journal.size()..size)
            .map(|index| entry(0, index))
            .collect();
        journal.append_all(entries).await.unwrap();
        journal.publish().await.unwrap();
        // It waits for its threads.
        tokio::task::spawn_blocking(move || drop(journal))
            .await
            .unwrap();
        dir
    }

    /// A log of another history under the same keys, as somebody who has them makes it: with a
    /// ratchet that has forgotten. The entries from `from` on are others.
    pub(crate) fn forge(&self, name: &str, size: u64, from: u64) -> PathBuf {
        let (keys, forgetful) = (self.path("signer"), self.path("forgetful"));
        fs::remove_dir_all(&forgetful).unwrap_or_default();
        copy(&keys, &forgetful);
        fs::copy(self.path("first-note"), forgetful.join("ratchet")).unwrap();
        let signer = LocalSigner::open_or_create(&forgetful, self.signer.origin()).unwrap();
        let (mut edge, mut files) = (LogEdge::new(), Vec::new());
        for index in 0..size {
            edge.push(&entry(u64::from(index >= from), index), &mut files)
                .unwrap();
        }
        files.extend(edge.partials());
        let checkpoint = Checkpoint {
            origin: self.signer.origin().clone(),
            size,
            root: edge.root(),
        };
        let text = checkpoint.to_string();
        let note = Note::new(&text, signer.sign(&text, &[]).unwrap()).unwrap();
        let dir = self.path(name);
        for file in files {
            let path = dir.join(file.path.to_string());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file.bytes).unwrap();
        }
        fs::write(dir.join("checkpoint"), note.to_string()).unwrap();
        dir
    }
}

/// Serves folders, each below its prefix.
pub(crate) async fn serve(logs: &[(&str, &Path)]) -> Served {
    let open = |dir: &Path| Reader::open_published(dir).unwrap();
    let logs = logs
        .iter()
        .map(|(prefix, dir)| ((*prefix).to_owned(), open(dir)));
    let server = LogServer::bind(([127, 0, 0, 1], 0).into(), logs.collect()).await;
    let server = server.unwrap();
    let address = server.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(server.serve(async {
        // Dropping the sender is the end as well.
        let _ = stopped.await;
    }));
    Served {
        address,
        _stop: stop,
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}
