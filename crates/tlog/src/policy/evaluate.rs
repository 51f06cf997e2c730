use chancery_types::SignatureVerifier;

use super::LogPolicy;
use crate::verified::verify_note;
use crate::{
    Checkpoint, CheckpointError, CheckpointTextError, CosignerError, KeyMaterial, KeyName, LogKeys,
    Note, NoteError, SignatureKind, VerifiedCheckpoint, VerifierKey, verify_cosignature,
};

/// The times, in seconds since the epoch and both inclusive, in which a cosignature counts. One
/// without a time counts in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWindow {
    /// The earliest.
    pub from: u64,
    /// The latest.
    pub to: u64,
}

/// Which witnesses of a policy cosigned a checkpoint, and whether they are enough. Only
/// verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The place of each witness in the policy, in that order, and when it cosigned.
    by: Vec<(usize, u64)>,
    is_met: bool,
}

/// A checkpoint that a log of the policy signed and a quorum of its witnesses cosigned. Only
/// verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessedCheckpoint {
    checkpoint: Checkpoint,
    cosigned: Cosigned,
}

/// Why a note does not satisfy a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// Not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note(#[source] NoteError),
    /// The note's text is not a checkpoint's.
    #[error("the note is not a checkpoint")]
    Text(#[source] CheckpointTextError),
    /// No log of the policy has this origin.
    #[error("the policy names no log of this origin")]
    Origin,
    /// No key of the log signed.
    #[error("the checkpoint has no signature of the log")]
    NotSigned,
    /// A line of a key of the log does not verify.
    #[error("a {0} signature of the log is wrong")]
    LogSignature(SignatureKind),
    /// A line of a witness of the policy does not verify.
    #[error("the cosignature of {witness} is refused")]
    Cosignature {
        /// The name of the witness's key.
        witness: KeyName,
        /// What is wrong with it.
        source: CosignerError,
    },
    /// Too few witnesses cosigned, or not in time.
    #[error("the witness quorum of the policy is not met")]
    Quorum,
}

impl Cosigned {
    /// The place of each witness in [`LogPolicy::witnesses`], in that order, and the latest time of
    /// its cosignatures in seconds since the epoch; zero where it says nothing of the time.
    pub fn by(&self) -> &[(usize, u64)] {
        &self.by
    }

    /// Whether they are the quorum.
    pub const fn is_met(&self) -> bool {
        self.is_met
    }
}

impl WitnessedCheckpoint {
    /// What was signed and cosigned.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// By which witnesses.
    pub const fn cosigned(&self) -> &Cosigned {
        &self.cosigned
    }
}

impl LogPolicy {
    /// Verifies a checkpoint against the policy: a key of a log of its origin signed it, and the
    /// quorum cosigned it, within `window` where there is one. Lines of unknown keys are ignored,
    /// a wrong line of a known key refuses the note, several lines of one witness count once.
    pub fn verify(
        &self,
        note: &[u8],
        window: Option<TimeWindow>,
        verifier: &dyn SignatureVerifier,
    ) -> Result<WitnessedCheckpoint, PolicyRefusal> {
        let note = Note::parse(note).map_err(PolicyRefusal::Note)?;
        let keys = self.logs.iter().map(super::PolicyLog::key);
        let checkpoint = verify_any(&note, keys, verifier)?;
        let cosigned = self.cosigners(&checkpoint, &note, window, verifier)?;
        if !cosigned.is_met() {
            return Err(PolicyRefusal::Quorum);
        }
        Ok(WitnessedCheckpoint {
            checkpoint,
            cosigned,
        })
    }

    /// Says which witnesses cosigned a note whose text is this checkpoint; fails where a line of
    /// one of them does not verify. Who signed for the log is not looked at.
    pub fn cosigners(
        &self,
        checkpoint: &Checkpoint,
        note: &Note,
        window: Option<TimeWindow>,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Cosigned, PolicyRefusal> {
        let mut by = Vec::new();
        for (place, witness) in self.witnesses.iter().enumerate() {
            let mut latest = None;
            let lines = note.signatures().iter();
            for line in lines.filter(|line| witness.key.is_named_by(line)) {
                let time = verify_cosignature(&witness.key, checkpoint, line, verifier).map_err(
                    |source| PolicyRefusal::Cosignature {
                        witness: witness.key.name().clone(),
                        source,
                    },
                )?;
                if window.is_none_or(|window| (window.from.max(1)..=window.to).contains(&time)) {
                    latest = latest.max(Some(time));
                }
            }
            by.extend(latest.map(|time| (place, time)));
        }
        let is_met = self.is_met(|place| by.iter().any(|(known, _)| *known == place));
        Ok(Cosigned { by, is_met })
    }
}

/// Verifies that one of these keys signed a checkpoint of the log that it is called like. Lines of
/// unknown keys are ignored, a wrong line of a known key refuses the note.
pub fn verify_checkpoint_any<'a>(
    note: &[u8],
    keys: impl IntoIterator<Item = &'a VerifierKey>,
    verifier: &dyn SignatureVerifier,
) -> Result<Checkpoint, PolicyRefusal> {
    let note = Note::parse(note).map_err(PolicyRefusal::Note)?;
    verify_any(&note, keys, verifier)
}

fn verify_any<'a>(
    note: &Note,
    keys: impl IntoIterator<Item = &'a VerifierKey>,
    verifier: &dyn SignatureVerifier,
) -> Result<Checkpoint, PolicyRefusal> {
    let checkpoint: Checkpoint = note.text().parse().map_err(PolicyRefusal::Text)?;
    let (mut known, mut signed) = (false, false);
    for key in keys {
        if key.name() == checkpoint.origin.key_name() {
            known = true;
            signed |= verify_lines(key, &checkpoint, note, verifier)?;
        }
    }
    match (known, signed) {
        (false, _) => Err(PolicyRefusal::Origin),
        (true, false) => Err(PolicyRefusal::NotSigned),
        (true, true) => Ok(checkpoint),
    }
}

/// Verifies every line of a log's key; whether there is one.
fn verify_lines(
    key: &VerifierKey,
    checkpoint: &Checkpoint,
    note: &Note,
    verifier: &dyn SignatureVerifier,
) -> Result<bool, PolicyRefusal> {
    let mut signed = false;
    for line in note.signatures() {
        if key.is_named_by(line) {
            let good = verify_log_line(key, checkpoint, note, line, verifier);
            good.then_some(())
                .ok_or(PolicyRefusal::LogSignature(key.kind()))?;
            signed = true;
        }
    }
    Ok(signed)
}

/// Whether a line is the log key's over the note.
pub(crate) fn verify_log_line(
    key: &VerifierKey,
    checkpoint: &Checkpoint,
    note: &Note,
    line: &crate::NoteSignature,
    verifier: &dyn SignatureVerifier,
) -> bool {
    match key.key() {
        KeyMaterial::Ed25519(key) => verifier.verify(key, note.text().as_bytes(), line.signature()),
        KeyMaterial::MlDsa44(_) => verify_cosignature(key, checkpoint, line, verifier).is_ok(),
        KeyMaterial::Cosignature(_) => false,
    }
}

/// Verifies a checkpoint and says which witnesses of `policy` cosigned it. The note begins with the
/// log's own two lines in their order and holds no other line of the log's name; what follows are
/// lines of others: those of the policy's witnesses must verify, those of unknown keys are
/// ignored (C2SP signed-note), which all of them are without a policy: nobody then cosigned it.
pub fn verify_checkpoint_cosigned(
    note: &[u8],
    keys: &LogKeys,
    policy: Option<&LogPolicy>,
    verifier: &dyn SignatureVerifier,
) -> Result<(VerifiedCheckpoint, Cosigned), CosignedError> {
    let note =
        Note::parse(note).map_err(|error| CosignedError::Log(CheckpointError::Note(error)))?;
    let own = note
        .of_log_alone()
        .map_err(|_| CosignedError::Log(CheckpointError::NotExact))?;
    let count = own.signatures().len();
    if note.signatures().get(..count) != Some(own.signatures()) {
        return Err(CosignedError::Log(CheckpointError::NotExact));
    }
    let verified = verify_note(&own, keys, verifier, true).map_err(CosignedError::Log)?;
    let cosigned = match policy {
        Some(policy) => policy
            .cosigners(verified.checkpoint(), &note, None, verifier)
            .map_err(CosignedError::Witness)?,
        None => Cosigned {
            by: Vec::new(),
            is_met: false,
        },
    };
    Ok((verified, cosigned))
}

/// Why [`verify_checkpoint_cosigned`] refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignedError {
    /// What the log signed.
    #[error(transparent)]
    Log(CheckpointError),
    /// What a witness of the policy cosigned.
    #[error(transparent)]
    Witness(PolicyRefusal),
}
