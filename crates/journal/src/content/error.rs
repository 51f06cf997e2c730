use std::path::PathBuf;

use chancery_crypto::{KeyFileError, RandomError, SealError};
use chancery_types::Digest;

use super::KeyId;

/// Why a kept value cannot be stored, read or erased.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The system refused an operation on a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key file cannot be read or written, or others may read it.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The key that opens all others is gone.
    #[error("{}: missing, and there are keys that it seals; restore it from a copy", path.display())]
    NoMaster {
        /// Its file.
        path: PathBuf,
    },
    /// A file is not what its name says.
    #[error("{}: not {expected}; restore it from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A data key that another master key, or the same for another subject, sealed.
    #[error("{}: sealed by another master key or for another subject; restore keys and master from one copy", path.display())]
    ForeignKey {
        /// Its file.
        path: PathBuf,
    },
    /// Its subject was erased.
    #[error("erased, as entry {entry} of the log says")]
    Erased {
        /// The index of the entry that enrolled the erasure.
        entry: u64,
    },
    /// Its subject is being erased: nothing more is kept of it.
    #[error("its subject is being erased")]
    Erasing,
    /// Nobody here ever had the key.
    #[error("sealed under the key {id}, which is not here; restore the keys from a copy")]
    UnknownKey {
        /// The key.
        id: KeyId,
    },
    /// Not a sealed value of this format.
    #[error("not a sealed value")]
    NotSealed,
    /// It does not open: cut short, altered, or moved to the place of another.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// No such value is kept here.
    #[error("the object {digest} is not here")]
    Missing {
        /// Its digest.
        digest: Digest,
    },
    /// What was opened has another digest than its name.
    #[error("the object {digest} has other bytes than its name says; restore it from a copy")]
    Altered {
        /// Its name.
        digest: Digest,
    },
    /// The system's random source failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Opened for reading alone.
    #[error("the keys were opened for reading alone")]
    ReadOnly,
}

impl ContentError {
    pub(super) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Whether the value was erased: it is gone for good, and nothing is wrong.
    pub const fn is_erased(&self) -> bool {
        matches!(self, Self::Erased { .. })
    }
}
