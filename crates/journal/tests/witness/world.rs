//! A log in a folder, a witness that is served, and HTTP by hand.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use chancery_journal::{
    CheckpointSigner, Config, Journal, JournalError, LocalSigner, Unwitnessed, Witness,
    WitnessServer, Witnesses,
};
use chancery_tlog::{LogPolicy, Note, Origin, VerifierKey};
use tokio::sync::oneshot;

use crate::litewitness::fork;

pub(crate) const ORIGIN: &str = "td.example/log/gateway";

pub(crate) fn origin() -> Origin {
    ORIGIN.parse().unwrap()
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A log whose signer and files stand in folders of their own, so that one can be rolled back
/// without the other.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) signer: Arc<LocalSigner>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("signer");
        let signer = LocalSigner::open_or_create(&keys, &origin()).unwrap();
        std::fs::copy(keys.join("ratchet"), folder.path().join("first-ratchet")).unwrap();
        Self {
            signer: Arc::new(signer),
            folder,
        }
    }

    /// An empty log with the keys of another and a ratchet that has signed nothing: what a restored
    /// backup of the very first day is.
    pub(crate) fn with_keys_of(other: Self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fresh = folder.path().join("signer");
        drop(LocalSigner::open_or_create(&fresh, &origin()).unwrap());
        for name in ["ed25519.pk8", "ml-dsa-44.seed"] {
            let old = other.folder.path().join("signer").join(name);
            std::fs::copy(old, fresh.join(name)).unwrap();
        }
        drop(other.signer);
        // The ratchet of those keys as it was when it was made: the empty log, signed.
        std::fs::copy(
            other.folder.path().join("first-ratchet"),
            fresh.join("ratchet"),
        )
        .unwrap();
        Self {
            signer: Arc::new(LocalSigner::open_or_create(&fresh, &origin()).unwrap()),
            folder,
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn known(&self) -> Vec<VerifierKey> {
        let keys = self.signer.keys();
        vec![keys.ed25519().clone(), keys.ml_dsa_44().clone()]
    }

    pub(crate) fn witnesses(&self, policy: &str) -> Witnesses {
        let policy: LogPolicy = policy.parse().unwrap();
        Witnesses::new(policy, self.signer.keys().clone())
    }

    /// Opens the log; it publishes only when told.
    pub(crate) fn try_open(&self, witnesses: Option<Witnesses>) -> Result<Journal, JournalError> {
        let mut config = Config::new(self.log(), origin());
        config.publish_interval = Duration::from_secs(3_600);
        config.segment_bytes = 1 << 17;
        config.witnesses = witnesses;
        let signer = Arc::clone(&self.signer) as Arc<dyn CheckpointSigner>;
        Journal::open(config, signer)
    }

    pub(crate) fn open(&self, policy: &str) -> Journal {
        self.try_open(Some(self.witnesses(policy))).unwrap()
    }

    pub(crate) fn open_withholding(&self, policy: &str) -> Result<Journal, JournalError> {
        let mut witnesses = self.witnesses(policy);
        witnesses.unwitnessed = Unwitnessed::Withhold;
        self.try_open(Some(witnesses))
    }

    /// The visible checkpoint, whole.
    pub(crate) fn visible(&self) -> String {
        std::fs::read_to_string(self.log().join("checkpoint")).unwrap()
    }
}

/// Another tree of that size under the log's name, signed with its key past any ratchet: what
/// whoever stole the key file can do.
pub(crate) fn forged(place: &Place, size: u64) -> Note {
    let [log, _] = &place.known()[..] else {
        panic!("two keys");
    };
    fork(&place.folder.path().join("signer"), log, size)
}

pub(crate) fn fill(journal: &Journal, count: u64) {
    let first = journal.size();
    for index in first..first + count {
        let entry = format!("entry {index}").into_bytes();
        assert_eq!(journal.append_blocking(entry).unwrap(), index);
    }
}

/// A witness that is served until it is dropped.
pub(crate) struct Served {
    pub(crate) witness: Arc<Witness>,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn witness(dir: &Path, known: Vec<VerifierKey>) -> Arc<Witness> {
    let name = "witness.example/w1".parse().unwrap();
    Arc::new(Witness::open(dir, Some(&name), known).unwrap())
}

impl Served {
    pub(crate) fn start(dir: &Path, known: Vec<VerifierKey>) -> Self {
        let witness = witness(dir, known);
        let (stop, stopped) = oneshot::channel();
        let (address, told) = std::sync::mpsc::channel();
        let served = Arc::clone(&witness);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let any = "127.0.0.1:0".parse().unwrap();
                let server = WitnessServer::bind(any, served, now).await.unwrap();
                address.send(server.address().unwrap()).unwrap();
                server
                    .serve(async {
                        let _ = stopped.await;
                    })
                    .await;
            });
        });
        Self {
            witness,
            address: told.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A policy that asks for this witness.
    pub(crate) fn policy(&self) -> String {
        policy(&self.witness, self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

pub(crate) fn policy(witness: &Witness, address: SocketAddr) -> String {
    let [classical, _] = witness.keys().verifiers();
    format!("witness W {classical} http://{address}\nquorum W\n")
}

/// An answer, read by hand.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A connection that stays open.
pub(crate) struct Http(BufReader<TcpStream>);

impl Http {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: witness\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        // Whoever refuses before the whole body is there may close meanwhile.
        let _ = stream.write_all(body);
        self.answer(method == "HEAD")
    }

    fn answer(&mut self, without_body: bool) -> Answer {
        let mut line = || {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let status = line();
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let header = line();
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(": ").unwrap();
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut answer = Answer {
            status,
            headers,
            body: String::new(),
        };
        let length = answer.header("content-length").unwrap_or("0");
        let length = if without_body {
            0
        } else {
            length.parse().unwrap()
        };
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }
}
