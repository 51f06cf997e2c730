//! Revocations. Those that come while others are enrolled are enrolled together: each is judged by itself,
//! the log is synced once, and the tables are written once.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use chancery_api::Problem;
use chancery_api::server::RevocationDone;
use chancery_audit::RevocationAdd;
use chancery_delegation::{Revocable, Revocation, RevocationSet};
use chancery_journal::Subject;
use chancery_store::{Kept, NewRevocation, StoreError};
use chancery_types::id::ConsentId;
use chancery_types::{RevocationKind, Timestamp};
use tokio::sync::oneshot;

use crate::Server;
use crate::endpoints::label;
use crate::withdrawn::{BY, Opened, REASON, Standing, Withdrawn, opened, reading_of};

/// A revocation that waits for its turn.
#[derive(Debug)]
pub(crate) struct Asked {
    what: Revocable,
    opened: Opened,
    whose: Option<Subject>,
    answer: oneshot::Sender<Result<InForce, Problem>>,
}

/// A revocation that is in force here.
#[derive(Debug, Clone)]
struct InForce {
    log_index: u64,
    at: Timestamp,
    before: bool,
    /// Whether the tables hold what opens its entry.
    kept: Result<(), Problem>,
}

/// One that is to be enrolled, with whoever asked for the same thing at the same time.
struct Fresh {
    asked: Asked,
    event: RevocationAdd,
    again: Vec<Asked>,
}

impl Fresh {
    fn answer(self, outcome: Result<InForce, Problem>) {
        for again in self.again {
            let before = |known: &InForce| InForce {
                before: true,
                ..known.clone()
            };
            again.answer(outcome.as_ref().map(before).map_err(Problem::clone));
        }
        self.asked.answer(outcome);
    }
}

impl Asked {
    fn answer(self, outcome: Result<InForce, Problem>) {
        // Whoever does not listen any more has it revoked all the same.
        let _ = self.answer.send(outcome);
    }
}

impl Server {
    /// Revokes: enrolled first, then in force here, then held by the signer, then sent to gateways.
    /// What is revoked already is not revoked again.
    ///
    /// INVARIANT: goes on to its end when its asker has gone: whoever comes first revokes for all who wait.
    pub(crate) async fn revoke(
        &self,
        what: Revocable,
        reason: &str,
    ) -> Result<RevocationDone, Problem> {
        let opened = opened(reason, [BY, REASON])?;
        // Until it is in the tables: nobody is erased meanwhile.
        let _held = self.erasing.read().await;
        let whose = self.person_of(&what).await?;
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            what,
            opened,
            whose,
            answer,
        };
        self.revoking().push(asked);
        let mut withdrawn = self.withdrawn.lock().await;
        let together = std::mem::take(&mut *self.revoking());
        // None where somebody before did it along.
        if !together.is_empty() {
            self.revoke_together(&mut withdrawn, together).await;
        }
        drop(withdrawn);
        let in_force = answered.await.map_err(|_| {
            Problem::unavailable("revocation", "it broke off")
                .with_remedy("repeat the same command")
        })??;
        // Whoever is told that it stands may rely on it.
        let sequence = self.tell_since(in_force.at).await;
        in_force.kept?;
        Ok(RevocationDone {
            log_index: in_force.log_index,
            at: in_force.at,
            before: in_force.before,
            epoch: self.standing().epoch,
            sequence: sequence.filter(|_| !in_force.before),
        })
    }

    fn revoking(&self) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        self.revoking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enrols, puts in force and keeps what is asked for, in the order in which it was; everybody is answered.
    async fn revoke_together(&self, withdrawn: &mut Withdrawn, together: Vec<Asked>) {
        let now = match self.now() {
            Ok(now) => now,
            Err(problem) => return refuse(together, &problem),
        };
        let mut revoked = RevocationSet::clone(&withdrawn.standing.revoked);
        revoked.settle(now);
        let (fresh, before) = judged(together, &revoked, now);
        for (asked, at) in before {
            let outcome = self.in_force_since(&asked.what, at).await;
            asked.answer(outcome);
        }
        if fresh.is_empty() {
            return;
        }
        if let Err(problem) = self.pass(withdrawn).await {
            return fresh
                .into_iter()
                .for_each(|one| one.answer(Err(problem.clone())));
        }
        let events = fresh.iter().map(|one| one.event.clone().into()).collect();
        let enrolled = self.enrol_all(events).await;
        let mut rows = Vec::with_capacity(fresh.len());
        let mut in_force = Vec::with_capacity(fresh.len());
        for (one, enrolled) in fresh.into_iter().zip(enrolled) {
            let row = enrolled.and_then(|(log_index, at)| {
                let what = one.asked.what.clone();
                let added = revoked.revoke(&Revocation { what, at });
                added.map_err(|error| Problem::internal("revocation", &error))?;
                row(&one.asked, log_index, at)
            });
            match row {
                Ok(row) => {
                    rows.push(row);
                    in_force.push(one);
                }
                Err(problem) => one.answer(Err(problem)),
            }
        }
        let epoch = withdrawn.standing.epoch;
        self.put_standing(withdrawn, Standing::new(epoch, revoked));
        let stored = |error: StoreError| Problem::internal("store", &error);
        let kept = self.store.put_revocations(&rows).await;
        let mut kept = match kept {
            Ok(kept) => kept.into_iter().map(|kept| kept.map_err(stored)).collect(),
            Err(error) => vec![Err(stored(error)); rows.len()],
        }
        .into_iter();
        for (one, row) in in_force.into_iter().zip(rows) {
            let missing = || Err(Problem::unavailable("store", "an answer is missing"));
            one.answer(Ok(InForce {
                log_index: row.log_index,
                at: row.revoked_at,
                before: false,
                kept: kept.next().unwrap_or_else(missing),
            }));
        }
    }

    /// What is revoked since then.
    async fn in_force_since(&self, what: &Revocable, at: Timestamp) -> Result<InForce, Problem> {
        let known = self.store.revocation_index(what.kind(), what.id()).await;
        let known = known.map_err(|error| Problem::internal("store", &error))?;
        Ok(InForce {
            log_index: known.unwrap_or(0),
            at,
            before: true,
            kept: Ok(()),
        })
    }

    /// The person whom a revocation is about, where that is known: who is revoked, who stands at the root
    /// or signed the standing consent, whom alone a mission was drafted for.
    async fn person_of(&self, what: &Revocable) -> Result<Option<Subject>, Problem> {
        let stored = |error: StoreError| Problem::internal("store", &error);
        let id = what.id();
        let person = match what.kind() {
            RevocationKind::Person => Some(id.to_owned()),
            RevocationKind::Token => {
                let root = self.store.root(id).await.map_err(stored)?;
                root.as_ref().and_then(person_at)
            }
            RevocationKind::Session => {
                let beginning = Timestamp::from_micros(0);
                let roots = self.store.roots_since(beginning).await.map_err(stored)?;
                let mut roots = roots
                    .iter()
                    .filter_map(|root| Some((reading_of(root)?, root)));
                let found = roots.find(|(reading, _)| reading.sid() == id);
                found.and_then(|(_, root)| person_at(root))
            }
            RevocationKind::Mission => match id.parse() {
                Ok(mission) => {
                    let people = self.store.people_of_mission(mission).await;
                    let mut people = people.map_err(stored)?;
                    people.pop().filter(|_| people.is_empty())
                }
                Err(_) => None,
            },
            RevocationKind::Consent => match id.parse::<ConsentId>() {
                Ok(consent) => {
                    let kept = self.store.consent(consent).await.map_err(stored)?;
                    let document = kept.and_then(Kept::value);
                    let person = document.as_ref().and_then(|document| {
                        document.pointer("/signed/statement/person")?.as_str()
                    });
                    person.map(str::to_owned)
                }
                Err(_) => None,
            },
            RevocationKind::Agent | RevocationKind::Instance | RevocationKind::Key => None,
        };
        let person = person.map(Subject::person);
        // Of who was erased nothing is kept: the reason stays with the thing.
        Ok(person.filter(|person| self.store.keys().check(person).is_ok()))
    }
}

/// What is to be enrolled, each thing once, and what is revoked already, with the time. Who is refused has been
/// told so.
fn judged(
    together: Vec<Asked>,
    revoked: &RevocationSet,
    now: Timestamp,
) -> (Vec<Fresh>, Vec<(Asked, Timestamp)>) {
    let mut with_these = revoked.clone();
    let (mut fresh, mut before) = (Vec::<Fresh>::new(), Vec::new());
    let mut places = BTreeMap::<Revocable, usize>::new();
    for asked in together {
        let what = &asked.what;
        if let Some(at) = revoked.since(what.kind(), what.id()) {
            before.push((asked, at));
            continue;
        }
        let first = places.get(what).copied();
        if let Some(first) = first.and_then(|place| fresh.get_mut(place)) {
            first.again.push(asked);
            continue;
        }
        match added(&asked, &mut with_these, now) {
            Ok(event) => {
                places.insert(what.clone(), fresh.len());
                fresh.push(Fresh {
                    asked,
                    event,
                    again: Vec::new(),
                });
            }
            Err(problem) => asked.answer(Err(problem)),
        }
    }
    (fresh, before)
}

/// The entry of a revocation, where there is room for it beside those.
fn added(
    asked: &Asked,
    revoked: &mut RevocationSet,
    now: Timestamp,
) -> Result<RevocationAdd, Problem> {
    let what = asked.what.clone();
    let event = RevocationAdd {
        kind: what.kind(),
        id: label(what.id())?,
        by: asked.opened.by.commitment(),
        reason: asked.opened.reason.commitment(),
    };
    let probe = revoked.revoke(&Revocation { what, at: now });
    probe.map_err(|error| Problem::conflict("too_many_revocations", error.to_string()))?;
    Ok(event)
}

fn row(asked: &Asked, log_index: u64, at: Timestamp) -> Result<NewRevocation, Problem> {
    let document = serde_json::to_value(&asked.opened);
    Ok(NewRevocation {
        kind: asked.what.kind(),
        id: asked.what.id().to_owned(),
        revoked_at: at,
        log_index,
        whose: asked.whose.clone(),
        document: document.map_err(|error| Problem::internal("revocation", &error))?,
    })
}

fn refuse(together: Vec<Asked>, problem: &Problem) {
    for asked in together {
        asked.answer(Err(problem.clone()));
    }
}

fn person_at(root: &serde_json::Value) -> Option<String> {
    Some(reading_of(root)?.principal().subject.clone())
}
