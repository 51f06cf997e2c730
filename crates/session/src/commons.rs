//! What all sessions of one gateway share.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{BrakeMode, BrakeOn, Event, Label, Ruling};
use chancery_types::Digest;
use chancery_types::id::SessionId;

use crate::Reason;

/// How a log names the brake on every call.
pub const EVERYWHERE: &str = "everywhere";

/// The reason that suspends a session.
pub(crate) const BREADTH_LIMIT: &str = "breadth_limit";

/// What the sessions of one gateway share: the stores that hold content of untrusted sources, who
/// joined where, the brakes, and which sessions are observed. A fold over all entries of the gateway's
/// log in their order, so that whoever has the log has the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commons {
    tainted: BTreeSet<Label>,
    /// Whether entries are missing that may have tainted a store.
    is_cut: bool,
    /// The one session that each instance, and each agent key, joined.
    members: BTreeMap<Label, SessionId>,
    keys: BTreeMap<Digest, SessionId>,
    brakes: BTreeMap<(BrakeOn, Label), BrakeMode>,
    /// The sessions that the operator has observed, each with the bundle that it was said under.
    observed: BTreeMap<SessionId, Digest>,
}

/// What brakes are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Braked<'a> {
    /// The person at the root, by a pseudonymous id.
    pub person: &'a str,
    /// The session.
    pub session: SessionId,
    /// The agent.
    pub agent: &'a str,
    /// The SPIFFE ID of the instance.
    pub instance: &'a str,
    /// The server and what is called there, where a call is meant.
    pub call: Option<(&'a str, &'a str)>,
}

impl Commons {
    /// Takes the next entry of the log. Total: an entry that says nothing of these changes nothing.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Decision(decision) => {
                let facts = decision.facts.as_ref();
                if let Some(facts) = facts.filter(|_| decision.outcome == Ruling::Allow) {
                    self.tainted.extend(facts.taints.iter().cloned());
                }
                if decision.outcome == Ruling::Deny && decision.reason == *BREADTH_LIMIT {
                    let session = Label::or_digest(&decision.session.to_string());
                    self.brakes
                        .entry((BrakeOn::Session, session))
                        .or_insert(BrakeMode::Pause);
                }
            }
            Event::SessionJoin(join) => {
                self.members
                    .entry(join.instance.clone())
                    .or_insert(join.session);
                self.keys.entry(join.agent_key).or_insert(join.session);
            }
            Event::LogSucceed(_) => self.is_cut = true,
            Event::BrakeSet(set) => {
                let mode = self
                    .brakes
                    .entry((set.on, set.name.clone()))
                    .or_insert(set.mode);
                *mode = (*mode).max(set.mode);
            }
            Event::BrakeRelease(release) => {
                let key = (release.on, release.name.clone());
                if self.brakes.get(&key) == Some(&BrakeMode::Pause) {
                    self.brakes.remove(&key);
                }
            }
            Event::ObserveSet(set) => {
                self.observed.insert(set.session, set.policy);
            }
            Event::ObserveEnd(end) => {
                self.observed.remove(&end.session);
            }
            // What ended needs no brake any more.
            Event::SessionEnd(end) => {
                self.observed.remove(&end.session);
                let session = Label::or_digest(&end.session.to_string());
                self.brakes.remove(&(BrakeOn::Session, session));
            }
            _ => {}
        }
    }

    /// Whether a store holds content of an untrusted source. Where a part of the log is missing, every
    /// store may.
    pub fn is_tainted(&self, store: &str) -> bool {
        self.is_cut || self.tainted.contains(store)
    }

    /// Whether an instance may join a session: it and its agent key are in one session for their life,
    /// so that neither taint, nor lost trust, nor a spent budget, nor a brake is left behind by joining
    /// another.
    pub fn check_join(
        &self,
        session: SessionId,
        instance: &str,
        agent_key: Digest,
    ) -> Result<(), Reason> {
        let joined = [self.members.get(instance), self.keys.get(&agent_key)];
        match joined.into_iter().flatten().all(|known| *known == session) {
            true => Ok(()),
            false => Err(Reason::JoinedElsewhere),
        }
    }

    /// Whether the operator has a session observed under this bundle; under another one it has lapsed. That
    /// alone lets nothing pass: the bundle must let sessions be observed.
    pub fn is_observed(&self, session: SessionId, policy: Digest) -> bool {
        self.observed.get(&session) == Some(&policy)
    }

    /// The stores that hold content of untrusted sources.
    pub fn tainted(&self) -> impl Iterator<Item = &Label> {
        self.tainted.iter()
    }

    /// How hard the brake is that is on this by name, if there is one.
    pub fn brake(&self, on: BrakeOn, name: &Label) -> Option<BrakeMode> {
        self.brakes.get(&(on, name.clone())).copied()
    }

    /// The brakes in force.
    pub fn brakes(&self) -> impl Iterator<Item = (BrakeOn, &Label, BrakeMode)> {
        self.brakes
            .iter()
            .map(|((on, name), mode)| (*on, name, *mode))
    }

    /// Whether a brake ends the whole session of this person.
    pub fn kills(&self, session: SessionId, person: &str) -> bool {
        let session = session.to_string();
        let keys = [
            (BrakeOn::Everywhere, EVERYWHERE),
            (BrakeOn::Person, person),
            (BrakeOn::Session, session.as_str()),
        ];
        keys.into_iter()
            .any(|(on, name)| self.brake(on, &Label::or_digest(name)) == Some(BrakeMode::Kill))
    }

    /// The brakes that stop this, as a log names them; empty where none does.
    pub fn stopping(&self, what: &Braked<'_>) -> Vec<Label> {
        self.keys(what)
            .into_iter()
            .filter(|key| self.brakes.contains_key(key))
            .map(|(on, name)| Label::or_digest(&format!("brake:{}:{name}", on.name())))
            .collect()
    }

    /// The brakes that could be on this; none where there is no brake at all.
    fn keys(&self, what: &Braked<'_>) -> Vec<(BrakeOn, Label)> {
        if self.brakes.is_empty() {
            return Vec::new();
        }
        let session = what.session.to_string();
        let tool = what.call.map(|(server, name)| format!("{server}/{name}"));
        let keys = [
            (BrakeOn::Everywhere, Some(EVERYWHERE)),
            (BrakeOn::Person, Some(what.person)),
            (BrakeOn::Session, Some(session.as_str())),
            (BrakeOn::Agent, Some(what.agent)),
            (BrakeOn::Instance, Some(what.instance)),
            (BrakeOn::Tool, tool.as_deref()),
        ];
        keys.into_iter()
            .filter_map(|(on, name)| Some((on, Label::or_digest(name?))))
            .collect()
    }
}
