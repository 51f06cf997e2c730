use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use chancery_crypto::{AwsLc, KeyFileError, read_private_file, replace_private_file};
use chancery_identity::trust::{SignedTrust, TrustError, VerifiedTrust};

/// The trust document in force and the highest that was ever seen, which are the same: versions
/// never go back, across restarts too.
#[derive(Debug)]
pub(crate) struct TrustStore {
    file: PathBuf,
    current: RwLock<Arc<VerifiedTrust>>,
}

/// Why no trust document is in force, or a later one is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustStoreError {
    /// A file cannot be read or kept.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A document is refused.
    #[error("{}: refused", path.display())]
    Document {
        /// The file that it came from.
        path: PathBuf,
        /// Why.
        #[source]
        source: TrustError,
    },
    /// A later document is refused.
    #[error("the later trust document is refused")]
    Later(#[source] TrustError),
    /// Two documents of one version.
    #[error("{}: another document of version {version} was seen before; find out who signed two", path.display())]
    Fork {
        /// The file.
        path: PathBuf,
        /// The version.
        version: u64,
    },
}

impl TrustStore {
    /// Takes the document in `given`, which is trusted by where it stands, or the one that was seen
    /// last and kept in `seen` when that is later.
    pub(crate) fn open(given: &Path, seen: PathBuf) -> Result<Self, TrustStoreError> {
        let mut current = read(given)?;
        if seen.exists() {
            let last = read(&seen)?;
            if last.version == current.version && last.digest() != current.digest() {
                return Err(TrustStoreError::Fork {
                    path: seen,
                    version: last.version,
                });
            }
            if last.version > current.version {
                current = last;
            }
        }
        let store = Self {
            file: seen,
            current: RwLock::new(Arc::new(current)),
        };
        store.keep(&store.current())?;
        Ok(store)
    }

    /// The document in force.
    pub(crate) fn current(&self) -> Arc<VerifiedTrust> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a later document: kept before it is in force.
    pub(crate) fn accept(&self, document: &[u8]) -> Result<(), TrustStoreError> {
        let current = self.current();
        let next = SignedTrust::parse(document).map_err(TrustStoreError::Later)?;
        if next == *current.signed() {
            return Ok(());
        }
        let next = current
            .accept(next, &AwsLc)
            .map_err(TrustStoreError::Later)?;
        self.keep(&next)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }

    fn keep(&self, trust: &VerifiedTrust) -> Result<(), TrustStoreError> {
        let bytes = trust.signed().to_bytes().map_err(TrustStoreError::Later)?;
        Ok(replace_private_file(&self.file, &bytes)?)
    }
}

fn read(path: &Path) -> Result<VerifiedTrust, TrustStoreError> {
    let bytes = read_private_file(path)?;
    SignedTrust::parse(bytes.expose())
        .and_then(|signed| signed.verify(&AwsLc))
        .map_err(|source| TrustStoreError::Document {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{SigningKey, create_private_file};
    use chancery_identity::trust::{TrustDocument, TrustFormat, TrustSignature};
    use chancery_types::{Algorithm, Digest, Timestamp, base64url};

    use super::*;

    fn document(key: &SigningKey, version: u64, previous: Option<Digest>, at: u64) -> Vec<u8> {
        let trust = TrustDocument {
            format: TrustFormat::V1,
            version,
            trust_domain: "t.example".to_owned(),
            issued_at: Timestamp::from_seconds(at),
            previous,
            threshold: 1,
            roots: vec![*key.public()],
            x509_authorities: Vec::new(),
            token_authorities: Vec::new(),
            jwt_authorities: Vec::new(),
            delegation_authorities: Vec::new(),
            access_token_authorities: Vec::new(),
            manifest_issuers: Vec::new(),
            people: Vec::new(),
            policy_signers: Vec::new(),
            policy_quorum: None,
            snapshot_signers: Vec::new(),
            record_signers: Vec::new(),
            witnesses: None,
            log_origins: Vec::new(),
        };
        let input = SignedTrust::signing_input(&trust).unwrap();
        let signature = TrustSignature {
            kid: key.public().kid(),
            signature: base64url::encode(key.sign(&input).unwrap()),
        };
        let signed = SignedTrust {
            signatures: vec![signature],
            trust,
        };
        signed.to_bytes().unwrap()
    }

    #[test]
    fn versions_never_go_back_across_restarts_too() {
        let folder = tempfile::tempdir().unwrap();
        let (given, seen) = (folder.path().join("given"), folder.path().join("seen"));
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let first = document(&key, 1, None, 1);
        create_private_file(&given, &first).unwrap();
        let store = TrustStore::open(&given, seen.clone()).unwrap();
        let second = document(&key, 2, Some(store.current().digest()), 2);
        store.accept(&second).unwrap();
        store.accept(&second).unwrap();
        assert!(matches!(
            store.accept(&first),
            Err(TrustStoreError::Later(TrustError::NotNewer { .. }))
        ));
        let stranger = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let forged = document(&stranger, 3, Some(store.current().digest()), 3);
        assert!(matches!(
            store.accept(&forged),
            Err(TrustStoreError::Later(TrustError::Signatures { .. }))
        ));
        drop(store);
        let again = TrustStore::open(&given, seen.clone()).unwrap();
        assert_eq!(again.current().version, 2);
        // Another document of the version that was seen.
        let fork = document(&key, 2, Some(Digest::of(&first)), 9);
        replace_private_file(&given, &fork).unwrap();
        assert!(matches!(
            TrustStore::open(&given, seen),
            Err(TrustStoreError::Fork { version: 2, .. })
        ));
    }
}
