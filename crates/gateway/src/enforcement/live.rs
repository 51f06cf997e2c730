use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chancery_audit::{
    CallRecord, Decision, EndReason, Entry, Event as Logged, InstanceLink, Label, LeafRef, Ruling,
    Verdict,
};
use chancery_delegation::ChainReading;
use chancery_evidence::ObjectKind;
use chancery_journal::Subject;
use chancery_session::{Effect, Event, Fault, Open, Session};
use chancery_types::id::{ApprovalId, ExecutionId, InstanceId, PersonId, SessionId};
use chancery_types::{Digest, RevocationKind, Timestamp};

use super::dossier::Dossier;
use super::log::{Log, LogError, Turn};

/// A session with all that is remembered of its log. Every change is a step of the session machine
/// or the fold of an entry that is durable.
#[derive(Debug)]
pub(crate) struct Live {
    session: Session,
    /// Nothing more happens after an entry could not be written.
    broken: bool,
    /// A part of the log is missing that may have been its: it takes no call, and is ended.
    interrupted: bool,
    /// Its end has begun: no call is taken any more.
    pub(crate) ending: Option<EndReason>,
    /// Since when no instance is in it.
    pub(crate) empty_since: Option<Timestamp>,
    pub(crate) dossier: Dossier,
    pub(crate) memory: Memory,
}

/// What the entries said.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    places: BTreeMap<Label, Place>,
    members: BTreeMap<Label, Seated>,
    asked: BTreeMap<ApprovalId, Asked>,
    /// Actions that a person said no to, with the policy that asked.
    refused: BTreeSet<(Digest, Digest)>,
    /// Who answered a question.
    pub(crate) answered: BTreeSet<PersonId>,
    /// Lapsed questions whose end was told.
    told: BTreeSet<ApprovalId>,
    /// The objects that entries name.
    pub(crate) named: BTreeMap<Digest, ObjectKind>,
    /// The enrolled links that have none above them.
    pub(crate) roots: BTreeSet<Digest>,
    /// The policies that decided.
    pub(crate) policies: BTreeSet<Digest>,
    /// The leaf hashes of decisions, gaps and outcomes, in the order of the log.
    pub(crate) transcript: Vec<u8>,
    pub(crate) decisions: u64,
    /// How many executions former runs left without an outcome.
    pub(crate) gaps: u64,
    pub(crate) root: Option<RootLink>,
    pub(crate) end: Option<LeafRef>,
    /// What the chains say that the session was opened and joined with.
    pub(crate) readings: BTreeMap<Digest, Arc<ChainReading>>,
}

#[derive(Debug)]
struct Place {
    next: u64,
    last: LeafRef,
}

/// An instance in the session.
#[derive(Debug, Clone)]
pub(crate) struct Seated {
    pub(crate) id: InstanceId,
    /// When its credential is over.
    pub(crate) expires: Timestamp,
    /// The chain that it joined with.
    pub(crate) chain: Digest,
    pub(crate) left: bool,
}

/// A question to a person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) execution: ExecutionId,
    pub(crate) action: Digest,
    policy: Digest,
    pub(crate) expires: Timestamp,
    /// Whether the server has it.
    pub(crate) posted: bool,
}

/// The root that the session was opened with.
#[derive(Debug, Clone)]
pub(crate) struct RootLink {
    pub(crate) jti: Label,
    pub(crate) holder: Label,
    pub(crate) digest: Digest,
}

/// A call that is denied before the session machine could judge it.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) instance: Label,
    pub(crate) execution: ExecutionId,
    pub(crate) chain: Digest,
    pub(crate) leaf: Label,
    pub(crate) proof: Digest,
    pub(crate) request: CallRecord,
    pub(crate) policy: Digest,
    pub(crate) reason: &'static str,
    pub(crate) revoked: Option<RevocationKind>,
}

/// Why a step was not taken or is not in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Fault(Fault),
    #[error("an entry could not be written: the session is closed to further calls")]
    Log(#[source] LogError),
    #[error("an entry of this session could not be written before")]
    Broken,
}

impl Live {
    pub(crate) fn new(session: SessionId, dossier: Dossier) -> Self {
        Self {
            session: Session::new(session),
            broken: false,
            interrupted: false,
            ending: None,
            empty_since: None,
            dossier,
            memory: Memory::default(),
        }
    }

    /// Says that entries of it may be missing.
    pub(crate) const fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// Whether entries of it may be missing.
    pub(crate) const fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether no call is taken any more.
    pub(crate) const fn is_ending(&self) -> bool {
        self.interrupted || self.ending.is_some()
    }

    /// The person that the session is about; none once they were erased.
    pub(crate) fn whose(&self) -> Option<Subject> {
        self.dossier.whose()
    }

    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn open(&self) -> Option<&Open> {
        self.session.as_open().filter(|_| !self.broken)
    }

    /// An instance that is in the session.
    pub(crate) fn seated(&self, instance: &str) -> Option<&Seated> {
        self.memory
            .members
            .get(instance)
            .filter(|seated| !seated.left)
    }

    /// Everybody who ever joined.
    pub(crate) fn joined(&self) -> impl Iterator<Item = &Label> {
        self.memory.members.keys()
    }

    pub(crate) fn asked(&self, approval: ApprovalId) -> Option<Asked> {
        self.memory.asked.get(&approval).copied()
    }

    pub(crate) fn posted(&mut self, approval: ApprovalId) {
        if let Some(asked) = self.memory.asked.get_mut(&approval) {
            asked.posted = true;
        }
    }

    /// Whether a person said no to this action under this policy.
    pub(crate) fn is_refused(&self, action: Digest, policy: Digest) -> bool {
        self.memory.refused.contains(&(action, policy))
    }

    /// A lapsed question about the action whose end was not told yet; told from now on.
    pub(crate) fn lapsed(&mut self, action: Digest, now: Timestamp) -> Option<ApprovalId> {
        let open = self.session.as_open()?;
        let (id, _) = open.pending().find(|(id, pending)| {
            pending.action == action && now >= pending.expires && !self.memory.told.contains(id)
        })?;
        self.memory.told.insert(id);
        Some(id)
    }

    /// Takes a step, enrols what it says, and returns what else is to be done. `now` was read in
    /// this turn; all entries of the step are sent in it, so that none stands between them that is
    /// later.
    pub(crate) async fn step(
        &mut self,
        log: &Log,
        turn: Turn<'_>,
        now: Timestamp,
        event: Event,
    ) -> Result<Vec<Effect>, StepError> {
        let mut rest = Vec::new();
        let mut sent = Vec::new();
        for effect in self.take(now, event)? {
            match effect {
                Effect::Enrol { at, event } => match log.send(&turn, at, *event).await {
                    Ok(entry) => sent.push(entry),
                    Err(error) => return Err(self.close(error)),
                },
                other => rest.push(other),
            }
        }
        drop(turn);
        for entry in sent {
            let (leaf, entry) = match entry.durable().await {
                Ok(enrolled) => enrolled,
                Err(error) => return Err(self.close(error)),
            };
            self.observe(&leaf, &entry);
            let place = entry.event.instance_link();
            if let Some((_, instance, _)) = place.filter(|_| self.session.as_open().is_some()) {
                let instance = instance.clone();
                rest.extend(self.take(now, Event::Enrolled { instance, leaf })?);
            }
        }
        Ok(rest)
    }

    /// Enrols the denial of a call that was not judged: what was presented was not even what the
    /// session machine takes.
    pub(crate) async fn deny(
        &mut self,
        log: &Log,
        turn: Turn<'_>,
        now: Timestamp,
        denied: Denied,
    ) -> Result<(), StepError> {
        if self.broken {
            return Err(StepError::Broken);
        }
        let place = self.memory.places.get(&denied.instance);
        let place = place.ok_or(StepError::Fault(Fault::NotJoined))?;
        let decision = Decision {
            execution: denied.execution,
            session: self.session.id(),
            instance: denied.instance,
            link: InstanceLink {
                seq: place.next,
                prev: Some(place.last.clone()),
            },
            chain: denied.chain,
            leaf: denied.leaf,
            proof: denied.proof,
            request: denied.request,
            policy: denied.policy,
            outcome: Ruling::Deny,
            reason: Label::or_digest(denied.reason),
            determining: Vec::new(),
            approvals: Vec::new(),
            cost_micros: 0,
            charges: Vec::new(),
            step: None,
            revoked: denied.revoked,
            opinion: None,
            facts: None,
            unenforced: None,
        };
        let sent = match log.send(&turn, now, decision.into()).await {
            Ok(sent) => sent,
            Err(error) => return Err(self.close(error)),
        };
        drop(turn);
        match sent.durable().await {
            Ok((leaf, entry)) => self.fold(&leaf, &entry).map_err(StepError::Fault),
            Err(error) => Err(self.close(error)),
        }
    }

    /// Takes an entry that is durable already.
    pub(crate) fn fold(&mut self, leaf: &LeafRef, entry: &Entry) -> Result<(), Fault> {
        let id = self.session.id();
        let session = std::mem::replace(&mut self.session, Session::new(id));
        match session.fold(leaf, entry) {
            Ok(session) => self.session = session,
            Err(error) => {
                self.broken = true;
                return Err(error.fault);
            }
        }
        self.observe(leaf, entry);
        Ok(())
    }

    /// Takes no further step: what is in the log is not known any more.
    fn close(&mut self, error: LogError) -> StepError {
        self.broken = true;
        tracing::error!(session = %self.session.id(), %error, "the session takes no more calls");
        StepError::Log(error)
    }

    fn take(&mut self, now: Timestamp, event: Event) -> Result<Vec<Effect>, StepError> {
        if self.broken {
            return Err(StepError::Broken);
        }
        let id = self.session.id();
        let session = std::mem::replace(&mut self.session, Session::new(id));
        match session.step(now, event) {
            Ok((session, effects)) => {
                self.session = session;
                Ok(effects)
            }
            Err(refused) => {
                let fault = refused.fault();
                self.session = refused.into_session();
                Err(StepError::Fault(fault))
            }
        }
    }

    fn observe(&mut self, leaf: &LeafRef, entry: &Entry) {
        self.memory.observe(leaf, entry);
        let nobody = self.memory.members.values().all(|seated| seated.left);
        self.empty_since = nobody.then_some(self.empty_since.unwrap_or(entry.at));
    }
}

impl Memory {
    fn observe(&mut self, leaf: &LeafRef, entry: &Entry) {
        if let Some((_, instance, link)) = entry.event.instance_link() {
            let place = Place {
                next: link.seq.saturating_add(1),
                last: leaf.clone(),
            };
            self.places.insert(instance.clone(), place);
        }
        match &entry.event {
            Logged::SessionOpen(open) => {
                self.named.insert(open.chain, ObjectKind::Chain);
                self.named.insert(open.mission, ObjectKind::Mission);
                self.named.insert(open.catalog, ObjectKind::Catalog);
                self.policies.insert(open.policy);
                self.root = Some(RootLink {
                    jti: open.root.clone(),
                    holder: open.instance.clone(),
                    digest: open.chain,
                });
            }
            Logged::DelegationEnrol(enrol) => {
                self.named.entry(enrol.link).or_insert(ObjectKind::Link);
                if enrol.parent.is_none() {
                    self.roots.insert(enrol.link);
                }
                let root = self
                    .root
                    .as_mut()
                    .filter(|root| root.jti == enrol.delegation);
                if let Some(root) = root {
                    root.holder = enrol.delegate.clone();
                    root.digest = enrol.link;
                }
            }
            Logged::SessionJoin(join) => {
                self.named.insert(join.chain, ObjectKind::Chain);
                if let Some(id) = join.id {
                    let (expires, chain) = (join.expires, join.chain);
                    let seated = Seated {
                        id,
                        expires,
                        chain,
                        left: false,
                    };
                    self.members.insert(join.instance.clone(), seated);
                }
            }
            Logged::SessionLeave(leave) => {
                if let Some(seated) = self.members.get_mut(&leave.instance) {
                    seated.left = true;
                }
            }
            Logged::Decision(decision) => {
                self.named.insert(decision.chain, ObjectKind::Chain);
                self.named.insert(decision.proof, ObjectKind::Proof);
                self.named
                    .insert(decision.request.args_digest, ObjectKind::Arguments);
                if let Some(opinion) = decision.opinion {
                    self.named.insert(opinion, ObjectKind::Opinion);
                }
                self.policies.insert(decision.policy);
                self.transcript.extend(leaf.hash.as_bytes());
                self.decisions = self.decisions.saturating_add(1);
            }
            Logged::SessionVisit(visit) => {
                self.policies.insert(visit.policy);
            }
            Logged::Outcome(_) => self.transcript.extend(leaf.hash.as_bytes()),
            Logged::GapDisclose(_) => {
                self.transcript.extend(leaf.hash.as_bytes());
                self.gaps = self.gaps.saturating_add(1);
            }
            Logged::ApprovalRequest(request) => {
                self.named.insert(request.displayed, ObjectKind::Display);
                let asked = Asked {
                    execution: request.execution,
                    action: request.action,
                    policy: request.policy,
                    expires: request.expires,
                    posted: false,
                };
                self.asked.insert(request.approval, asked);
            }
            Logged::ApprovalGrant(grant) => {
                self.named.insert(grant.answer, ObjectKind::Approval);
                self.answered.insert(grant.approver);
                let asked = self.asked.remove(&grant.approval);
                if let Some(asked) = asked.filter(|_| grant.verdict == Verdict::Deny) {
                    self.refused.insert((asked.action, asked.policy));
                }
            }
            Logged::SessionEnd(_) => self.end = Some(leaf.clone()),
            _ => {}
        }
    }
}
