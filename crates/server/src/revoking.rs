//! Revocations. Those that come while others are enrolled are enrolled together: each is judged by itself,
//! the log is synced once, and the tables are written once.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use chancery_api::Problem;
use chancery_api::server::RevocationDone;
use chancery_audit::RevocationAdd;
use chancery_delegation::{Revocable, Revocation, RevocationSet};
use chancery_identity::InstanceSpiffeId;
use chancery_journal::Subject;
use chancery_store::{Kept, NewRevocation, SealedRevocation, StoreError};
use chancery_types::id::ConsentId;
use chancery_types::{RevocationKind, Timestamp};
use tokio::sync::oneshot;

use crate::Server;
use crate::endpoints::{label, stored};
use crate::withdrawn::{BY, Opened, REASON, Standing, Withdrawn, opened, reading_of};

/// A revocation that waits for its turn.
#[derive(Debug)]
pub(crate) struct Asked {
    what: Revocable,
    opened: Opened,
    sealed: Result<SealedRevocation, Problem>,
    answer: oneshot::Sender<Result<InForce, Problem>>,
}

/// A revocation that is in force here.
#[derive(Debug, Clone)]
struct InForce {
    /// Where it stands in the log; of what was in force before the tables are asked.
    log_index: Option<u64>,
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
        let held = self.erasing.read().await;
        let whose = self.person_of(&what).await?;
        let sealed = self.sealed(&what, whose, &opened).await;
        let (answer, mut answered) = oneshot::channel();
        let asked = Asked {
            what: what.clone(),
            opened,
            sealed,
            answer,
        };
        self.revoking().push(asked);
        // Whoever is answered in the turn of another has none.
        let in_force = tokio::select! {
            biased;
            in_force = &mut answered => in_force,
            mut withdrawn = self.withdrawn.lock() => {
                self.revoke_together(&mut withdrawn).await;
                drop(withdrawn);
                answered.await
            }
        };
        drop(held);
        let in_force = in_force.map_err(|_| {
            Problem::unavailable("revocation", "it broke off")
                .with_remedy("repeat the same command")
        })??;
        // Whoever is told that it stands may rely on it.
        let sequence = self.tell_since(in_force.at).await;
        in_force.kept?;
        let log_index = match in_force.log_index {
            Some(log_index) => log_index,
            None => self.entry_of(&what).await?,
        };
        Ok(RevocationDone {
            log_index,
            at: in_force.at,
            before: in_force.before,
            epoch: self.standing().epoch,
            sequence: sequence.filter(|_| !in_force.before),
            unknown: false,
        })
    }

    fn revoking(&self) -> std::sync::MutexGuard<'_, Vec<Asked>> {
        self.revoking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enrols, puts in force and keeps what waits, in the order in which it was asked for; everybody is answered.
    async fn revoke_together(&self, withdrawn: &mut Withdrawn) {
        let together = std::mem::take(&mut *self.revoking());
        let now = match self.now() {
            Ok(now) => now,
            Err(problem) => return refuse(together, &problem),
        };
        let mut revoked = RevocationSet::clone(&withdrawn.standing.revoked);
        revoked.settle(now);
        let fresh = judged(together, &revoked, now);
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
        let mut in_force = Vec::with_capacity(fresh.len());
        for (one, enrolled) in fresh.into_iter().zip(enrolled) {
            let added = enrolled.and_then(|(log_index, at)| {
                let what = one.asked.what.clone();
                let added = revoked.revoke(&Revocation { what, at });
                added.map_err(|error| Problem::internal("revocation", &error))?;
                Ok((log_index, at))
            });
            match added {
                Ok((log_index, at)) => in_force.push((one, log_index, at)),
                Err(problem) => one.answer(Err(problem)),
            }
        }
        let epoch = withdrawn.standing.epoch;
        self.put_standing(withdrawn, Standing::new(epoch, revoked));
        let rows = in_force.iter().filter_map(|(one, log_index, at)| {
            let sealed = one.asked.sealed.as_ref().ok()?.clone();
            Some(NewRevocation {
                sealed,
                revoked_at: *at,
                log_index: *log_index,
            })
        });
        let rows: Vec<_> = rows.collect();
        let put = async { Ok(self.store.put_revocations(&rows).await) };
        let kept = match self.tables(put).await {
            Ok(kept) => kept.into_iter().map(|one| one.map_err(stored)).collect(),
            Err(problem) => vec![Err(problem); rows.len()],
        };
        let mut kept = kept.into_iter();
        for (one, log_index, at) in in_force {
            let missing = || Err(Problem::unavailable("store", "an answer is missing"));
            let kept = match &one.asked.sealed {
                Ok(_) => kept.next().unwrap_or_else(missing),
                Err(problem) => Err(problem.clone()),
            };
            one.answer(Ok(InForce {
                log_index: Some(log_index),
                at,
                before: false,
                kept,
            }));
        }
    }

    /// Where what was in force before stands in the log.
    async fn entry_of(&self, what: &Revocable) -> Result<u64, Problem> {
        let known = self.store.revocation_index(what.kind(), what.id()).await;
        Ok(known.map_err(stored)?.unwrap_or(0))
    }

    /// What opens the entry, sealed before anybody waits for it: a key that is made for it waits for the disk. What
    /// cannot be sealed is revoked all the same.
    async fn sealed(
        &self,
        what: &Revocable,
        whose: Option<Subject>,
        opened: &Opened,
    ) -> Result<SealedRevocation, Problem> {
        let document = serde_json::to_value(opened);
        let document = document.map_err(|error| Problem::internal("revocation", &error))?;
        let (store, what) = (self.store.clone(), what.clone());
        let sealing = tokio::task::spawn_blocking(move || {
            store.seal_revocation(what.kind(), what.id(), whose, &document)
        });
        let sealed = sealing.await;
        let sealed = sealed.map_err(|error| Problem::internal("revocation", &error))?;
        sealed.map_err(stored)
    }

    /// Whether something of that identifier was registered, opened or signed here. Of tokens, only roots
    /// are kept; whose a key is, is not asked.
    pub(crate) async fn knows(&self, what: &Revocable) -> Result<bool, StoreError> {
        let id = what.id();
        Ok(match what.kind() {
            RevocationKind::Token => self.store.root(id).await?.is_some(),
            RevocationKind::Session => self.root_of_session(id).await?.is_some(),
            RevocationKind::Agent => self.store.agent(id).await?.is_some(),
            RevocationKind::Instance => match id.parse::<InstanceSpiffeId>() {
                Ok(instance) => {
                    let row = self.store.instance(instance.instance()).await?;
                    row.is_some_and(|row| row.spiffe_id == id)
                }
                Err(_) => false,
            },
            RevocationKind::Consent => match id.parse::<ConsentId>() {
                Ok(consent) => self.store.consent(consent).await?.is_some(),
                Err(_) => false,
            },
            RevocationKind::Mission => match id.parse() {
                Ok(mission) => !self.store.people_of_mission(mission).await?.is_empty(),
                Err(_) => false,
            },
            RevocationKind::Person | RevocationKind::Key => true,
        })
    }

    async fn root_of_session(&self, id: &str) -> Result<Option<serde_json::Value>, StoreError> {
        let roots = self.store.roots_since(Timestamp::from_micros(0)).await?;
        let of = |root: &serde_json::Value| reading_of(root).is_some_and(|read| read.sid() == id);
        Ok(roots.into_iter().find(of))
    }

    /// The person whom a revocation is about, where that is known: who is revoked, who stands at the root
    /// or signed the standing consent, whom alone a mission was drafted for.
    async fn person_of(&self, what: &Revocable) -> Result<Option<Subject>, Problem> {
        let id = what.id();
        let person = match what.kind() {
            RevocationKind::Person => Some(id.to_owned()),
            RevocationKind::Token => {
                let root = self.store.root(id).await.map_err(stored)?;
                root.as_ref().and_then(person_at)
            }
            RevocationKind::Session => {
                let root = self.root_of_session(id).await.map_err(stored)?;
                root.as_ref().and_then(person_at)
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

/// What is to be enrolled, each thing once. Whoever is refused has been told so, and whoever asked for what is
/// revoked already since when.
fn judged(together: Vec<Asked>, revoked: &RevocationSet, now: Timestamp) -> Vec<Fresh> {
    let mut with_these = revoked.clone();
    let mut fresh = Vec::<Fresh>::new();
    let mut places = BTreeMap::<Revocable, usize>::new();
    for asked in together {
        let what = &asked.what;
        if let Some(at) = revoked.since(what.kind(), what.id()) {
            asked.answer(Ok(InForce {
                log_index: None,
                at,
                before: true,
                kept: Ok(()),
            }));
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
    fresh
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

fn refuse(together: Vec<Asked>, problem: &Problem) {
    for asked in together {
        asked.answer(Err(problem.clone()));
    }
}

fn person_at(root: &serde_json::Value) -> Option<String> {
    Some(reading_of(root)?.principal().subject.clone())
}
