//! A log on the model, and the book of what its writer promised.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chancery_crypto::{AwsLc, MlDsa44Key, SigningKey};
use chancery_journal::{
    CheckpointSigner, Clock, Config, Journal, JournalError, LocalSigner, LocalSignerError, Reader,
    SignError,
};
use chancery_tlog::{
    Checkpoint, Frontier, LeafHash, LogKeys, NoteSignature, Origin, TreeHash, VerifierKey,
    verify_checkpoint_exact,
};
use chancery_types::{Algorithm, Secret};

use crate::disk::{ModelDisk, Op};

pub(crate) const LOG: &str = "/log";
pub(crate) const SIGNER: &str = "/signer";

/// Never, on its own.
pub(crate) const WHEN_TOLD: Duration = Duration::from_secs(3_600);

pub(crate) struct World {
    pub(crate) disk: ModelDisk,
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: Clock,
    pub(crate) interval: Duration,
    pub(crate) book: Book,
}

/// Keys that a power cut does not reach.
pub(crate) struct Keys {
    pkcs8: Secret,
    seed: Secret,
    /// Their public halves.
    pub(crate) log: LogKeys,
}

/// What was promised, and to whom.
#[derive(Default)]
pub(crate) struct Book {
    /// What was confirmed, by index.
    confirmed: BTreeMap<u64, Vec<u8>>,
    /// Every checkpoint whose signatures have left the signer.
    signed: Signed,
    written: u64,
}

type Signed = Arc<Mutex<Vec<Checkpoint>>>;

/// Why a log cannot be opened.
#[derive(Debug)]
pub(crate) enum Failure {
    Signer(LocalSignerError),
    Journal(JournalError),
}

/// Writes down what its signer signs.
struct Recording {
    signer: LocalSigner,
    signed: Signed,
}

impl Keys {
    pub(crate) fn new() -> Arc<Self> {
        let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let ml_dsa_44 = MlDsa44Key::generate().unwrap();
        let name = || origin().key_name().clone();
        let public = ed25519.public().to_public_bytes();
        let log = LogKeys::new(
            origin(),
            VerifierKey::ed25519(name(), &public).unwrap(),
            VerifierKey::ml_dsa_44(name(), &ml_dsa_44.public()).unwrap(),
        );
        Arc::new(Self {
            pkcs8: ed25519.pkcs8().clone(),
            seed: ml_dsa_44.seed().clone(),
            log: log.unwrap(),
        })
    }

    pub(crate) fn signer(
        &self,
        disk: &ModelDisk,
        dir: &str,
        clock: Clock,
    ) -> Result<LocalSigner, LocalSignerError> {
        let ed25519 = SigningKey::from_pkcs8(Algorithm::Ed25519, self.pkcs8.clone()).unwrap();
        let ml_dsa_44 = MlDsa44Key::from_seed(self.seed.clone()).unwrap();
        let storage = Arc::new(disk.clone());
        let keys = (ed25519, ml_dsa_44);
        LocalSigner::with_keys(storage, Path::new(dir), &origin(), keys, clock)
    }
}

impl World {
    pub(crate) fn new(keys: &Arc<Keys>, seed: u64) -> Self {
        Self {
            disk: ModelDisk::new(seed),
            keys: Arc::clone(keys),
            clock: || 1_700_000_000,
            interval: WHEN_TOLD,
            book: Book::default(),
        }
    }

    pub(crate) fn signer(&self) -> Result<LocalSigner, LocalSignerError> {
        self.keys.signer(&self.disk.attach(), SIGNER, self.clock)
    }

    /// The log with its signer, both of this disk.
    pub(crate) fn open(&self) -> Result<Journal, Failure> {
        let signer = Recording {
            signer: self.signer().map_err(Failure::Signer)?,
            signed: Arc::clone(&self.book.signed),
        };
        if let Some(last) = self.book.largest() {
            let remembered = signer.last_signed().unwrap().unwrap();
            assert!(
                remembered.size >= last.size,
                "the ratchet remembers {} of {} signed entries",
                remembered.size,
                last.size
            );
        }
        self.open_with(Arc::new(signer)).map_err(Failure::Journal)
    }

    pub(crate) fn open_with(
        &self,
        signer: Arc<dyn CheckpointSigner>,
    ) -> Result<Journal, JournalError> {
        self.open_in(LOG, signer)
    }

    pub(crate) fn open_in(
        &self,
        dir: &str,
        signer: Arc<dyn CheckpointSigner>,
    ) -> Result<Journal, JournalError> {
        let mut config = Config::new(dir, origin());
        config.publish_interval = self.interval;
        config.segment_bytes = 73_728;
        config.max_pending_bytes = 200_000;
        config.storage = Arc::new(self.disk.attach());
        Journal::open(config, signer)
    }

    /// Waits, after the first start, until a spare segment is ready: nothing is done any more that
    /// nobody asks for.
    pub(crate) fn wait_for_spare(&self) {
        loop {
            let trace = self.disk.trace();
            let mut wal = trace
                .iter()
                .filter(|(_, path)| path.starts_with(Path::new(LOG).join("wal")));
            let made = wal.clone().filter(|(op, _)| *op == Op::Create).count();
            // One where the log was made, one to begin with, and the spare one.
            if made == 3 && wal.next_back().is_some_and(|(op, _)| *op == Op::SyncFolder) {
                return;
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn reader(&self) -> Result<Reader, JournalError> {
        Reader::open_on(Arc::new(self.disk.clone()), Path::new(LOG))
    }

    /// Everything that was promised is kept: each confirmed entry at its index, and each signed
    /// checkpoint that of a part of what is there.
    pub(crate) fn check(&self, journal: &Journal) {
        let mut frontier = Frontier::new();
        let signed = self.book.signed.lock().unwrap();
        let check = |frontier: &Frontier| {
            for checkpoint in signed.iter().filter(|c| c.size == frontier.size()) {
                assert_eq!(checkpoint.root, frontier.root(), "at {}", checkpoint.size);
            }
        };
        check(&frontier);
        for (at, entry) in (0..).zip(journal.entries(0..u64::MAX)) {
            let (index, entry) = match entry {
                Ok(entry) => entry,
                // Power went while it was read; the next start looks again.
                Err(_) if self.disk.is_off() => return,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(index, at);
            if let Some(confirmed) = self.book.confirmed.get(&index) {
                assert_eq!(&entry, confirmed, "entry {index} is another one");
            }
            frontier.push(LeafHash::of(&entry));
            check(&frontier);
        }
        assert_eq!(frontier.size(), journal.size());
        let most = self.book.confirmed.keys().next_back();
        assert!(
            most.is_none_or(|most| *most < frontier.size()),
            "{} entries, and {most:?} was confirmed",
            frontier.size()
        );
        assert!(signed.iter().all(|c| c.size <= frontier.size()));
    }

    /// What a web server shows of the log is a whole log under a checkpoint that was signed.
    pub(crate) fn check_served(&self) {
        let Ok(reader) = self.reader() else {
            return;
        };
        let Some((note, _)) = reader.checkpoint().unwrap() else {
            return;
        };
        verify_checkpoint_exact(note.as_bytes(), &self.keys.log, &AwsLc).unwrap();
        reader.audit().unwrap();
    }

    /// It goes on as if nothing had been.
    pub(crate) fn go_on(&mut self, journal: &Journal) {
        let size = journal.size();
        self.book.append(journal, 20).unwrap();
        let published = journal.publish_blocking().unwrap();
        assert_eq!(published.checkpoint.size, size + 1);
        let audited = journal.reader().audit().unwrap().unwrap();
        assert_eq!(audited, published.checkpoint);
    }
}

impl Book {
    /// An entry that no other is, of at least that many bytes.
    pub(crate) fn entry(&mut self, length: usize) -> Vec<u8> {
        self.written += 1;
        let mut entry = format!("entry {} ", self.written).into_bytes();
        entry.resize(length.max(entry.len()), b'x');
        entry
    }

    pub(crate) fn confirm(&mut self, index: u64, entry: Vec<u8>) {
        let twice = self.confirmed.insert(index, entry);
        assert_eq!(twice, None, "index {index} was given twice");
    }

    /// Appends an entry; none where the journal has ended.
    pub(crate) fn append(&mut self, journal: &Journal, length: usize) -> Option<u64> {
        let entry = self.entry(length);
        let index = journal.append_blocking(entry.clone()).ok()?;
        self.confirm(index, entry);
        Some(index)
    }

    /// Appends entries together.
    pub(crate) fn append_all(
        &mut self,
        journal: &Journal,
        lengths: impl IntoIterator<Item = usize>,
    ) -> Option<()> {
        let entries: Vec<_> = lengths
            .into_iter()
            .map(|length| self.entry(length))
            .collect();
        let indices = block_on(journal.append_all(entries.clone())).ok()?;
        for (index, entry) in indices.into_iter().zip(entries) {
            self.confirm(index, entry);
        }
        Some(())
    }

    pub(crate) fn confirmed(&self) -> usize {
        self.confirmed.len()
    }

    pub(crate) fn signed(&self) -> Vec<Checkpoint> {
        self.signed.lock().unwrap().clone()
    }

    fn largest(&self) -> Option<Checkpoint> {
        let signed = self.signed.lock().unwrap();
        signed.iter().max_by_key(|c| c.size).cloned()
    }
}

impl CheckpointSigner for Recording {
    fn origin(&self) -> &Origin {
        self.signer.origin()
    }

    fn last_signed(&self) -> Result<Option<Checkpoint>, SignError> {
        self.signer.last_signed()
    }

    fn sign(
        &self,
        note_text: &str,
        consistency: &[TreeHash],
    ) -> Result<Vec<NoteSignature>, SignError> {
        let lines = self.signer.sign(note_text, consistency)?;
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        signed.push(note_text.parse().unwrap());
        Ok(lines)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signer(error) => write!(f, "{error}"),
            Self::Journal(error) => write!(f, "{error}"),
        }
    }
}

pub(crate) fn origin() -> Origin {
    "td.example/log/model".parse().unwrap()
}

/// Waits for a future of a journal, which has threads of its own.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}
