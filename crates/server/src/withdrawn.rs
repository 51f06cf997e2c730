//! What is revoked, as the log says.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use chancery_api::Problem;
use chancery_api::lift::SignedLift;
use chancery_api::server::{KnownRevocation, RevocationDone, Revocations, WithdrawnIdentities};
use chancery_audit::{Disclosure, Entry, EpochRaise, RevocationLift};
use chancery_crypto::{AwsLc, random_bytes};
use chancery_delegation::{ChainReading, Revocation, RevocationSet};
use chancery_evidence::Withdrawn as Logged;
use chancery_journal::{Journal, Subject};
use chancery_store::{Kept, StoreError};
use chancery_types::id::ConsentId;
use chancery_types::{Digest, Jwk, RevocationKind, Timestamp, to_canonical};
use serde::{Deserialize, Serialize};

use crate::{Server, ServerError};

/// Under which names the log commits to who revoked and why.
pub(crate) const BY: &str = "revoker";
pub(crate) const REASON: &str = "revocation-reason";

/// What is said in the place of what was erased.
const ERASED: &str = "erased";

/// How long whoever changes what is revoked waits for the tables: gateways, which work without a snapshot for
/// 10 seconds, wait for no table.
const TABLES: Duration = Duration::from_secs(5);

/// Most bytes of a reason.
const MAX_REASON_BYTES: usize = 1_000;

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
    pub(crate) fn new(epoch: u64, revoked: RevocationSet) -> Self {
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
    pub(crate) standing: Standing,
    /// The sequence and the time of the last snapshot that was taken, signed or not; of the start, before one is.
    taken: (u64, Timestamp),
    /// Snapshots up to this sequence differ from what is in force in more than their date.
    outdated: u64,
}

/// What opens the commitments of an entry to who asked for it and why.
#[derive(Debug, Serialize, Deserialize)]
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
            // Of the snapshots of whoever served before nothing is known here.
            taken: (now.as_micros(), now),
            outdated: now.as_micros(),
        })
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.clone()
    }

    const fn taken_sequence(&self) -> u64 {
        self.taken.0
    }

    /// Whether a snapshot of that sequence is not what is in force, or not one that is known here.
    pub(crate) fn is_outdated(&self, sequence: u64) -> bool {
        sequence <= self.outdated || sequence > self.taken_sequence()
    }

    /// The sequence of a snapshot of that time, and what is in it. Sequences are times, each above the last.
    pub(crate) fn take(&mut self, now: Timestamp) -> (u64, Standing) {
        let next = self.taken_sequence().saturating_add(1);
        let sequence = now.as_micros().max(next);
        self.taken = (sequence, now);
        (sequence, self.standing())
    }

    fn outdate(&mut self) {
        self.outdated = self.taken_sequence();
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
        let kept = self.tables(self.forget(&over)).await;
        drop(withdrawn);
        let sequence = self.tell_since(at).await;
        kept?;
        Ok(RevocationDone {
            log_index,
            at,
            before: false,
            epoch,
            sequence,
            unknown: false,
        })
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
        let lifted = |standing: &Standing| {
            let mut revoked = RevocationSet::clone(&standing.revoked);
            let message = format!("{} is not revoked since {}", revocation.what, revocation.at);
            let missing = Problem::not_found("not_revoked", message);
            match revoked.lift(&revocation) {
                true => Ok(revoked),
                false => Err(missing.with_remedy("chancery revoke list")),
            }
        };
        let event = RevocationLift {
            kind: revocation.what.kind(),
            id: super::endpoints::label(revocation.what.id())?,
            revoked: revocation.at,
            signers,
            reason: opened.reason.commitment(),
        };
        // None is on its way to the signer, which would hold again what it is to let go of.
        let mut snapshots = self.snapshots.lock().await;
        lifted(&self.standing())?;
        self.settle_snapshots(&mut snapshots).await?;
        // Whatever fails from here on, what is revoked stays in every snapshot until it is enrolled
        // that it was lifted. Others revoke while the signer is asked.
        self.signer.lift(&signed).await.map_err(|error| {
            let text = format!("the signer does not let it go: {error}");
            Problem::unavailable("signer", text).with_remedy("repeat the same command")
        })?;
        let mut withdrawn = self.withdrawn.lock().await;
        let revoked = lifted(&withdrawn.standing)?;
        self.pass(&withdrawn).await?;
        let (log_index, at) = self.enrol_at(event).await?;
        let epoch = withdrawn.standing.epoch;
        self.put_standing(&mut withdrawn, Standing::new(epoch, revoked));
        let (kind, id) = (revocation.what.kind(), revocation.what.id());
        let kept = self.tables(self.store.drop_revocation(kind, id)).await;
        drop(withdrawn);
        let sequence = self.tell(&mut snapshots).await;
        kept?;
        Ok(RevocationDone {
            log_index,
            at,
            before: false,
            epoch,
            sequence,
            unknown: false,
        })
    }

    /// What is revoked, with who did it and why.
    pub(crate) async fn revocations(&self) -> Result<Revocations, Problem> {
        let standing = self.standing();
        let internal = |error: StoreError| Problem::internal("store", &error);
        let rows = self.store.revocations().await.map_err(internal)?;
        let rows: HashMap<_, _> = rows
            .iter()
            .map(|row| ((row.kind, row.id.as_str()), row))
            .collect();
        let now = self.now()?;
        let mut revocations = Vec::new();
        for revocation in standing.revoked.iter().filter(|one| one.matters(now)) {
            let row = rows.get(&(revocation.what.kind(), revocation.what.id()));
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
    pub(crate) async fn pass(&self, withdrawn: &Withdrawn) -> Result<(), Problem> {
        let (_, last) = withdrawn.taken;
        while self.now().is_ok_and(|now| now <= last) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.now().map(drop)
    }

    /// What the tables say of something that is in force already, in bounded time.
    pub(crate) async fn tables<T>(
        &self,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(TABLES, asked).await {
            Ok(said) => said.map_err(|error| Problem::internal("store", &error)),
            Err(_) => Err(Problem::unavailable("store", "the tables do not answer")),
        }
    }

    /// Puts in force what was enrolled, and tells the nodes at once: they wait for no snapshot.
    pub(crate) fn put_standing(&self, withdrawn: &mut Withdrawn, standing: Standing) {
        withdrawn.standing = standing;
        withdrawn.outdate();
        *self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner) = withdrawn.standing.clone();
        self.changed();
    }
}

/// A root as the tables keep it.
pub(crate) fn reading_of(root: &serde_json::Value) -> Option<ChainReading> {
    ChainReading::read(&[root.get("root")?.as_str()?]).ok()
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
