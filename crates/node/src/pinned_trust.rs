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
