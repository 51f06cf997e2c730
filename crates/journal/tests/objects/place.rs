//! Where a log is kept, and the log there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chancery_crypto::{AwsLc, MlDsa44Key, SigningKey};
use chancery_journal::{
    Config, Journal, JournalError, LocalDisk, LocalSigner, ObjectDisk, Reader, Storage,
};
use chancery_tlog::{LogKeys, VerifiedCheckpoint, VerifierKey, verify_checkpoint_exact};
use chancery_types::{Algorithm, Secret};
use object_store::ObjectStore;

/// How long these tests wait for a writer that is gone.
pub(crate) const TERM: Duration = Duration::from_millis(600);

/// How long they go on asking a store that does not answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A place that a process reaches; another process has another one of the same.
pub(crate) struct Place {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) dir: String,
}

/// The keys of a log's signer, which no storage loses here.
pub(crate) struct Keys {
    pkcs8: Secret,
    seed: Secret,
    pub(crate) log: LogKeys,
}

impl Place {
    pub(crate) fn local(dir: &Path) -> Self {
        Self {
            storage: Arc::new(LocalDisk),
            dir: dir.display().to_string(),
        }
    }

    pub(crate) fn objects(store: Arc<dyn ObjectStore>, dir: &str) -> Self {
        let disk = ObjectDisk::with_times(store, "logs/of/tests".into(), TERM, PATIENCE).unwrap();
        Self {
            storage: Arc::new(disk),
            dir: dir.to_owned(),
        }
    }

    pub(crate) fn open(&self, keys: &Keys) -> Result<Journal, JournalError> {
        self.publishing_every(keys, Duration::from_secs(3_600))
    }

    pub(crate) fn publishing_every(
        &self,
        keys: &Keys,
        interval: Duration,
    ) -> Result<Journal, JournalError> {
        let mut config = Config::new(format!("{}/log", self.dir), keys.log.origin().clone());
        config.publish_interval = interval;
        config.segment_bytes = 1 << 18;
        config.storage = Arc::clone(&self.storage);
        // The lock of the log first: whoever is refused leaves the signer alone.
        let signer = keys.signer(self).map_err(|error| match error {
            chancery_journal::LocalSignerError::Directory(error) => error,
            error => panic!("{error}"),
        })?;
        Journal::open(config, Arc::new(signer))
    }

    pub(crate) fn reader(&self) -> Reader {
        let dir = format!("{}/log", self.dir);
        Reader::open_on(Arc::clone(&self.storage), Path::new(&dir)).unwrap()
    }
}

impl Keys {
    pub(crate) fn new() -> Self {
        let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let seed = MlDsa44Key::generate().unwrap();
        Self::of(ed25519.pkcs8().clone(), seed.seed().clone())
    }

    /// Keys that another process has as well.
    pub(crate) fn of(pkcs8: Secret, seed: Secret) -> Self {
        let origin: chancery_tlog::Origin = "td.example/log/objects".parse().unwrap();
        let ed25519 = SigningKey::from_pkcs8(Algorithm::Ed25519, pkcs8.clone()).unwrap();
        let ml_dsa_44 = MlDsa44Key::from_seed(seed.clone()).unwrap();
        let name = || origin.key_name().clone();
        let public = ed25519.public().to_public_bytes();
        let log = LogKeys::new(
            origin.clone(),
            VerifierKey::ed25519(name(), &public).unwrap(),
            VerifierKey::ml_dsa_44(name(), &ml_dsa_44.public()).unwrap(),
        );
        Self {
            pkcs8,
            seed,
            log: log.unwrap(),
        }
    }

    pub(crate) fn keep(&self, dir: &Path) {
        std::fs::write(dir.join("pkcs8"), self.pkcs8.expose()).unwrap();
        std::fs::write(dir.join("seed"), self.seed.expose()).unwrap();
    }

    pub(crate) fn kept(dir: &Path) -> Self {
        let read = |name| Secret::new(std::fs::read(dir.join(name)).unwrap());
        Self::of(read("pkcs8"), read("seed"))
    }

    fn signer(&self, place: &Place) -> Result<LocalSigner, chancery_journal::LocalSignerError> {
        let ed25519 = SigningKey::from_pkcs8(Algorithm::Ed25519, self.pkcs8.clone()).unwrap();
        let ml_dsa_44 = MlDsa44Key::from_seed(self.seed.clone()).unwrap();
        LocalSigner::with_keys(
            Arc::clone(&place.storage),
            Path::new(&format!("{}/signer", place.dir)),
            self.log.origin(),
            (ed25519, ml_dsa_44),
            || 1_700_000_000,
        )
    }

    pub(crate) fn verify(&self, reader: &Reader) -> VerifiedCheckpoint {
        let (note, _) = reader.checkpoint().unwrap().unwrap();
        verify_checkpoint_exact(note.as_bytes(), &self.log, &AwsLc).unwrap()
    }
}
