//! Erasing a person: noted, enrolled, then the key destroyed; after a crash anywhere in between the
//! next start goes on to the end.

use std::collections::BTreeSet;

use chancery_api::Problem;
use chancery_api::server::PersonErased;
use chancery_audit::{Commitment, Disclosure, Entry, Erasure, Event};
use chancery_crypto::random_bytes;
use chancery_evidence::{Concern, Erasure as Scope};
use chancery_journal::{ContentError, Subject};
use chancery_store::{ErasureRow, StoreError};
use chancery_types::id::PersonId;
use chancery_types::{Timestamp, to_canonical};
use serde::{Deserialize, Serialize};

use crate::Server;
use crate::endpoints::{label, random};
use crate::withdrawn::{opened, reading_of};

/// Under which names the log commits to who is erased, who asked for it and why.
const SUBJECT: &str = "erased-subject";
const BY: &str = "eraser";
const REASON: &str = "erasure-reason";

/// What is noted before anything is enrolled, and kept for the operator afterwards.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    person: PersonId,
    values: u64,
    subject: Disclosure,
    by: Disclosure,
    reason: Disclosure,
    /// What of the log concerns the person; none in notes from before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Vec<Disclosure>>,
}

impl Note {
    fn event(&self) -> Erasure {
        let scope = self.scope.as_deref().map(Scope::scope);
        Erasure {
            scope: scope.as_ref().map(Scope::root),
            scope_size: scope.as_ref().map(Scope::values),
            subject: self.subject.commitment(),
            by: self.by.commitment(),
            reason: self.reason.commitment(),
            values: self.values,
        }
    }
}

/// The subject that a person is.
pub(crate) fn subject_of(person: PersonId) -> Subject {
    Subject::person(person)
}

impl Server {
    /// Erases a person. The caller holds the turn and has seen that nothing of theirs is at work.
    pub(crate) async fn erase(
        &self,
        person: PersonId,
        reason: &str,
    ) -> Result<PersonErased, Problem> {
        let opened = opened(reason, [BY, REASON])?;
        // A clock that stepped back enrols nothing: nothing is noted either.
        self.now()?;
        let subject = subject_of(person);
        let kept = self.store.kept_of(&subject).await.map_err(stored)?;
        let note = Note {
            person,
            values: kept.iter().map(|kept| kept.values).sum(),
            subject: Disclosure {
                name: label(SUBJECT)?,
                salt: random_bytes().map_err(random)?,
                value: person.to_string(),
            },
            by: opened.by,
            reason: opened.reason,
            scope: Some(self.scope_of(person).await?),
        };
        let text = to_canonical(&note).map_err(|error| Problem::internal("erasure", &error))?;
        let text = String::from_utf8(text).map_err(|error| Problem::internal("erasure", &error))?;
        let begun = self.store.keys().begin_erasure(&subject, &text);
        let begun = begun.map_err(content)?;
        // One that was noted before may be in the log.
        let is_fresh = begun == text;
        self.go_on(&subject, &begun, is_fresh).await
    }

    /// Goes on with the erasure of a person that was begun and could not be finished.
    pub(crate) async fn finish_erasure(
        &self,
        person: PersonId,
    ) -> Result<Option<PersonErased>, Problem> {
        match self.store.keys().erasing_of(&subject_of(person)) {
            Some(begun) => self
                .go_on(&begun.subject, &begun.note, false)
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    /// What of the log concerns a person, each behind a salt of its own: the sessions of their roots, the
    /// answers that they gave.
    async fn scope_of(&self, person: PersonId) -> Result<Vec<Disclosure>, Problem> {
        let roots = self.store.roots_of(&subject_of(person)).await;
        let roots = roots.map_err(stored)?;
        let sessions = roots.iter().filter_map(reading_of);
        let sessions = sessions.filter_map(|root| root.sid().parse().ok());
        let mut concerns: BTreeSet<_> = sessions.map(Concern::Session).collect();
        for read in self.journal.entries(0..self.journal.size()) {
            let (_, bytes) = read.map_err(|error| Problem::internal("log", &error))?;
            if !is_of_type(&bytes, br#""type":"approval.answer""#) {
                continue;
            }
            let entry = Entry::parse(&bytes).map_err(|error| Problem::internal("log", &error))?;
            if let Event::ApprovalAnswer(answer) = entry.event
                && answer.approver == person
            {
                concerns.insert(Concern::Answer(answer.answer));
            }
        }
        let disclosed = concerns
            .into_iter()
            .map(|concern| Ok::<_, Problem>(concern.disclosed(random_bytes().map_err(random)?)));
        disclosed.collect()
    }

    /// Finishes what a former run began.
    pub(crate) async fn finish_erasures(&self) -> Result<(), Problem> {
        for begun in self.store.keys().erasing() {
            let erased = self.go_on(&begun.subject, &begun.note, false).await?;
            tracing::info!(entry = erased.log_index, "an erasure was finished");
        }
        Ok(())
    }

    /// Enrols an erasure that is noted, unless the log has it, and destroys the key.
    async fn go_on(
        &self,
        subject: &Subject,
        note: &str,
        is_fresh: bool,
    ) -> Result<PersonErased, Problem> {
        let note: Note =
            serde_json::from_str(note).map_err(|error| Problem::internal("erasure", &error))?;
        let event = note.event();
        let known = match is_fresh {
            true => None,
            false => self.enrolled(&event)?,
        };
        let (log_index, at) = match known {
            Some(place) => place,
            None => self.enrol_at(event.clone()).await?,
        };
        let document =
            serde_json::to_value(&note).map_err(|error| Problem::internal("erasure", &error))?;
        let row = ErasureRow {
            person: note.person,
            subject: *event.subject.as_digest(),
            values: note.values,
            at,
            log_index,
            document,
        };
        self.store.put_erasure(&row).await.map_err(stored)?;
        self.store
            .keys()
            .finish_erasure(subject, log_index, at)
            .map_err(content)?;
        self.changed();
        shown(row)
    }

    /// Where the log has this very entry: its commitments have salts of their own.
    fn enrolled(&self, event: &Erasure) -> Result<Option<(u64, Timestamp)>, Problem> {
        let size = self.journal.size();
        for read in self.journal.entries(0..size) {
            let (index, bytes) = read.map_err(|error| Problem::internal("log", &error))?;
            if !is_of_type(&bytes, br#""type":"erasure""#) {
                continue;
            }
            let entry = Entry::parse(&bytes).map_err(|error| Problem::internal("log", &error))?;
            if matches!(&entry.event, Event::Erasure(known) if known == event) {
                return Ok(Some((index, entry.at)));
            }
        }
        Ok(None)
    }

    /// A person's erasure, once it is finished.
    pub(crate) async fn erasure_of(
        &self,
        person: PersonId,
    ) -> Result<Option<PersonErased>, Problem> {
        if self.store.keys().erased(&subject_of(person)).is_none() {
            return Ok(None);
        }
        let rows = self.store.erasures().await.map_err(stored)?;
        let row = rows.into_iter().find(|row| row.person == person);
        row.map(shown).transpose()
    }

    /// Everybody's erasure, without what opens the commitments.
    pub(crate) async fn erasures(&self) -> Result<Vec<PersonErased>, Problem> {
        let rows = self.store.erasures().await.map_err(stored)?;
        let shown = rows.into_iter().map(|row| {
            Ok(PersonErased {
                receipt: None,
                scope: Vec::new(),
                ..shown(row)?
            })
        });
        shown.collect()
    }
}

fn shown(row: ErasureRow) -> Result<PersonErased, Problem> {
    let note: Option<Note> = serde_json::from_value(row.document)
        .map_err(|error| Problem::internal("erasure", &error))?;
    Ok(PersonErased {
        person: row.person,
        subject: Commitment::from_digest(row.subject),
        values: row.values,
        at: row.at,
        log_index: row.log_index,
        receipt: note.as_ref().map(|note| note.subject.clone()),
        scope: note.and_then(|note| note.scope).unwrap_or_default(),
        before: false,
    })
}

/// Whether bytes of the log may be an entry of that type.
fn is_of_type(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark)
}

fn stored(error: StoreError) -> Problem {
    Problem::internal("store", &error)
}

fn content(error: ContentError) -> Problem {
    Problem::internal("erasure", &error)
}
