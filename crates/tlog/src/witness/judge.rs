use chancery_types::SignatureVerifier;

use super::{AddCheckpoint, RecordedSize};
use crate::policy::verify_log_line;
use crate::{
    Checkpoint, CheckpointTextError, MAX_NOTE_SIGNATURES, Note, NoteError, ProofError,
    SignatureKind, VerifierKey, verify_consistency,
};

/// A checkpoint that a witness may cosign: a known key of its log signed it, and its tree begins
/// with the one that was cosigned last. Only [`judge`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    checkpoint: Checkpoint,
    note: Note,
}

/// Why a checkpoint is not cosigned. Each reason has one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WitnessRefusal {
    /// The text of the note is not a checkpoint's three lines.
    #[error("the note is not a checkpoint of three lines")]
    Text(#[source] CheckpointTextError),
    /// No log of this origin is known.
    #[error("no log of this origin is known here")]
    UnknownOrigin,
    /// No known key of the log signed.
    #[error("no known key of the log signed the checkpoint")]
    NotSigned,
    /// A line names a known key of the log and is not its signature.
    #[error("a {0} signature of the log is wrong")]
    WrongSignature(SignatureKind),
    /// The log's lines are more than a note holds together with cosignatures.
    #[error("the log's own signatures leave no room for cosignatures")]
    TooManySignatures,
    /// The old size is above the checkpoint's.
    #[error("the old size is above the size of the checkpoint")]
    OldAboveSize,
    /// Another size was cosigned last.
    #[error("the size that was cosigned last is {0}")]
    Conflict(u64),
    /// A tree of size zero with another root than the empty tree's.
    #[error("a checkpoint of size 0 with another root than the empty tree's")]
    EmptyRoot,
    /// A proof from the empty tree, which needs none.
    #[error("a proof where the old size is 0")]
    ProofFromNothing,
    /// The size that was cosigned last, with another root: the log has forked.
    #[error("another root for size {0} was cosigned before: the log has forked")]
    Forked(u64),
    /// The proof does not hold: the log has forked, or the sender erred.
    #[error("the log does not prove that it still begins with the {old} entries cosigned before")]
    Inconsistent {
        /// The size that was cosigned last.
        old: u64,
        /// What is wrong with the proof.
        source: ProofError,
    },
}

impl WitnessRefusal {
    /// The HTTP status that C2SP tlog-witness gives for it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Text(_) | Self::OldAboveSize | Self::TooManySignatures => 400,
            Self::UnknownOrigin => 404,
            Self::NotSigned | Self::WrongSignature(_) => 403,
            Self::Conflict(_) => 409,
            Self::EmptyRoot
            | Self::ProofFromNothing
            | Self::Forked(_)
            | Self::Inconsistent { .. } => 422,
        }
    }

    /// The body of a conflict; none of any other refusal.
    pub const fn recorded_size(&self) -> Option<RecordedSize> {
        match self {
            Self::Conflict(size) => Some(RecordedSize(*size)),
            _ => None,
        }
    }
}

impl Admitted {
    /// What is to be cosigned.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note with the lines of known keys of the log alone, each of which verified.
    pub const fn note(&self) -> &Note {
        &self.note
    }
}

/// Judges a request by C2SP tlog-witness, in the order of its statuses. `known` are the keys of
/// every known log, named like it; `last` is what was cosigned last for an origin, none before the
/// first time. INVARIANT of the caller: nothing is cosigned for the origin between what `last` says
/// and the moment that the admitted checkpoint is kept durably.
pub fn judge<'a>(
    request: &AddCheckpoint,
    known: impl IntoIterator<Item = &'a VerifierKey>,
    last: impl FnOnce(&Checkpoint) -> Option<Checkpoint>,
    verifier: &dyn SignatureVerifier,
) -> Result<Admitted, WitnessRefusal> {
    let note = request.checkpoint();
    let next = Checkpoint::read(note.text()).map_err(WitnessRefusal::Text)?;
    let mut keys = known
        .into_iter()
        .filter(|key| key.name() == next.origin.key_name())
        .peekable();
    if keys.peek().is_none() {
        return Err(WitnessRefusal::UnknownOrigin);
    }
    let keys: Vec<_> = keys.collect();
    let mut lines = Vec::new();
    for line in note.signatures() {
        if let Some(key) = keys.iter().find(|key| key.is_named_by(line)) {
            if !verify_log_line(key, &next, note, line, verifier) {
                return Err(WitnessRefusal::WrongSignature(key.kind()));
            }
            lines.push(line.clone());
        }
    }
    if lines.len() > MAX_NOTE_SIGNATURES / 2 {
        return Err(WitnessRefusal::TooManySignatures);
    }
    let signed = Note::new(note.text(), lines).map_err(|error| match error {
        NoteError::NoSignatures => WitnessRefusal::NotSigned,
        _ => WitnessRefusal::TooManySignatures,
    })?;
    let old = request.old_size();
    if old > next.size {
        return Err(WitnessRefusal::OldAboveSize);
    }
    let last = last(&next);
    let recorded = last.as_ref().map_or(0, |last| last.size);
    if old != recorded {
        return Err(WitnessRefusal::Conflict(recorded));
    }
    if !next.is_possible() {
        return Err(WitnessRefusal::EmptyRoot);
    }
    let proof = request.consistency();
    match last.filter(|last| last.size > 0) {
        None if proof.is_empty() => {}
        None => return Err(WitnessRefusal::ProofFromNothing),
        Some(last) if last.size == next.size && last.root != next.root => {
            return Err(WitnessRefusal::Forked(last.size));
        }
        Some(last) => {
            verify_consistency(last.size, next.size, proof, &last.root, &next.root)
                .map_err(|source| WitnessRefusal::Inconsistent { old, source })?;
        }
    }
    Ok(Admitted {
        checkpoint: next,
        note: signed,
    })
}
