//! What is revoked, and the snapshots that say so.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use chancery_api::Problem;
use chancery_api::lift::SignedLift;
use chancery_api::server::{KnownRevocation, RevocationDone, Revocations, WithdrawnIdentities};
use chancery_api::signer::SignSnapshot;
use chancery_api::snapshot::{SignedSnapshot, Snapshot};
use chancery_audit::{Disclosure, Entry, EpochRaise, RevocationAdd, RevocationLift};
use chancery_crypto::{AwsLc, random_bytes};
use chancery_delegation::{ChainReading, Revocable, Revocation, RevocationSet};
use chancery_evidence::Withdrawn as Logged;
use chancery_journal::{Journal, Subject};
use chancery_store::{Kept, RevocationRow, StoreError};
use chancery_types::id::ConsentId;
use chancery_types::{Digest, Jwk, RevocationKind, Timestamp, to_canonical};
use serde::{Deserialize, Serialize};

use crate::{Server, ServerError};

/// Under which names the log commits to who revoked and why.
const BY: &str = "revoker";
const REASON: &str = "revocation-reason";

/// What is said in the place of what was erased.
const ERASED: &str = "erased";

/// Most bytes of a reason.
const MAX_REASON_BYTES: usize = 1_000;

/// How long several askers share one snapshot, unless something changes.
const SHARED: Duration = Duration::from_millis(100);

/// Of changes that come at the same time so many are told by one snapshot at most, and none later than so long
/// after it took effect, but for the one that is being enrolled then.
const MOST_UNTOLD: usize = 16;
const LONGEST_UNTOLD: Duration = Duration::from_millis(200);

/// Nobody is erased as long as this is there.
pub(crate) type Held<'s> = tokio::sync::RwLockReadGuard<'s, ()>;

/// What is revoked, for those who only ask.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) epoch: u64,
    pub(crate) revoked: Arc<RevocationSet>,
    /// The identities among it, made once for all nodes that ask.
    identities: Arc<OnceLock<WithdrawnIdentities>>,
}

impl Standing {
    fn new(epoch: u64, revoked: RevocationSet) -> Self {
        Self {
            epoch,
            revoked: Arc::new(revoked),
            identities: Arc::default(),
        }
    }

    /// Which identities are revoked, as nodes are told.
    fn identities(&self) -> Result<WithdrawnIdentities, Problem> {
        if let Some(known) = self.identities.get() {
            return Ok(known.clone());
        }
        let of_kind = |kind| -> BTreeSet<String> {
            let known = self.revoked.iter();
            let known = known.filter(|revocation| revocation.what.kind() == kind);
            known
                .map(|revocation| revocation.what.id().to_owned())
                .collect()
        };
        let mut known = WithdrawnIdentities {
            state: Digest::of(""),
            agents: of_kind(RevocationKind::Agent),
            instances: of_kind(RevocationKind::Instance),
        };
        let bytes = to_canonical(&known);
        let bytes = bytes.map_err(|error| Problem::internal("revocation", &error))?;
        known.state = Digest::of(bytes);
        Ok(self.identities.get_or_init(|| known).clone())
    }

    /// The state that nodes know it by.
    fn state(&self) -> Result<Digest, Problem> {
        match self.identities.get() {
            Some(known) => Ok(known.state),
            None => self.identities().map(|known| known.state),
        }
    }
}

/// What is revoked. Whoever changes it or takes a snapshot of it holds it alone from the time that
/// is written down to the change in memory, so that a snapshot holds exactly what was enrolled up to
/// its own time.
#[derive(Debug)]
pub(crate) struct Withdrawn {
    standing: Standing,
    /// The last snapshot that was signed.
    last: Option<SignedSnapshot>,
    /// When it was signed, as long as it may be shared.
    shared: Option<tokio::time::Instant>,
    /// Snapshots up to this sequence differ from what is in force in more than their date.
    outdated: u64,
    /// How many changes are in no snapshot yet, and since when the first of them.
    untold: Option<(usize, tokio::time::Instant)>,
}

/// What opens the commitments of an entry to who asked for it and why.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opened {
    pub(crate) by: Disclosure,
    pub(crate) reason: Disclosure,
}

impl Withdrawn {
    /// Takes up what the log says: it is what happened, the tables only hold what opens it.
    pub(crate) fn load(journal: &Journal, now: Timestamp) -> Result<Self, ServerError> {
        let mut state = Logged::default();
        for read in journal.entries(0..journal.size()) {
            let (index, bytes) = read?;
            if Logged::may_change(&bytes) {
                let entry = Entry::parse(&bytes);
                let entry = entry.map_err(|source| ServerError::Entry { index, source })?;
                state.take(&entry.event, entry.at);
            }
        }
        state.revoked.settle(now);
        Ok(Self {
            standing: Standing::new(state.epoch, state.revoked),
            last: None,
            shared: None,
            outdated: 0,
            untold: None,
        })
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.clone()
    }

    fn last_sequence(&self) -> u64 {
        self.last
            .as_ref()
            .map_or(0, |signed| signed.snapshot.sequence)
    }

    /// Whether a snapshot of that sequence is not what is in force, or not one that is known here.
    fn is_outdated(&self, sequence: u64) -> bool {
        sequence <= self.outdated || sequence > self.last_sequence()
    }

    fn outdate(&mut self) {
        self.outdated = self.last_sequence();
        self.shared = None;
        let (count, since) = self
            .untold
            .unwrap_or_else(|| (0, tokio::time::Instant::now()));
        self.untold = Some((count.saturating_add(1), since));
    }

    /// Whether the next change has to wait until there is a snapshot with those before it.
    fn is_to_be_told(&self) -> bool {
        let untold = self.untold;
        untold
            .is_some_and(|(count, since)| count >= MOST_UNTOLD || since.elapsed() >= LONGEST_UNTOLD)
    }
}

impl Server {
    /// What is revoked now.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Refuses an instance that is revoked, itself or with its agent, and an agent that is.
    pub(crate) fn check_instance(&self, spiffe_id: &str) -> Result<(), Problem> {
        let found = self.standing().revoked.of_instance(spiffe_id);
        found.map_or(Ok(()), |kind| Err(revoked(kind, spiffe_id)))
    }

    /// Which identities are revoked, for nodes.
    pub(crate) fn withdrawn_identities(&self) -> Result<WithdrawnIdentities, Problem> {
        self.standing().identities()
    }

    /// The same, where it is another state than that one.
    pub(crate) fn withdrawn_since(
        &self,
        known: Digest,
    ) -> Result<Option<WithdrawnIdentities>, Problem> {
        let standing = self.standing();
        match standing.state()? == known {
            true => Ok(None),
            false => standing.identities().map(Some),
        }
    }

    /// Refuses a person as [`Server::check_person`] does; nobody is erased as long as the answer is
    /// held. Never asked for twice at once: whoever erases would stand in between.
    pub(crate) async fn hold_person(&self, person: &str) -> Result<Held<'_>, Problem> {
        let held = self.erasing.read().await;
        self.check_person(person)?;
        Ok(held)
    }

    /// Refuses a person who is revoked, was erased or is being erased.
    pub(crate) fn check_person(&self, person: &str) -> Result<(), Problem> {
        if let Err(gone) = self.store.keys().check(&Subject::person(person)) {
            return Err(Problem::forbidden("erased", format!("{person}: {gone}")));
        }
        if self.standing().revoked.has_person(person) {
            return Err(revoked(RevocationKind::Person, person));
        }
        Ok(())
    }

    /// Refuses a mission that is revoked.
    pub(crate) fn check_mission(&self, mission: &Digest) -> Result<(), Problem> {
        if self.standing().revoked.has_mission(mission) {
            return Err(revoked(RevocationKind::Mission, &mission.to_string()));
        }
        Ok(())
    }

    /// Refuses a standing consent that is revoked.
    pub(crate) fn check_consent(&self, consent: ConsentId) -> Result<(), Problem> {
        if self.standing().revoked.has_consent(consent) {
            return Err(revoked(RevocationKind::Consent, &consent.to_string()));
        }
        Ok(())
    }

    /// Refuses a holder key that is revoked.
    pub(crate) fn check_key(&self, key: &Jwk) -> Result<(), Problem> {
        if self.standing().revoked.has_key(key) {
            return Err(revoked(RevocationKind::Key, &key.thumbprint().to_string()));
        }
        Ok(())
    }

    /// Something that snapshots name has changed: whoever waits for one is given it.
    pub(crate) async fn snapshot_changed(&self) {
        self.withdrawn.lock().await.outdate();
        self.changed();
    }

    /// A snapshot; waits up to `wait_seconds` for one that differs from the one of sequence `after`
    /// in more than its date.
    pub(crate) async fn snapshot(
        &self,
        after: u64,
        wait_seconds: u64,
    ) -> Result<SignedSnapshot, Problem> {
        self.wait_for(wait_seconds, || async {
            let outdated = self.withdrawn.lock().await.is_outdated(after);
            Ok(outdated.then_some(()))
        })
        .await?;
        let mut withdrawn = self.withdrawn.lock().await;
        let is_recent = withdrawn.shared.is_some_and(|made| made.elapsed() < SHARED);
        if let Some(signed) = withdrawn.last.as_ref().filter(|_| is_recent) {
            return Ok(signed.clone());
        }
        self.sign_snapshot(&mut withdrawn).await
    }

    /// Signs a snapshot of now. Its sequence is its time, and always above the last one's.
    async fn sign_snapshot(&self, withdrawn: &mut Withdrawn) -> Result<SignedSnapshot, Problem> {
        let now = self.now()?;
        let trust = self.trust();
        let mut revoked = RevocationSet::clone(&withdrawn.standing.revoked);
        revoked.settle(now);
        let snapshot = Snapshot {
            sequence: now
                .as_micros()
                .max(withdrawn.last_sequence().saturating_add(1)),
            issued_at: now,
            trust_version: trust.version,
            trust_digest: trust.digest(),
            policy_digest: self.policy()?.digest(),
            epoch: withdrawn.standing.epoch,
            revoked,
        };
        let canonical = to_canonical(&snapshot).map_err(|e| Problem::internal("snapshot", &e))?;
        let canonical =
            String::from_utf8(canonical).map_err(|error| Problem::internal("snapshot", &error))?;
        let request = SignSnapshot {
            snapshot: canonical,
        };
        let signed = self.signer.snapshot(&request).await;
        let signed = signed.map_err(|error| Problem::unavailable("signer", error.to_string()))?;
        let signed = SignedSnapshot {
            snapshot,
            kid: signed.kid,
            signature: signed.signature,
        };
        withdrawn.shared = Some(tokio::time::Instant::now());
        withdrawn.last = Some(signed.clone());
        withdrawn.untold = None;
        Ok(signed)
    }

    /// Revokes: enrolled first, then in force here, then held by the signer, then sent to gateways.
    /// What is revoked already is not revoked again.
    pub(crate) async fn revoke(
        &self,
        what: Revocable,
        reason: &str,
    ) -> Result<RevocationDone, Problem> {
        let opened = opened(reason, [BY, REASON])?;
        let _held = self.erasing.read().await;
        let whose = self.person_of(&what).await?;
        let mut withdrawn = self.withdrawn.lock().await;
        let mut revoked = RevocationSet::clone(&withdrawn.standing.revoked);
        revoked.settle(self.now()?);
        if let Some(at) = revoked.since(what.kind(), what.id()) {
            // Whoever is told that it stands may rely on it.
            self.tell_since(&mut withdrawn, at).await;
            return self.done_before(&withdrawn, &what, at).await;
        }
        let at = self.now()?;
        let probe = revoked.clone().revoke(&Revocation {
            what: what.clone(),
            at,
        });
        probe.map_err(|error| Problem::conflict("too_many_revocations", error.to_string()))?;
        let event = RevocationAdd {
            kind: what.kind(),
            id: super::endpoints::label(what.id())?,
            by: opened.by.commitment(),
            reason: opened.reason.commitment(),
        };
        self.pass(&withdrawn).await?;
        let (log_index, at) = self.enrol_at(event).await?;
        let revocation = Revocation { what, at };
        revoked
            .revoke(&revocation)
            .map_err(|error| Problem::internal("revocation", &error))?;
        let epoch = withdrawn.standing.epoch;
        self.put_standing(&mut withdrawn, Standing::new(epoch, revoked));
        let document = serde_json::to_value(&opened)
            .map_err(|error| Problem::internal("revocation", &error))?;
        let row = RevocationRow {
            kind: revocation.what.kind(),
            id: revocation.what.id().to_owned(),
            revoked_at: at,
            log_index,
            document: Kept::Value(document.clone()),
        };
        let kept = self.store.put_revocation(&row, whose.as_ref(), &document);
        let kept = kept.await;
        // Who revokes something else meanwhile comes first, and is in the same snapshot; but of many only
        // so many, so that the first of them does not wait for all.
        if !withdrawn.is_to_be_told() {
            drop(withdrawn);
            withdrawn = self.withdrawn.lock().await;
        }
        let sequence = self.tell_since(&mut withdrawn, at).await;
        kept.map_err(|error| Problem::internal("store", &error))?;
        Ok(done(&withdrawn, log_index, at, sequence))
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

    /// Raises the epoch: what was delegated before is dead.
    pub(crate) async fn raise_epoch(&self, reason: &str) -> Result<RevocationDone, Problem> {
        let opened = opened(reason, [BY, REASON])?;
        let mut withdrawn = self.withdrawn.lock().await;
        let epoch = withdrawn.standing.epoch.saturating_add(1);
        let event = EpochRaise {
            epoch,
            by: opened.by.commitment(),
            reason: opened.reason.commitment(),
        };
        self.pass(&withdrawn).await?;
        let (log_index, at) = self.enrol_at(event).await?;
        let mut revoked = RevocationSet::clone(&withdrawn.standing.revoked);
        let over: Vec<_> = revoked.iter().filter(Revocation::dies_with_epoch).collect();
        revoked.begin_epoch();
        self.put_standing(&mut withdrawn, Standing::new(epoch, revoked));
        let kept = self.forget(&over).await;
        let sequence = self.tell(&mut withdrawn).await;
        kept.map_err(|error| Problem::internal("store", &error))?;
        Ok(done(&withdrawn, log_index, at, sequence))
    }

    async fn forget(&self, over: &[Revocation]) -> Result<(), StoreError> {
        for one in over {
            let (kind, id) = (one.what.kind(), one.what.id());
            self.store.drop_revocation(kind, id).await?;
        }
        Ok(())
    }

    /// Lifts a revocation that root keys lifted: the signer lets go of it first, since it would
    /// refuse the snapshots without it.
    pub(crate) async fn lift(
        &self,
        signed: SignedLift,
        reason: &str,
    ) -> Result<RevocationDone, Problem> {
        let opened = opened(reason, [BY, REASON])?;
        let signers = (signed.signatures.iter())
            .filter_map(|one| Digest::from_base64url(&one.kid).ok())
            .collect();
        let verified = signed.clone().verify(&self.trust(), &AwsLc);
        let revocation = verified.map_err(|error| Problem::forbidden("lift", error.to_string()))?;
        let mut withdrawn = self.withdrawn.lock().await;
        let mut revoked = RevocationSet::clone(&withdrawn.standing.revoked);
        if !revoked.lift(&revocation) {
            let message = format!("{} is not revoked since {}", revocation.what, revocation.at);
            return Err(
                Problem::not_found("not_revoked", message).with_remedy("chancery revoke list")
            );
        }
        let event = RevocationLift {
            kind: revocation.what.kind(),
            id: super::endpoints::label(revocation.what.id())?,
            revoked: revocation.at,
            signers,
            reason: opened.reason.commitment(),
        };
        // Whatever fails from here on, what is revoked stays in every snapshot until it is enrolled
        // that it was lifted.
        self.signer.lift(&signed).await.map_err(|error| {
            let text = format!("the signer does not let it go: {error}");
            Problem::unavailable("signer", text).with_remedy("repeat the same command")
        })?;
        self.pass(&withdrawn).await?;
        let (log_index, at) = self.enrol_at(event).await?;
        let epoch = withdrawn.standing.epoch;
        self.put_standing(&mut withdrawn, Standing::new(epoch, revoked));
        let (kind, id) = (revocation.what.kind(), revocation.what.id());
        let kept = self.store.drop_revocation(kind, id).await;
        let sequence = self.tell(&mut withdrawn).await;
        kept.map_err(|error| Problem::internal("store", &error))?;
        Ok(done(&withdrawn, log_index, at, sequence))
    }

    /// What is revoked, with who did it and why.
    pub(crate) async fn revocations(&self) -> Result<Revocations, Problem> {
        let standing = self.standing();
        let internal = |error: StoreError| Problem::internal("store", &error);
        let rows = self.store.revocations().await.map_err(internal)?;
        let now = self.now()?;
        let mut revocations = Vec::new();
        for revocation in standing.revoked.iter().filter(|one| one.matters(now)) {
            let row = rows
                .iter()
                .find(|row| row.kind == revocation.what.kind() && row.id == revocation.what.id());
            let (document, erased) = match row.map(|row| &row.document) {
                Some(Kept::Value(document)) => (Some(document.clone()), false),
                Some(Kept::Erased { .. }) => (None, true),
                None => (None, false),
            };
            let opened = document.map(serde_json::from_value::<Opened>).transpose();
            let opened = opened.map_err(|error| Problem::internal("revocation", &error))?;
            let absent = if erased { ERASED } else { "" };
            let value = |pick: fn(&Opened) -> &Disclosure| {
                let opened = opened.as_ref().map(pick);
                opened.map_or(absent.to_owned(), |disclosure| disclosure.value.clone())
            };
            revocations.push(KnownRevocation {
                log_index: row.map_or(0, |row| row.log_index),
                by: value(|opened| &opened.by),
                reason: value(|opened| &opened.reason),
                stays: revocation.matters(Timestamp::from_micros(u64::MAX)),
                revocation,
            });
        }
        Ok(Revocations {
            epoch: standing.epoch,
            revocations,
        })
    }

    /// Waits until the clock stands behind the last snapshot, so that what is enrolled next is
    /// later than every snapshot without it.
    async fn pass(&self, withdrawn: &Withdrawn) -> Result<(), Problem> {
        let last = withdrawn.last.as_ref();
        let last = last.map(|signed| signed.snapshot.issued_at);
        while last.is_some_and(|last| self.now().is_ok_and(|now| now <= last)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.now().map(drop)
    }

    /// Puts in force what was enrolled, and tells the nodes at once: they wait for no snapshot.
    fn put_standing(&self, withdrawn: &mut Withdrawn, standing: Standing) {
        withdrawn.standing = standing;
        withdrawn.outdate();
        *self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner) = withdrawn.standing.clone();
        self.changed();
    }

    /// Has a snapshot signed, so that the signer holds the change from now on, and wakes the
    /// gateways. The change stands without it: what cannot be signed now is signed later.
    async fn tell(&self, withdrawn: &mut Withdrawn) -> Option<u64> {
        let signed = self.sign_snapshot(withdrawn).await;
        self.changed();
        match signed {
            Ok(signed) => Some(signed.snapshot.sequence),
            Err(problem) => {
                tracing::error!(%problem, "a revocation is in no snapshot yet");
                None
            }
        }
    }

    /// The same, unless there is a snapshot with what was enrolled at that time.
    async fn tell_since(&self, withdrawn: &mut Withdrawn, at: Timestamp) -> Option<u64> {
        // A snapshot holds what was enrolled up to its own time, and is later than each of it.
        let last = withdrawn.last.as_ref().map(|signed| &signed.snapshot);
        match last.filter(|snapshot| snapshot.issued_at > at) {
            Some(snapshot) => Some(snapshot.sequence),
            None => self.tell(withdrawn).await,
        }
    }

    async fn done_before(
        &self,
        withdrawn: &Withdrawn,
        what: &Revocable,
        at: Timestamp,
    ) -> Result<RevocationDone, Problem> {
        let known = self.store.revocation_index(what.kind(), what.id()).await;
        let known = known.map_err(|error| Problem::internal("store", &error))?;
        let log_index = known.unwrap_or(0);
        Ok(RevocationDone {
            before: true,
            ..done(withdrawn, log_index, at, None)
        })
    }
}

/// A root as the tables keep it.
pub(crate) fn reading_of(root: &serde_json::Value) -> Option<ChainReading> {
    ChainReading::read(&[root.get("root")?.as_str()?]).ok()
}

fn person_at(root: &serde_json::Value) -> Option<String> {
    Some(reading_of(root)?.principal().subject.clone())
}

fn done(
    withdrawn: &Withdrawn,
    log_index: u64,
    at: Timestamp,
    sequence: Option<u64>,
) -> RevocationDone {
    RevocationDone {
        log_index,
        at,
        before: false,
        epoch: withdrawn.standing.epoch,
        sequence,
    }
}

fn revoked(kind: RevocationKind, id: &str) -> Problem {
    Problem::forbidden("revoked", format!("{id} is refused: its {kind} is revoked"))
        .with_remedy("chancery revoke list says since when; chancery revoke lift lifts it")
}

/// Who speaks on the owner's socket, and why, each behind a salt and under its name in the log.
pub(crate) fn opened(reason: &str, [by, why]: [&str; 2]) -> Result<Opened, Problem> {
    let refused = |message: &str| Problem::bad_request("reason", message.to_owned());
    if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
        return Err(refused("a reason has 1 to 1000 bytes"));
    }
    if reason.chars().any(char::is_control) {
        return Err(refused("a reason has no control characters"));
    }
    let owner = std::fs::metadata("/proc/self").map(|own| own.uid());
    let owner = owner.map_err(|error| Problem::internal("owner", &error))?;
    let disclosure = |name: &str, value: String| {
        Ok::<_, Problem>(Disclosure {
            name: super::endpoints::label(name)?,
            salt: random_bytes().map_err(super::endpoints::random)?,
            value,
        })
    };
    Ok(Opened {
        by: disclosure(by, format!("operator, uid {owner}"))?,
        reason: disclosure(why, reason.to_owned())?,
    })
}
