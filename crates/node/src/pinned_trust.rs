use std::path::PathBuf;

use chancery_crypto::{AwsLc, KeyFileError, replace_private_file};
use chancery_identity::trust::{SignedTrust, TrustError, VerifiedTrust};

/// The trust document that a node on another host starts from, and its successors: each is signed by
/// the roots of the one before. It is kept in a file, so that no earlier one is taken after a restart
/// either.
#[derive(Debug)]
pub struct PinnedTrust {
    trust: VerifiedTrust,
    file: PathBuf,
}

/// Why a trust document is no start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The document that the node has seen cannot be read.
    #[error("{}: the trust document that this node has seen", path.display())]
    Seen {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The document is no successor of the one that the node has seen.
    #[error("the trust document does not follow the one that this node has seen")]
    NotASuccessor(#[source] TrustError),
    /// The document cannot be kept.
    #[error(transparent)]
    File(#[from] KeyFileError),
}

impl PinnedTrust {
    /// Starts from `given`, or from what `file` holds where that follows on `given`.
    pub fn start(given: VerifiedTrust, file: PathBuf) -> Result<Self, PinError> {
        let seen = match std::fs::read(&file) {
            Ok(bytes) => {
                let failed = |source: Box<dyn std::error::Error + Send + Sync>| PinError::Seen {
                    path: file.clone(),
                    source,
                };
                let signed = SignedTrust::parse(&bytes).map_err(|error| failed(error.into()))?;
                Some(
                    signed
                        .verify(&AwsLc)
                        .map_err(|error| failed(error.into()))?,
                )
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(PinError::Seen {
                    path: file,
                    source: error.into(),
                });
            }
        };
        let trust = match seen {
            Some(seen) if seen.digest() == given.digest() => seen,
            Some(seen) => {
                // One of the two goes on from the other; the later one is in force.
                let (older, newer) = match seen.version < given.version {
                    true => (seen, given),
                    false => (given, seen),
                };
                let accepted = older.accept(newer.signed().clone(), &AwsLc);
                accepted.map_err(PinError::NotASuccessor)?
            }
            None => given,
        };
        let pinned = Self { trust, file };
        pinned.keep()?;
        Ok(pinned)
    }

    /// The document in force.
    pub const fn trust(&self) -> &VerifiedTrust {
        &self.trust
    }

    /// Takes a successor, on disk first. Everything else leaves what is in force, and is told.
    pub(crate) fn offer(&mut self, next: SignedTrust) {
        if next == *self.trust.signed() {
            return;
        }
        let accepted = match self.trust.accept(next, &AwsLc) {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the server's trust document is not taken");
                return;
            }
        };
        let next = Self {
            trust: accepted,
            file: self.file.clone(),
        };
        match next.keep() {
            Ok(()) => *self = next,
            Err(error) => tracing::error!(%error, "a trust document cannot be kept"),
        }
    }

    fn keep(&self) -> Result<(), PinError> {
        let bytes = self.trust.signed().to_bytes();
        let bytes = bytes.map_err(|error| PinError::Seen {
            path: self.file.clone(),
            source: error.into(),
        })?;
        Ok(replace_private_file(&self.file, &bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::SigningKey;
    use chancery_identity::trust::{TrustDocument, TrustFormat, TrustSignature};
    use chancery_types::{Algorithm, Timestamp, base64url};

    use super::*;

    fn document(root: &SigningKey, version: u64, previous: Option<&VerifiedTrust>) -> SignedTrust {
        let trust = TrustDocument {
            format: TrustFormat::V1,
            version,
            trust_domain: "example.org".into(),
            issued_at: Timestamp::from_seconds(version),
            previous: previous.map(VerifiedTrust::digest),
            threshold: 1,
            roots: vec![*root.public()],
            x509_authorities: vec![],
            token_authorities: vec![],
            jwt_authorities: vec![],
            delegation_authorities: vec![],
            access_token_authorities: vec![],
            manifest_issuers: vec![],
            people: vec![],
            policy_signers: vec![],
            policy_quorum: None,
            snapshot_signers: vec![],
            record_signers: vec![],
            witnesses: None,
            log_origins: vec![],
        };
        let input = SignedTrust::signing_input(&trust).unwrap();
        let signature = base64url::encode(root.sign(&input).unwrap());
        let kid = root.public().kid();
        SignedTrust {
            signatures: vec![TrustSignature { kid, signature }],
            trust,
        }
    }

    #[test]
    fn follows_its_roots_and_goes_back_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trust.json");
        let root = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let first = document(&root, 1, None).verify(&AwsLc).unwrap();
        let second = document(&root, 2, Some(&first));
        let mut pinned = PinnedTrust::start(first.clone(), file.clone()).unwrap();
        // Signed well, by nobody who was trusted.
        pinned.offer(document(&other, 2, Some(&first)));
        assert_eq!(pinned.trust().version, 1);
        pinned.offer(second.clone());
        assert_eq!(pinned.trust().version, 2);
        pinned.offer(first.signed().clone());
        assert_eq!(pinned.trust().version, 2);
        // What was seen stays, whichever is handed over at the next start.
        for given in [first.clone(), second.clone().verify(&AwsLc).unwrap()] {
            let again = PinnedTrust::start(given, file.clone()).unwrap();
            assert_eq!(again.trust().version, 2);
        }
        let stranger = document(&other, 3, None).verify(&AwsLc).unwrap();
        assert!(matches!(
            PinnedTrust::start(stranger, file.clone()),
            Err(PinError::NotASuccessor(_))
        ));
        std::fs::write(&file, "{").unwrap();
        assert!(matches!(
            PinnedTrust::start(first, file),
            Err(PinError::Seen { .. })
        ));
    }
}
