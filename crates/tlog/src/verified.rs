use chancery_types::SignatureVerifier;

use crate::{
    Checkpoint, CheckpointTextError, CosignatureError, CosignerError, KeyMaterial, LeafHash, Note,
    NoteError, NoteSignature, Origin, ProofError, SignatureKind, TreeHash, VerifierKey,
    verify_consistency, verify_cosignature, verify_inclusion,
};

/// The keys of one log: both must sign every checkpoint, and both are called like the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys {
    origin: Origin,
    ed25519: VerifierKey,
    ml_dsa_44: VerifierKey,
}

/// Why keys are not those of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogKeysError {
    /// A key is called otherwise than the log.
    #[error("the {0} key is not named like the log")]
    Name(SignatureKind),
    /// A key of another type stands in the place of this one.
    #[error("the key in the place of the {0} key is of another type")]
    Kind(SignatureKind),
}

/// A checkpoint that both of its log's keys signed. Only verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    checkpoint: Checkpoint,
    timestamp: u64,
}

/// Why a checkpoint is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note(#[source] NoteError),
    /// The note's text is not a checkpoint's.
    #[error("the note is not a checkpoint")]
    Text(#[source] CheckpointTextError),
    /// Another log's checkpoint.
    #[error("the checkpoint is another log's")]
    Origin,
    /// A key of the log did not sign.
    #[error("the checkpoint has no {0} signature of the log")]
    Missing(SignatureKind),
    /// A signature line of a key of the log does not verify.
    #[error("the {0} signature of the log is wrong")]
    Signature(SignatureKind),
    /// The log's post-quantum signature line is malformed.
    #[error("the ML-DSA-44 signature line of the log is malformed")]
    Cosignature(#[source] CosignatureError),
    /// Exact mode: signature lines other than the log's two, or those in another order.
    #[error("the checkpoint carries more than the log's own two signatures in their order")]
    NotExact,
}

impl LogKeys {
    /// The keys of the log `origin`.
    pub fn new(
        origin: Origin,
        ed25519: VerifierKey,
        ml_dsa_44: VerifierKey,
    ) -> Result<Self, LogKeysError> {
        for (key, kind) in [
            (&ed25519, SignatureKind::Ed25519),
            (&ml_dsa_44, SignatureKind::MlDsa44),
        ] {
            if key.kind() != kind {
                return Err(LogKeysError::Kind(kind));
            }
            if key.name() != origin.key_name() {
                return Err(LogKeysError::Name(kind));
            }
        }
        Ok(Self {
            origin,
            ed25519,
            ml_dsa_44,
        })
    }

    /// The log.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The Ed25519 key.
    pub const fn ed25519(&self) -> &VerifierKey {
        &self.ed25519
    }

    /// The ML-DSA-44 key.
    pub const fn ml_dsa_44(&self) -> &VerifierKey {
        &self.ml_dsa_44
    }
}

impl VerifiedCheckpoint {
    /// What the log signed.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The log.
    pub const fn origin(&self) -> &Origin {
        &self.checkpoint.origin
    }

    /// The number of entries.
    pub const fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The root of the tree.
    pub const fn root(&self) -> &TreeHash {
        &self.checkpoint.root
    }

    /// When the log says it signed this as its largest tree, in seconds since the epoch; none
    /// where it says nothing about the time.
    pub fn timestamp(&self) -> Option<u64> {
        (self.timestamp != 0).then_some(self.timestamp)
    }

    /// Verifies that `entry` is entry `index` of this log.
    pub fn verify_inclusion(
        &self,
        index: u64,
        entry: &[u8],
        proof: &[TreeHash],
    ) -> Result<(), ProofError> {
        verify_inclusion(index, self.size(), LeafHash::of(entry), proof, self.root())
    }

    /// Verifies that this tree begins with that of `older`. An older tree without entries takes
    /// an empty proof.
    pub fn verify_consistency(&self, older: &Self, proof: &[TreeHash]) -> Result<(), ProofError> {
        match older.size() {
            0 if proof.is_empty() => Ok(()),
            0 => Err(ProofError::WrongLength),
            size => verify_consistency(size, self.size(), proof, older.root(), self.root()),
        }
    }
}

/// Verifies a checkpoint: the note's text names this log, and both keys of the log signed it.
/// Lines of unknown keys are ignored, a wrong line of a known key refuses the note.
pub fn verify_checkpoint(
    note: &[u8],
    keys: &LogKeys,
    verifier: &dyn SignatureVerifier,
) -> Result<VerifiedCheckpoint, CheckpointError> {
    verify(note, keys, verifier, false)
}

/// Like [`verify_checkpoint`], and the note holds nothing but the text, the Ed25519 line and the
/// ML-DSA-44 line: no byte of it can be changed, added or left out.
pub fn verify_checkpoint_exact(
    note: &[u8],
    keys: &LogKeys,
    verifier: &dyn SignatureVerifier,
) -> Result<VerifiedCheckpoint, CheckpointError> {
    verify(note, keys, verifier, true)
}

fn verify(
    note: &[u8],
    keys: &LogKeys,
    verifier: &dyn SignatureVerifier,
    exact: bool,
) -> Result<VerifiedCheckpoint, CheckpointError> {
    let note = Note::parse(note).map_err(CheckpointError::Note)?;
    verify_note(&note, keys, verifier, exact)
}

/// [`verify`] for a note that was read already.
pub(crate) fn verify_note(
    note: &Note,
    keys: &LogKeys,
    verifier: &dyn SignatureVerifier,
    exact: bool,
) -> Result<VerifiedCheckpoint, CheckpointError> {
    let checkpoint: Checkpoint = note.text().parse().map_err(CheckpointError::Text)?;
    if checkpoint.origin != keys.origin {
        return Err(CheckpointError::Origin);
    }
    if exact {
        match note.signatures() {
            [first, second]
                if keys.ed25519.is_named_by(first) && keys.ml_dsa_44.is_named_by(second) => {}
            _ => return Err(CheckpointError::NotExact),
        }
    }
    let mut ed25519 = None;
    let mut timestamp = None;
    for line in note.signatures() {
        if keys.ed25519.is_named_by(line) {
            ed25519 = Some(verify_ed25519(&keys.ed25519, note, line, verifier)?);
        }
        if keys.ml_dsa_44.is_named_by(line) {
            let time = verify_ml_dsa_44(&keys.ml_dsa_44, &checkpoint, line, verifier)?;
            timestamp = timestamp.max(Some(time));
        }
    }
    ed25519.ok_or(CheckpointError::Missing(SignatureKind::Ed25519))?;
    Ok(VerifiedCheckpoint {
        checkpoint,
        timestamp: timestamp.ok_or(CheckpointError::Missing(SignatureKind::MlDsa44))?,
    })
}

fn verify_ed25519(
    key: &VerifierKey,
    note: &Note,
    line: &NoteSignature,
    verifier: &dyn SignatureVerifier,
) -> Result<(), CheckpointError> {
    let good = match key.key() {
        KeyMaterial::Ed25519(key) => verifier.verify(key, note.text().as_bytes(), line.signature()),
        KeyMaterial::Cosignature(_) | KeyMaterial::MlDsa44(_) => false,
    };
    good.then_some(())
        .ok_or(CheckpointError::Signature(SignatureKind::Ed25519))
}

fn verify_ml_dsa_44(
    key: &VerifierKey,
    checkpoint: &Checkpoint,
    line: &NoteSignature,
    verifier: &dyn SignatureVerifier,
) -> Result<u64, CheckpointError> {
    verify_cosignature(key, checkpoint, line, verifier).map_err(|error| match error {
        CosignerError::Malformed(error) => CheckpointError::Cosignature(error),
        CosignerError::Kind | CosignerError::Wrong => {
            CheckpointError::Signature(SignatureKind::MlDsa44)
        }
    })
}
