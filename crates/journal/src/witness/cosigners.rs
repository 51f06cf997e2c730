use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chancery_crypto::AwsLc;
use chancery_tlog::{Checkpoint, LogKeys, LogPolicy, Note, NoteSignature, PolicyWitness};
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::one::{One, OneError};
use super::{AddressError, WitnessAddress};
use crate::{JournalError, Reader};

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
    /// No time to answer.
    #[error("the time that a witness may take must not be zero")]
    Patience,
    /// The system gives no more threads or files.
    #[error("the system gives no thread for the witnesses")]
    System(#[source] std::io::Error),
}

/// A witness has cosigned more of the log than there is: the log was rolled back. Nothing is signed
/// any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "witness {witness} has cosigned {recorded} entries of this log, which ends at {size}: it was rolled back; restore the latest copy"
)]
pub struct RollbackAlarm {
    /// What the policy calls the witness.
    pub witness: String,
    /// The size that it cosigned.
    pub recorded: u64,
    /// The size of the log.
    pub size: u64,
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
        if self.policy.is_met(|place| asked.contains(&place)) {
            Ok(witnesses)
        } else {
            Err(WitnessSetupError::Quorum)
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
    /// in time is left out; one that has cosigned more than there is raises the alarm.
    pub(crate) fn cosign(
        &mut self,
        reader: &Reader,
        checkpoint: &Checkpoint,
        own: &Note,
        kept: &[NoteSignature],
    ) -> Result<Asked, RollbackAlarm> {
        let patience = self.setup.patience;
        let answers = self.ask_all(async |one: &mut One| {
            let answer = timeout(patience, one.cosign(reader, checkpoint, own)).await;
            answer.unwrap_or(Err(OneError::TimedOut))
        });
        let mut lines = Vec::new();
        for (one, answer) in self.witnesses.iter().zip(answers) {
            match answer {
                Ok(new) => lines.extend(new),
                Err(OneError::Ahead { recorded, size }) => {
                    return Err(RollbackAlarm {
                        witness: one.name.clone(),
                        recorded,
                        size,
                    });
                }
                Err(error) => {
                    one.say(&error);
                    let named =
                        |line: &&NoteSignature| one.keys().iter().any(|key| key.is_named_by(line));
                    lines.extend(kept.iter().filter(named).cloned());
                }
            }
        }
        // More cosignatures than a note takes are as good as none: the quorum says so.
        let note = own.with(&lines).unwrap_or_else(|_| own.clone());
        Ok(Asked {
            is_witnessed: self.is_witnessed(checkpoint, &note),
            note,
        })
    }

    /// Asks every witness what it has of this log of `size` entries, before anything is signed.
    /// Refuses a log that ends before what one of them cosigned, and one of another root; and,
    /// where checkpoints without a quorum are withheld, one that no quorum answers for.
    pub(crate) fn check_start(&mut self, reader: &Reader, size: u64) -> Result<(), JournalError> {
        let setup = Arc::clone(&self.setup);
        let answers = self.ask_all(async |one: &mut One| {
            let answer = timeout(setup.patience, one.monitored(&setup.keys)).await;
            answer.unwrap_or(Err(OneError::TimedOut))
        });
        let mut answered = Vec::new();
        for (one, answer) in self.witnesses.iter().zip(answers) {
            match answer {
                Ok(shown) => {
                    answered.extend(one.keys().iter().cloned());
                    if let Some(shown) = shown {
                        check_shown(reader, size, one, &shown)?;
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
}

/// Compares what a witness shows of the log with the log.
fn check_shown(
    reader: &Reader,
    size: u64,
    one: &One,
    shown: &Checkpoint,
) -> Result<(), JournalError> {
    if shown.size > size {
        return Err(JournalError::WitnessAhead(RollbackAlarm {
            witness: one.name.clone(),
            recorded: shown.size,
            size,
        }));
    }
    // The empty tree has one root, which reading the checkpoint saw to.
    if shown.size > 0 && shown.root != reader.root_within(shown.size, size)? {
        return Err(JournalError::WitnessFork {
            witness: one.name.clone(),
            size: shown.size,
        });
    }
    Ok(())
}

fn name_of(witness: &PolicyWitness) -> String {
    String::from_utf8_lossy(witness.name()).into_owned()
}
