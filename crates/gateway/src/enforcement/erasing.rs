use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chancery_api::ClientError;
use chancery_api::server::PersonErased;
use chancery_audit::{Commitment, Disclosure, ErasureDone, Label};
use chancery_crypto::replace_private_file;
use chancery_evidence::Erasure;
use chancery_journal::{ContentError, Subject};
use chancery_session::Session;
use chancery_types::id::{PersonId, SessionId};
use chancery_types::{CanonicalError, Digest, Timestamp, to_canonical};
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;
use tokio::time::{sleep, timeout};

use super::Enforcement;
use super::log::LogError;

/// How often the server is asked who was erased, and how long it may take.
const EVERY: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// The folder in a gateway's own that lists what each erasure took: one file for each, named by the
/// server's log and the index of its entry, the digests of the objects and what opens the server's commitments to
/// what concerns the person, in canonical JSON. Nothing of what the objects were.
pub const ERASED_OBJECTS: &str = "erased";

/// An erasure of the server's: its log, and the index there. Another log that goes on from an older copy
/// may have another one at that index.
pub(crate) type Asked = (Label, u64);

/// What was erased here before.
#[derive(Debug)]
pub(crate) struct Erasures {
    folder: PathBuf,
    /// The entries of the own log, by the server's log and the index there.
    done: Mutex<BTreeMap<Asked, (u64, Timestamp)>>,
    /// Held alone from the look at whether a person's sessions are over to the note of their erasure,
    /// and together by whatever lets a session rest on a person, from the first object that is kept to
    /// the entry: an erasure sees the entry, or the object is refused.
    pub(crate) turn: RwLock<()>,
}

/// What one erasure took, as it stands on disk.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Taken {
    pub(crate) objects: Vec<Digest>,
    pub(crate) scope: Vec<Disclosure>,
}

impl Erasures {
    /// Takes up the folder in a gateway's own, or makes it; `done` is what the own log says.
    pub(crate) fn open(folder: &Path, done: BTreeMap<Asked, (u64, Timestamp)>) -> io::Result<Self> {
        let folder = folder.join(ERASED_OBJECTS);
        super::objects::private_folder(&folder)?;
        Ok(Self {
            folder,
            done: Mutex::new(done),
            turn: RwLock::default(),
        })
    }

    fn known(&self, erasure: &Asked) -> Option<(u64, Timestamp)> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.get(erasure).copied()
    }

    /// Keeps what an erasure takes, durably, before it is enrolled.
    fn list(&self, erasure: &Asked, taken: &Taken) -> Result<(), ErasingError> {
        let path = self.folder.join(list_name(erasure));
        let kept = replace_private_file(&path, &to_canonical(taken)?);
        kept.map_err(|error| ErasingError::List(io::Error::other(error)))
    }

    fn note(&self, erasure: Asked, place: (u64, Timestamp)) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(erasure, place);
    }
}

/// The file that lists what an erasure took: the index, behind the last part of the log's name where
/// the log is one that succeeded the first.
pub(crate) fn list_name((log, erasure): &Asked) -> String {
    let name = log.as_str().rsplit('/').next().unwrap_or_default();
    match name {
        "server" => format!("{erasure}.json"),
        name => format!("{name}-{erasure}.json"),
    }
}

/// What is noted before anything is enrolled.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    subject: Commitment,
    log: Label,
    erasure: u64,
    #[serde(default)]
    scope: Vec<Disclosure>,
}

/// Why somebody is not erased yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ErasingError {
    #[error(transparent)]
    Server(#[from] ClientError),
    #[error("the server does not answer in time")]
    Slow,
    #[error("the server names no log")]
    Origin,
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("what was erased cannot be listed")]
    List(#[source] io::Error),
    #[error("the note of an erasure has no canonical form")]
    Canonical(#[from] CanonicalError),
    #[error("the note of an erasure is not readable")]
    Note(#[from] serde_json::Error),
}

impl Enforcement {
    /// Erases here whom the server erased, for as long as this runs.
    pub(crate) async fn follow_erasures(self: Arc<Self>) {
        loop {
            sleep(EVERY).await;
            self.finish_erasures().await;
            match self.erase_known().await {
                Ok(true) => self.enrol_checkpoint().await,
                // That the server is away is said elsewhere.
                Ok(false) | Err(ErasingError::Server(_) | ErasingError::Slow) => {}
                Err(error) => tracing::error!(%error, "an erasure did not come to its end"),
            }
        }
    }

    /// Goes on with the erasures that were begun, by a former run or before something failed.
    pub(crate) async fn finish_erasures(&self) {
        for begun in self.objects.store().keys().erasing() {
            match self.go_on(&begun.subject, &begun.note).await {
                Ok(()) => tracing::info!("an erasure was finished"),
                Err(error) => tracing::error!(%error, "an erasure did not come to its end"),
            }
        }
    }

    /// Erases whom the server erased and in whose sessions nothing goes on here, each whatever becomes
    /// of the others. Says whether anybody was; the first failure where nobody was.
    async fn erase_known(&self) -> Result<bool, ErasingError> {
        let known = timeout(ANSWER, self.server.erasures()).await;
        let known = known.map_err(|_| ErasingError::Slow)??;
        let log: Label = known.log.parse().map_err(|_| ErasingError::Origin)?;
        let (mut any, mut failed) = (false, None);
        for erased in known.erasures {
            match self.erase_one(&erased, &log).await {
                Ok(is_erased) => any |= is_erased,
                Err(error) => {
                    tracing::error!(%error, erasure = erased.log_index, "not erased yet");
                    failed.get_or_insert(error);
                }
            }
        }
        match failed.filter(|_| !any) {
            Some(error) => Err(error),
            None => Ok(any),
        }
    }

    async fn erase_one(&self, erased: &PersonErased, log: &Label) -> Result<bool, ErasingError> {
        let subject = Subject::person(erased.person);
        if self.objects.store().keys().erased(&subject).is_some() {
            return Ok(false);
        }
        let known = timeout(ANSWER, self.server.kept_of(erased.person)).await;
        let known = known.map_err(|_| ErasingError::Slow)??;
        // Until the server has finished, nothing is followed.
        let Some(PersonErased { scope, .. }) = known.erased else {
            return Ok(false);
        };
        let turn = self.erasures.turn.write().await;
        let Some(sessions) = self.sessions_of(erased.person).await else {
            return Ok(false);
        };
        let note = self.begin(&subject, erased, log, scope)?;
        drop(turn);
        self.go_on(&subject, &note).await?;
        for session in sessions {
            self.sessions.withdraw(session);
        }
        self.chains.forget();
        self.missions.forget();
        Ok(true)
    }

    /// The sessions of a person that are still known; none as long as one of them, or one in which they
    /// answered, goes on or has no Trust Record.
    async fn sessions_of(&self, person: PersonId) -> Option<Vec<SessionId>> {
        let subject = Subject::person(person);
        let mut found = Vec::new();
        for (session, home) in self.sessions.all() {
            let live = home.lock().await;
            let own = live.whose().as_ref() == Some(&subject);
            if !own && !live.memory.answered.contains(&person) {
                continue;
            }
            if !matches!(live.session(), Session::Ended(_)) || !self.records.knows(session) {
                return None;
            }
            found.extend(own.then_some(session));
        }
        Some(found)
    }

    /// Notes an erasure, unless it was noted before.
    fn begin(
        &self,
        subject: &Subject,
        erased: &PersonErased,
        log: &Label,
        scope: Vec<Disclosure>,
    ) -> Result<String, ErasingError> {
        let note = Note {
            subject: erased.subject,
            log: log.clone(),
            erasure: erased.log_index,
            scope,
        };
        let note = serde_json::to_string(&note)?;
        let begun = self.objects.store().keys().begin_erasure(subject, &note);
        Ok(begun?)
    }

    /// Enrols an erasure that is noted, unless the log has it, destroys the key, and takes away what
    /// it sealed.
    async fn go_on(&self, subject: &Subject, note: &str) -> Result<(), ErasingError> {
        let note: Note = serde_json::from_str(note)?;
        let erasure = note.erasure;
        let asked = (note.log.clone(), erasure);
        let (index, at) = match self.erasures.known(&asked) {
            Some(place) => place,
            None => {
                // Nothing more is sealed for the subject, so that this is all there is.
                let kept = Erasure::new(self.objects.store().of(subject)?);
                let taken = Taken {
                    objects: kept.digests().to_vec(),
                    scope: note.scope,
                };
                self.erasures.list(&asked, &taken)?;
                let event = ErasureDone {
                    subject: note.subject,
                    log: note.log,
                    erasure,
                    values: kept.values(),
                    objects: kept.root(),
                };
                let place = self.log.enrol_at(&self.clock, event.into()).await?;
                self.erasures.note(asked, place);
                place
            }
        };
        let store = self.objects.store();
        let tombstone = store.keys().finish_erasure(subject, index, at)?;
        if let Some(key) = tombstone.key {
            store.remove_of(key)?;
        }
        tracing::info!(entry = index, erasure, "a person was erased");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erasures_of_two_logs_at_one_index_are_two() {
        let folder = tempfile::tempdir().unwrap();
        let erasures = Erasures::open(folder.path(), BTreeMap::new()).unwrap();
        let log = |name: &str| -> Label { name.parse().unwrap() };
        let first = (log("example.org/log/server"), 5);
        let second = (log("example.org/log/server.2"), 5);
        erasures.note(first.clone(), (9, Timestamp::from_micros(1)));
        assert!(erasures.known(&first).is_some());
        assert!(erasures.known(&second).is_none());
        assert_eq!(list_name(&first), "5.json");
        assert_eq!(list_name(&second), "server.2-5.json");
    }
}
