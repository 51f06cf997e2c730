use std::io;
use std::path::PathBuf;

use chancery_crypto::KeyError;
use chancery_tlog::{
    Checkpoint, CheckpointTextError, CosignatureError, NoteError, NoteSignature, Origin,
    RatchetError, TreeHash,
};

/// Signs the checkpoints of one log, in this process or in another. Whoever implements it never
/// signs two checkpoints of which the later does not begin with the earlier
/// ([`chancery_tlog::advance`]), and remembers the later one durably before a signature leaves.
pub trait CheckpointSigner: Send + Sync {
    /// The log that it signs for.
    fn origin(&self) -> &Origin;

    /// The last checkpoint that it signed; none before the first.
    fn last_signed(&self) -> Result<Option<Checkpoint>, SignError>;

    /// Signs the text of a checkpoint. `consistency` proves that its tree begins with that of
    /// [`CheckpointSigner::last_signed`]; it is empty where that is the same or an empty tree.
    /// Returns the log's signature lines in the order Ed25519, ML-DSA-44.
    fn sign(
        &self,
        note_text: &str,
        consistency: &[TreeHash],
    ) -> Result<Vec<NoteSignature>, SignError>;
}

/// Why a checkpoint is not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It contradicts what was signed before. The log must not go on.
    #[error("the checkpoint contradicts one that was signed before")]
    Refused(#[source] RatchetError),
    /// The text is not a checkpoint's.
    #[error("the text is not a checkpoint")]
    Text(#[source] CheckpointTextError),
    /// The post-quantum message cannot be made.
    #[error("the checkpoint cannot be cosigned")]
    Cosignature(#[source] CosignatureError),
    /// The note cannot be put together.
    #[error("the signed note is malformed")]
    Note(#[source] NoteError),
    /// A key does not sign.
    #[error("a checkpoint key does not sign")]
    Key(#[source] KeyError),
    /// The memory of what was signed cannot be kept.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The signer cannot be reached or does not answer as it should; worth another try later.
    #[error("the checkpoint signer is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
