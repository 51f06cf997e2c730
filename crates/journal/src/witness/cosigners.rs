use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chancery_crypto::AwsLc;
use chancery_tlog::{
    Checkpoint, LogKeys, LogPolicy, MAX_NOTE_SIGNATURES, Note, NoteError, NoteSignature,
    PolicyWitness,
};
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::alarm::AlarmNotes;
use super::one::{Cosigned, One, OneError, Shown};
use super::{AddressError, LogAlarm, WitnessAddress};
use crate::{JournalError, Reader};

/// So many cosignatures fit under the two lines of the log.
const MOST_COSIGNATURES: usize = MAX_NOTE_SIGNATURES - 2;

/// What becomes of a checkpoint that too few witnesses cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unwitnessed {
    /// It is published, and everything that rests on it is unwitnessed.
    #[default]
    Publish,
    /// It is withheld until the quorum has cosigned it.
    Withhold,
}

/// Who cosigns the checkpoints of a log.
#[derive(Debug, Clone)]
pub struct Witnesses {
    /// The witnesses and their quorum. Those without an address are not asked.
    pub policy: LogPolicy,
    /// The keys of the log, by which a witness's copy of a checkpoint is known.
    pub keys: LogKeys,
    /// What becomes of a checkpoint that too few of them cosigned.
    pub unwitnessed: Unwitnessed,
    /// How long each of them may take.
    pub patience: Duration,
}

/// Why a log cannot have its checkpoints cosigned as it is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessSetupError {
    /// The address of a witness.
    #[error("witness {name} of the policy")]
    Address {
        /// What the policy calls it.
        name: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// The keys are another log's.
    #[error("the keys beside the witness policy are those of another log")]
    Keys,
    /// The quorum cannot be met by those that have an address.
    #[error(
        "the quorum of the witness policy asks for witnesses without an address; add an address to their lines"
    )]
    Quorum,
    /// A checkpoint with so many cosignatures is no note.
    #[error(
        "the quorum of the witness policy asks for {0} cosignatures, and a checkpoint has room for {MOST_COSIGNATURES}"
    )]
    TooMany(usize),
    /// No time to answer.
    #[error("the time that a witness may take must not be zero")]
    Patience,
    /// The system gives no more threads or files.
    #[error("the system gives no thread for the witnesses")]
    System(#[source] std::io::Error),
}

impl Witnesses {
    /// One second for each witness, and what too few cosigned is published all the same.
    pub const fn new(policy: LogPolicy, keys: LogKeys) -> Self {
        Self {
            policy,
            keys,
            unwitnessed: Unwitnessed::Publish,
            patience: Duration::from_secs(1),
        }
    }

    /// Fails where the witnesses cannot be asked as this says, before any of them is.
    pub fn check(&self) -> Result<(), WitnessSetupError> {
        self.asked().map(drop)
    }

    /// What each of them shows to monitors of the log: notes that a key of the log signed. One that
    /// does not answer in time shows nothing. Blocks.
    pub fn shown(&self) -> Result<Vec<String>, WitnessSetupError> {
        let mut cosigners = Cosigners::new(self)?;
        let shown = cosigners.monitored();
        let notes = shown
            .into_iter()
            .filter_map(|shown| Some(shown.ok()??.note.to_string()));
        Ok(notes.collect())
    }

    /// One for each address, with the keys that the policy names there.
    fn asked(&self) -> Result<Vec<One>, WitnessSetupError> {
        if self.patience.is_zero() {
            return Err(WitnessSetupError::Patience);
        }
        let mut witnesses: Vec<One> = Vec::new();
        let mut asked = Vec::new();
        for (place, witness) in self.policy.witnesses().iter().enumerate() {
            let Some(url) = witness.url() else {
                continue;
            };
            let name = name_of(witness);
            let address: Result<WitnessAddress, _> = String::from_utf8_lossy(url).parse();
            let address = address.map_err(|source| WitnessSetupError::Address {
                name: name.clone(),
                source,
            })?;
            let mut known = witnesses.iter_mut();
            match known.find(|one| *one.address() == address) {
                Some(one) => one.add(witness.key().clone()),
                None => witnesses.push(One::new(name, witness.key().clone(), address)),
            }
            asked.push(place);
        }
        let smallest = self.policy.smallest_quorum(|place| asked.contains(&place));
        match smallest.ok_or(WitnessSetupError::Quorum)?.len() {
            0..=MOST_COSIGNATURES => Ok(witnesses),
            needed => Err(WitnessSetupError::TooMany(needed)),
        }
    }
}

/// The witnesses of one log, and the connections to them.
pub(crate) struct Cosigners {
    setup: Arc<Witnesses>,
    witnesses: Vec<One>,
    /// Taken by the end of the value alone.
    runtime: Option<Runtime>,
}

/// A note with the cosignatures that it got, and whether they are the quorum.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) note: Note,
    pub(crate) is_witnessed: bool,
}

/// Why the witnesses' answers are not taken.
#[derive(Debug)]
pub(crate) enum CosignError {
    /// One of them shows what this log's key signed and the log does not hold.
    Alarm(LogAlarm),
    /// The log cannot be read, or what was shown cannot be kept.
    Disk(JournalError),
}

impl From<JournalError> for CosignError {
    fn from(error: JournalError) -> Self {
        Self::Disk(error)
    }
}

impl Cosigners {
    pub(crate) fn new(setup: &Witnesses) -> Result<Self, WitnessSetupError> {
        let witnesses = setup.asked()?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(WitnessSetupError::System)?;
        Ok(Self {
            setup: Arc::new(setup.clone()),
            witnesses,
            runtime: Some(runtime),
        })
    }

    /// Whether the policy asks for any cosignature.
    pub(crate) fn asks_for_any(&self) -> bool {
        self.setup.policy.asks_for_witnesses()
    }

    /// Whether a checkpoint without a quorum is withheld.
    pub(crate) fn withhold(&self) -> bool {
        self.setup.unwitnessed == Unwitnessed::Withhold
    }

    /// Whether the cosignatures that a note has are the quorum.
    pub(crate) fn is_witnessed(&self, checkpoint: &Checkpoint, note: &Note) -> bool {
        let cosigned = self.setup.policy.cosigners(checkpoint, note, None, &AwsLc);
        cosigned.is_ok_and(|cosigned| cosigned.is_met())
    }

    /// Asks every witness at once for its cosignature of `own`, the note as the log signed it.
    /// `kept` are cosignatures of the same checkpoint from before. A witness that does not answer
    /// in time, or says what it does not show, is left out. One that shows a checkpoint which the
    /// log's key signed and the log does not hold raises the alarm, and both notes are durable.
    pub(crate) fn cosign(
        &mut self,
        reader: &Reader,
        checkpoint: &Checkpoint,
        own: &Note,
        kept: &[NoteSignature],
    ) -> Result<Asked, CosignError> {
        let setup = Arc::clone(&self.setup);
        let answers = self.ask_all(async |one: &mut One| {
            let asking = one.cosign(reader, checkpoint, own, &setup.keys);
            let answer = timeout(setup.patience, asking).await;
            answer.unwrap_or(Err(OneError::TimedOut))
        });
        let mut lines = Vec::new();
        for (one, answer) in self.witnesses.iter().zip(answers) {
            let error = match answer {
                Ok(Cosigned::Lines(new)) => {
                    lines.extend(new);
                    continue;
                }
                Ok(Cosigned::Shown(shown, error)) => {
                    if let Some(alarm) = one.contradicts(reader, checkpoint.size, &shown)? {
                        one.notes(&shown, Some(own)).keep(reader)?;
                        return Err(CosignError::Alarm(alarm));
                    }
                    error
                }
                Err(error) => error,
            };
            one.say(&error);
            let named = |line: &&NoteSignature| one.keys().iter().any(|key| key.is_named_by(line));
            lines.extend(kept.iter().filter(named).cloned());
        }
        let note = self.most_of(own, lines);
        Ok(Asked {
            is_witnessed: self.is_witnessed(checkpoint, &note),
            note,
        })
    }

    /// The note with as many of these lines as it takes, those of a smallest quorum first.
    fn most_of(&self, own: &Note, lines: Vec<NoteSignature>) -> Note {
        if let Ok(note) = own.with(&lines) {
            return note;
        }
        let policy = &self.setup.policy;
        let of = |place: usize, line: &NoteSignature| {
            let witness = policy.witnesses().get(place);
            witness.is_some_and(|witness| witness.key().is_named_by(line))
        };
        let smallest = policy.smallest_quorum(|place| lines.iter().any(|line| of(place, line)));
        let smallest = smallest.unwrap_or_default();
        let (needed, others): (Vec<_>, Vec<_>) = lines
            .into_iter()
            .partition(|line| smallest.iter().any(|place| of(*place, line)));
        let mut note = own.clone();
        for line in needed.into_iter().chain(others) {
            if let Ok(more) = note.with(&[line]) {
                note = more;
            }
        }
        note
    }

    /// Asks every witness what it has of this log of `size` entries, before anything is signed.
    /// Refuses a log that ends before what one of them cosigned, and one of another root; and,
    /// where checkpoints without a quorum are withheld, one that no quorum answers for.
    pub(crate) fn check_start(&mut self, reader: &Reader, size: u64) -> Result<(), JournalError> {
        let setup = Arc::clone(&self.setup);
        let answers = self.monitored();
        let mut answered = Vec::new();
        for (one, answer) in self.witnesses.iter().zip(answers) {
            match answer {
                Ok(shown) => {
                    answered.extend(one.keys().iter().cloned());
                    if let Some(shown) = shown
                        && let Some(alarm) = one.contradicts(reader, size, &shown)?
                    {
                        let own = visible(reader)?;
                        let path = one.notes(&shown, own.as_ref()).keep(reader)?;
                        return Err(JournalError::Alarm { path, alarm });
                    }
                }
                Err(error) => one.say(&error),
            }
        }
        let has_answered = |place: usize| {
            let witness = setup.policy.witnesses().get(place);
            witness.is_some_and(|witness| answered.contains(witness.key()))
        };
        if self.withhold() && !setup.policy.is_met(has_answered) {
            return Err(JournalError::WitnessesSilent);
        }
        Ok(())
    }

    /// What every witness shows of this log to monitors.
    fn monitored(&mut self) -> Vec<Result<Option<Shown>, OneError>> {
        let setup = Arc::clone(&self.setup);
        self.ask_all(async |one: &mut One| {
            let answer = timeout(setup.patience, one.monitored(&setup.keys)).await;
            answer.unwrap_or(Err(OneError::TimedOut))
        })
    }

    /// Runs one question to every witness at once, on a thread of its own: this one may be inside
    /// of another runtime.
    fn ask_all<T: Send>(
        &mut self,
        question: impl AsyncFn(&mut One) -> Result<T, OneError> + Sync,
    ) -> Vec<Result<T, OneError>> {
        let Some(runtime) = &self.runtime else {
            return Vec::new();
        };
        let witnesses = &mut self.witnesses;
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                runtime.block_on(async {
                    let question = &question;
                    let asked = witnesses.iter_mut().map(|one| async move {
                        let answer = question(&mut *one).await;
                        if answer.is_err() {
                            one.give_up();
                        }
                        answer
                    });
                    join_all(asked).await
                })
            });
            asking.join().unwrap_or_default()
        })
    }
}

impl Drop for Cosigners {
    fn drop(&mut self) {
        // Waiting for the end of connections is forbidden inside of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Cosigners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cosigners")
            .field("witnesses", &self.witnesses)
            .finish_non_exhaustive()
    }
}

impl One {
    fn say(&self, error: &OneError) {
        let (witness, address) = (&self.name, self.address());
        let error = error as &dyn std::error::Error;
        tracing::warn!(%witness, %address, error, "a witness does not cosign");
    }

    fn shown_by(&self) -> String {
        format!("witness {}", self.name)
    }

    /// Whether a log of `size` entries does not hold what this witness shows of it.
    fn contradicts(
        &self,
        reader: &Reader,
        size: u64,
        shown: &Shown,
    ) -> Result<Option<LogAlarm>, JournalError> {
        LogAlarm::judge(reader, size, &self.shown_by(), &shown.checkpoint)
    }

    fn notes(&self, shown: &Shown, own: Option<&Note>) -> AlarmNotes {
        AlarmNotes::new(&self.shown_by(), &shown.note, own)
    }
}

/// The checkpoint that is visible, as the log signed it.
fn visible(reader: &Reader) -> Result<Option<Note>, JournalError> {
    let Some((note, _)) = reader.checkpoint()? else {
        return Ok(None);
    };
    let damaged = |error: NoteError| JournalError::damaged(&reader.checkpoint_path(), error);
    let note = Note::parse(note.as_bytes()).map_err(damaged)?;
    note.of_log_alone().map(Some).map_err(damaged)
}

fn name_of(witness: &PolicyWitness) -> String {
    String::from_utf8_lossy(witness.name()).into_owned()
}
