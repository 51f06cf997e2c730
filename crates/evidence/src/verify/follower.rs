//! Follows a session through its log, entry by entry, in the state that stood before each.

use std::collections::BTreeMap;

use chancery_audit::{
    Decision, Disclosure, EndReason, Event as Enrolled, InstanceChains, LeafRef, OutcomeStatus,
    Ruling, SessionJoin, SessionOpen, SessionVisit, Unenforced,
};
use chancery_delegation::{Mission, VerifiedChain};
use chancery_policy::Question;
use chancery_session::{Budgets, Commons, Event, Joining, Opening, PRINCIPAL, Reason, Session};
use chancery_types::{parse_strict, to_canonical};

use super::answers::Answers;
use super::case::{Case, Desk};
use super::chains::{Chains, Presented};
use super::decisions::Replay;
use super::heard::Heard;
use super::members::{Members, check_alive};
use super::policies::Policies;
use super::proofs::{self, Memory};
use super::roll::Logged;
use crate::completeness::IndexChecker;
use crate::report::{Axis, NoteValue, Place};
use crate::{Catalog, ObjectKind, object_path};

/// Most entries that do not follow before the rest is no longer followed.
const MAX_FAULTS: usize = 16;

/// A session while it is followed.
pub(crate) struct Follower<'c, 'a> {
    pub(super) case: &'c Case<'a>,
    pub(super) desk: &'c mut Desk<'a>,
    pub(super) session: Session,
    pub(super) memory: Memory,
    pub(super) chains: Chains,
    pub(super) members: Members,
    pub(super) policies: Policies,
    pub(super) answers: Answers,
    pub(super) heard: Heard,
    pub(super) catalog: Option<Catalog>,
    pub(super) principal: Option<Disclosure>,
    pub(super) mission: Option<Mission>,
    /// What the sessions of the gateway shared before the entry.
    pub(super) commons: Commons,
    disclosures: Vec<Disclosure>,
    taken: Vec<(LeafRef, usize)>,
    faults: usize,
    /// The replay of each decision, by its index.
    pub(super) replays: BTreeMap<u64, Replay>,
    /// What policy was asked for each decision, by its index.
    pub(super) questions: BTreeMap<u64, Question>,
}

/// What was learnt from following.
pub(crate) struct Followed {
    pub(crate) session: Session,
    pub(crate) chains: Chains,
    pub(crate) members: Members,
    pub(crate) policies: Policies,
    pub(crate) disclosures: Vec<Disclosure>,
    pub(crate) principal: Option<Disclosure>,
    pub(crate) mission: Option<Mission>,
    pub(crate) replays: BTreeMap<u64, Replay>,
    pub(crate) questions: BTreeMap<u64, Question>,
}

/// Follows the whole session.
pub(crate) fn follow<'a>(case: &Case<'a>, desk: &mut Desk<'a>) -> Followed {
    let mut follower = Follower::new(case, desk);
    follower.read_disclosures();
    follower.check_instance_chains();
    for (at, logged) in case.gateway.entries.iter().enumerate() {
        if logged.entry.event.session() == Some(case.session) {
            follower.entry(at, logged);
        }
        follower.commons.take(&logged.entry.event);
    }
    follower.chains.check_enrolled(case, follower.desk);
    let disclosures = &follower.disclosures;
    follower
        .chains
        .check_people(case, follower.desk, disclosures);
    proofs::check_session_proofs(case, follower.desk, &follower.chains);
    follower.done()
}

impl<'c, 'a> Follower<'c, 'a> {
    fn new(case: &'c Case<'a>, desk: &'c mut Desk<'a>) -> Self {
        let members = Members::read(case, desk);
        let policies = Policies::read(case, desk);
        Self {
            case,
            session: Session::new(case.session),
            memory: Memory::default(),
            chains: Chains::default(),
            members,
            policies,
            answers: Answers::default(),
            heard: Heard::default(),
            catalog: None,
            principal: None,
            mission: None,
            commons: Commons::default(),
            disclosures: Vec::new(),
            taken: Vec::new(),
            faults: 0,
            replays: BTreeMap::new(),
            questions: BTreeMap::new(),
            desk,
        }
    }

    fn done(self) -> Followed {
        Followed {
            session: self.session,
            chains: self.chains,
            members: self.members,
            policies: self.policies,
            disclosures: self.disclosures,
            principal: self.principal,
            mission: self.mission,
            replays: self.replays,
            questions: self.questions,
        }
    }
}

impl Follower<'_, '_> {
    fn read_disclosures(&mut self) {
        for (digest, bytes) in self.desk.objects.of_kind(ObjectKind::Disclosure) {
            let read = parse_strict(bytes).ok();
            let read = read.and_then(|value| serde_json::from_value::<Disclosure>(value).ok());
            let read = read.filter(|read| to_canonical(read).is_ok_and(|again| again == bytes));
            let Some(disclosure) = read else {
                let place = Place::File(object_path(digest));
                let text = "not a disclosure in canonical form";
                self.desk
                    .found
                    .add(Axis::Integrity, place, "disclosure_malformed", text);
                continue;
            };
            let commitment = disclosure.commitment();
            let opens = |logged: &Logged| match &logged.entry.event {
                Enrolled::SessionOpen(open) => {
                    open.principal == commitment || open.operator == commitment
                }
                Enrolled::DelegationRoot(root) => {
                    root.session == self.case.session && root.principal == commitment
                }
                _ => false,
            };
            let case = self.case;
            if case.entries().chain(&case.server.entries).any(opens) {
                self.desk.objects.take(digest, ObjectKind::Disclosure);
                self.disclosures.push(disclosure);
            }
        }
    }

    fn check_instance_chains(&mut self) {
        let mut chains = InstanceChains::default();
        for logged in &self.case.gateway.entries {
            if let Err(error) = chains.take(&logged.leaf, &logged.entry.event) {
                let place = self.case.place(logged);
                self.desk
                    .found
                    .add(Axis::Completeness, place, "chain_broken", error.to_string());
            }
        }
        let mut checker = IndexChecker::default();
        for logged in &self.case.gateway.entries {
            if let Err(fault) = checker.take(&logged.leaf, &logged.entry.event) {
                let (place, text) = (self.case.place(logged), fault.to_string());
                self.desk
                    .found
                    .add(Axis::Completeness, place, fault.code(), text);
            }
        }
        for (_, instance) in chains
            .open()
            .filter(|(session, _)| *session == self.case.session)
        {
            let text = format!("{instance} never left");
            self.desk
                .found
                .add(Axis::Completeness, Place::Whole, "chain_open", text);
        }
    }

    fn entry(&mut self, at: usize, logged: &Logged) {
        match &logged.entry.event {
            Enrolled::SessionOpen(open) => self.replay_open(logged, open),
            Enrolled::SessionJoin(join) => self.replay_join(logged, join),
            Enrolled::Decision(decision) => {
                check_alive(
                    self.case,
                    self.desk,
                    &self.members,
                    &decision.instance,
                    logged,
                );
                // A question that nobody answered let nothing pass.
                let passed = decision.outcome == Ruling::Allow;
                if let Some(said) = decision.unenforced.as_ref().filter(|_| passed) {
                    self.note_unenforced(logged, decision, said);
                }
                let replay = self.replay_decision(logged, decision);
                self.replays.insert(logged.leaf.index, replay);
                self.answers.decided(decision);
            }
            Enrolled::SessionEnd(end) if end.reason == EndReason::Killed => {
                self.check_killed(logged);
            }
            Enrolled::SessionVisit(visit) => self.replay_visit(logged, visit),
            Enrolled::ApprovalRequest(request) => self.replay_request(logged, request),
            Enrolled::ApprovalGrant(grant) => self.replay_grant(logged, grant),
            Enrolled::GapDisclose(gap) => {
                self.compare_step(logged, Event::Gap(gap.execution), "gap_differs");
                let about = format!("{} at {}", gap.execution, self.case.place(logged));
                self.desk.found.note(NoteValue::Gap, about);
            }
            Enrolled::Outcome(outcome) if outcome.status == OutcomeStatus::Unknown => {
                self.desk
                    .found
                    .note(NoteValue::UnknownOutcome, outcome.execution.to_string());
            }
            _ => {}
        }
        self.fold(at, logged);
    }

    /// What policy said was not enforced. Said whatever else the replay finds, also where nothing can be
    /// decided again.
    fn note_unenforced(&mut self, logged: &Logged, decision: &Decision, said: &Unenforced) {
        let (request, place) = (&decision.request, self.case.place(logged));
        let about = format!(
            "{}/{} {} at {place}: policy says {} ({})",
            request.server,
            request.name,
            decision.outcome.name(),
            said.outcome.name(),
            said.reason
        );
        self.desk.found.note(NoteValue::Unenforced, about);
    }

    /// A session that was killed has a brake before its end that ends it.
    fn check_killed(&mut self, logged: &Logged) {
        let Some((_, opened)) = self.case.opened() else {
            return;
        };
        let chain = self.chains.known(opened.chain);
        let person = chain.map_or("", |chain| chain.principal().subject.as_str());
        let killed = self.commons.kills(self.case.session, person);
        // What was erased no longer says whose the session was.
        let known = killed || chain.is_none() && self.desk.objects.has_erased();
        let place = self.case.place(logged);
        let text = "the session ended as killed, and no brake of this log ends it";
        let axis = Axis::Completeness;
        self.desk
            .found
            .require(known, axis, &place, "killed_without_brake", text);
    }

    /// Takes the entry into the state, where it follows from it.
    fn fold(&mut self, at: usize, logged: &Logged) {
        if self.faults >= MAX_FAULTS {
            return;
        }
        let session = std::mem::replace(&mut self.session, Session::new(self.case.session));
        match session.fold(&logged.leaf, &logged.entry) {
            Ok(session) => {
                self.session = session;
                self.taken.push((logged.leaf.clone(), at));
            }
            Err(error) => {
                let place = self.case.place(logged);
                let text = error.fault.to_string();
                self.desk
                    .found
                    .add(Axis::Completeness, place, "does_not_follow", text);
                self.faults = self.faults.saturating_add(1);
                // The state before comes back from what was taken so far.
                let entries = self.taken.iter().filter_map(|(leaf, at)| {
                    Some((leaf, &self.case.gateway.entries.get(*at)?.entry))
                });
                if let Ok(session) = Session::replay(self.case.session, entries) {
                    self.session = session;
                }
            }
        }
    }

    /// The session would have enrolled exactly this entry.
    pub(super) fn compare_step(&mut self, logged: &Logged, event: Event, reason: &'static str) {
        let problem = self.difference(logged, event);
        if let Some(text) = problem {
            let place = self.case.place(logged);
            self.desk.found.add(Axis::Scope, place, reason, text);
        }
    }

    fn difference(&self, logged: &Logged, event: Event) -> Option<String> {
        match self.session.clone().step(logged.entry.at, event) {
            Ok((_, effects)) => {
                let mut entries = effects
                    .iter()
                    .filter_map(|effect| effect.entry(&logged.entry.origin));
                let same = entries.any(|entry| entry == logged.entry);
                let text = "what was presented gives another entry";
                (!same).then(|| text.to_owned())
            }
            Err(refused) => Some(format!("the session would refuse it: {}", refused.fault())),
        }
    }

    fn replay_open(&mut self, logged: &Logged, open: &SessionOpen) {
        let (case, place) = (self.case, self.case.place(logged));
        self.read_catalog(open, &place);
        self.read_principal(open, &place);
        let writer = case.trust.log_origin(case.gateway.origin.as_str());
        let own = writer.is_some_and(|origin| open.gateway == *origin.writer.as_str());
        let text = "opened at another gateway than the one whose log this is";
        let axis = Axis::Authenticity;
        self.desk
            .found
            .require(own, axis, &place, "gateway_differs", text);
        self.read_mission(open, &place);
        let found = &mut self.desk.found;
        let known = case
            .server
            .entries
            .iter()
            .any(|known| match &known.entry.event {
                Enrolled::TrustChange(change) => change.version == open.trust,
                _ => false,
            });
        let text = "the server's log has no trust document of that version";
        found.require(known, Axis::Freshness, &place, "trust_unknown", text);
        self.policies.in_force(case, self.desk, open.policy, logged);
        let Some(chain) = self.verified_chain(logged, open.chain, &place) else {
            self.check_left(logged, open.chain, &open.root, &open.instance);
            return;
        };
        self.check_rules(&chain, &place);
        let consent = self.chains.consent(case, self.desk, &chain, &place);
        if consent.is_none() {
            self.desk
                .found
                .note(NoteValue::Asserted, chain.root().jti());
        }
        let join = case.entries().find_map(|logged| match &logged.entry.event {
            Enrolled::SessionJoin(join) if join.instance == open.instance => Some(join),
            _ => None,
        });
        // A mission that is not there or cannot be read is a finding already.
        let Some(mission) = self.mission.clone() else {
            return;
        };
        let (Some(join), Some(principal)) = (join, self.principal.clone()) else {
            let text = "who opened the session is not in it, or not known";
            self.desk
                .found
                .add(Axis::Completeness, place, "opener_unknown", text);
            return;
        };
        let found = self
            .members
            .find(case, self.desk, join, self.catalog.as_ref(), logged);
        let openings = found.into_iter().map(|member| Opening {
            gateway: open.gateway.clone(),
            member,
            chain: (*chain).clone(),
            mission: mission.clone(),
            consent: consent.clone(),
            principal: principal.clone(),
            operator: open.operator,
            policy: open.policy,
            catalog: open.catalog,
            trust: open.trust,
            expires: open.expires,
            budgets: Budgets {
                max_calls: open.max_calls,
                max_cost_micros: open.max_cost_micros,
            },
        });
        let events = openings
            .map(|opening| Event::Open(Box::new(opening)))
            .collect();
        self.compare_any(logged, events, "open_differs");
    }

    /// What was heard without a decision is what the rules in force say of the server.
    fn replay_visit(&mut self, logged: &Logged, visit: &SessionVisit) {
        let case = self.case;
        let Some(policy) = self
            .policies
            .in_force(case, self.desk, visit.policy, logged)
        else {
            return;
        };
        let (instance, server) = (visit.instance.as_str(), visit.server.as_str());
        let open = self.session.as_open();
        match open.and_then(|open| open.visiting(instance, server, &policy)) {
            Some(visiting) => {
                let event = Event::Visit(Box::new(visiting));
                self.compare_step(logged, event, "visit_differs");
            }
            None => {
                let text = "by the rules in force, nothing is to be said of this server";
                let (axis, place) = (Axis::Scope, case.place(logged));
                self.desk.found.add(axis, place, "visit_differs", text);
            }
        }
    }

    fn replay_join(&mut self, logged: &Logged, join: &SessionJoin) {
        let (case, place) = (self.case, self.case.place(logged));
        let instance = join.instance.as_str();
        let first = self
            .commons
            .check_join(join.session, instance, join.agent_key);
        let text = "the instance, or its agent key, joined another session of this log before";
        let (axis, reason) = (Axis::Identity, Reason::JoinedElsewhere.code());
        self.desk
            .found
            .require(first.is_ok(), axis, &place, reason, text);
        let members = self
            .members
            .find(case, self.desk, join, self.catalog.as_ref(), logged);
        self.members.joined(self.desk, join);
        let chain = self.verified_chain(logged, join.chain, &place);
        let (Some(chain), Some(principal)) = (chain, self.principal.clone()) else {
            self.check_left(logged, join.chain, &join.leaf, &join.instance);
            return;
        };
        self.chains.consent(case, self.desk, &chain, &place);
        self.check_rules(&chain, &place);
        let within = self
            .mission
            .as_ref()
            .is_none_or(|mission| chain.root().expires_at() <= mission.expires());
        let text = "the root outlives the mission";
        self.desk
            .found
            .require(within, Axis::Scope, &place, "mission_expiry", text);
        let events = members
            .into_iter()
            .map(|member| {
                let (chain, principal) = ((*chain).clone(), principal.clone());
                Event::Join(Box::new(Joining {
                    member,
                    chain,
                    principal,
                }))
            })
            .collect();
        self.compare_any(logged, events, "join_differs");
    }

    /// A chain that opens or joins keeps the rules of the session's policy, which everybody who joins
    /// is bound to. What vouches for the holder is judged with each call.
    fn check_rules(&mut self, chain: &VerifiedChain, place: &Place) {
        let policy = self.case.opened().map(|(_, open)| open.policy);
        let policy = policy.and_then(|policy| self.policies.bundles.get(&policy));
        // A policy that is not there is a finding already.
        let breach = policy.and_then(|policy| policy.chains().check_chain(chain).err());
        if let Some(breach) = breach {
            self.desk.found.add(
                Axis::Scope,
                place.clone(),
                "rules_broken",
                format!("the operator's rules for chains: {breach}"),
            );
        }
    }

    /// One of the readings gives this entry. Without any there is a finding already.
    fn compare_any(&mut self, logged: &Logged, events: Vec<Event>, reason: &'static str) {
        let mut problem = None;
        for event in events {
            problem = self.difference(logged, event);
            if problem.is_none() {
                return;
            }
        }
        if let Some(text) = problem {
            self.desk
                .found
                .add(Axis::Scope, self.case.place(logged), reason, text);
        }
    }

    fn verified_chain(
        &mut self,
        logged: &Logged,
        digest: chancery_types::Digest,
        place: &Place,
    ) -> Option<Box<VerifiedChain>> {
        match self.chains.present(self.case, self.desk, digest, logged) {
            Presented::Verified(chain) => {
                self.heard.check_chain(self.case, self.desk, &chain, logged);
                Some(chain)
            }
            Presented::Missing => None,
            Presented::Absent => {
                let text = "no chain was presented";
                self.desk
                    .found
                    .add(Axis::Authenticity, place.clone(), "chain_refused", text);
                None
            }
            Presented::Refused(refusal) => {
                let text = format!("the chain does not verify: {refusal}");
                self.desk
                    .found
                    .add(Axis::Authenticity, place.clone(), "chain_refused", text);
                None
            }
        }
    }

    fn read_catalog(&mut self, open: &SessionOpen, place: &Place) {
        let (found, objects) = (&mut self.desk.found, &mut self.desk.objects);
        let Some(bytes) = objects.demand(open.catalog, ObjectKind::Catalog, found, place) else {
            return;
        };
        self.catalog = Catalog::parse(bytes);
        let text = "not a tool catalog in canonical form";
        let file = Place::File(object_path(open.catalog));
        found.require(
            self.catalog.is_some(),
            Axis::Scope,
            &file,
            "catalog_malformed",
            text,
        );
    }

    /// The mission's bytes are those that the session was opened for, and a mission.
    fn read_mission(&mut self, open: &SessionOpen, place: &Place) {
        let (found, objects) = (&mut self.desk.found, &mut self.desk.objects);
        let Some(bytes) = objects.demand(open.mission, ObjectKind::Mission, found, place) else {
            return;
        };
        match Mission::parse(bytes.to_vec()) {
            Ok(mission) => self.mission = Some(mission),
            Err(error) => {
                let file = Place::File(object_path(open.mission));
                found.add(Axis::Scope, file, "mission_malformed", error.to_string());
            }
        }
    }

    fn read_principal(&mut self, open: &SessionOpen, place: &Place) {
        let mut disclosures = self.disclosures.iter();
        let opens = |known: &&Disclosure| known.open(PRINCIPAL, &open.principal).is_ok();
        self.principal = disclosures.find(opens).cloned();
        let text = "no object opens the commitment to the principal";
        let erased = self.desk.objects.has_erased_of(ObjectKind::Disclosure);
        let (axis, holds) = (Axis::Completeness, self.principal.is_some() || erased);
        self.desk
            .found
            .require(holds, axis, place, "principal_undisclosed", text);
    }
}
