//! The tree of a graph, nothing folded.

use std::collections::{BTreeMap, BTreeSet};

use chancery_types::id::SessionId;

use super::{Asked, Branch, Granted, Mission, Revocations, Someone, Terms, Use};
use crate::graph::{
    Called, DelegationNode, Edge, Graph, How, InstanceNode, MayCall, Revoked, SessionNode, What,
};

type Name<'g> = (SessionId, &'g str);

/// What is found in a graph by name.
struct Finder<'g> {
    graph: &'g Graph,
    nodes: BTreeMap<&'g str, &'g What>,
    revoked: BTreeMap<&'g str, &'g [Revoked]>,
    delegations: BTreeMap<Name<'g>, (&'g str, &'g DelegationNode)>,
    below: BTreeMap<Name<'g>, Vec<Name<'g>>>,
    from: BTreeMap<&'g str, Vec<&'g Edge>>,
    to: BTreeMap<&'g str, Vec<&'g Edge>>,
}

pub(super) fn grow(graph: &Graph) -> Vec<Mission> {
    let finder = Finder::new(graph);
    let mut missions: Vec<Mission> = graph
        .nodes
        .iter()
        .filter_map(|node| match &node.what {
            What::Session(session) => Some(finder.mission(&node.id, session)),
            _ => None,
        })
        .collect();
    let outside = finder.outside();
    if !outside.is_empty() {
        missions.push(Mission {
            branches: outside,
            ..Mission::default()
        });
    }
    missions
}

impl<'g> Finder<'g> {
    fn new(graph: &'g Graph) -> Self {
        let mut finder = Self {
            graph,
            nodes: BTreeMap::new(),
            revoked: BTreeMap::new(),
            delegations: BTreeMap::new(),
            below: BTreeMap::new(),
            from: BTreeMap::new(),
            to: BTreeMap::new(),
        };
        for node in &graph.nodes {
            finder.nodes.insert(&node.id, &node.what);
            finder.revoked.insert(&node.id, &node.revoked);
            if let What::Delegation(known) = &node.what {
                let name = (known.session, known.delegation.as_str());
                finder.delegations.insert(name, (&node.id, known));
                if let Some(parent) = &known.parent {
                    let above = (known.session, parent.as_str());
                    finder.below.entry(above).or_default().push(name);
                }
            }
        }
        for edge in &graph.edges {
            finder.from.entry(&edge.from).or_default().push(edge);
            finder.to.entry(&edge.to).or_default().push(edge);
        }
        finder
    }

    fn edges_from(&self, id: &str) -> impl Iterator<Item = &'g Edge> {
        self.from.get(id).into_iter().flatten().copied()
    }

    fn edges_to(&self, id: &str) -> impl Iterator<Item = &'g Edge> {
        self.to.get(id).into_iter().flatten().copied()
    }

    fn mission(&self, id: &str, session: &SessionNode) -> Mission {
        let mut mission = Mission {
            sessions: vec![session.session.to_string()],
            opened: session.opened_at.map(|at| (at, at)),
            missions: session.mission.iter().map(ToString::to_string).collect(),
            revoked: self.revoked([id]),
            ..Mission::default()
        };
        let end = match (&session.ended, session.opened_at) {
            (Some(over), _) => over.reason.clone(),
            (None, Some(_)) => "no end in the log".to_owned(),
            (None, None) => "never opened".to_owned(),
        };
        mission.ends.insert(end, 1);
        for edge in self.edges_to(id) {
            if let (
                How::Governs,
                Some(What::Policy {
                    policy,
                    name,
                    version,
                }),
            ) = (&edge.how, self.nodes.get(edge.from.as_str()))
            {
                let text = match (name, version) {
                    (Some(name), Some(version)) => format!("{name} version {version}"),
                    _ => policy.to_string(),
                };
                mission.policies.insert(text);
            }
        }
        let mut held = BTreeSet::new();
        for (name, (node, known)) in &self.delegations {
            let orphan = known
                .parent
                .as_deref()
                .is_none_or(|parent| !self.delegations.contains_key(&(name.0, parent)));
            if known.session == session.session && orphan {
                let person = self.consented(node);
                let gone = person.as_ref().is_some_and(|one| one.revoked.stands());
                let mut branch = self.branch(*name, node, known, &mut held);
                branch.fall(gone || mission.revoked.stands());
                mission.person = mission.person.or(person);
                mission.branches.push(branch);
            }
        }
        // In the order of the logs, not of the names.
        let place = |branch: &Branch| {
            let first = branch.grants.first().map(|grant| grant.id.as_str());
            self.graph
                .nodes
                .iter()
                .position(|node| Some(node.id.as_str()) == first)
        };
        mission.branches.sort_by_key(place);
        mission
            .branches
            .extend(self.strays(id, session.session, &held));
        mission
    }

    fn consented(&self, root: &str) -> Option<Someone> {
        self.edges_to(root).find_map(|edge| {
            let How::Consents { assurance, .. } = edge.how else {
                return None;
            };
            let What::Person { person, .. } = self.nodes.get(edge.from.as_str())? else {
                return None;
            };
            Some(Someone {
                id: edge.from.clone(),
                name: person.clone(),
                assurance: assurance.name(),
                revoked: self.revoked([edge.from.as_str()]),
            })
        })
    }

    fn branch(
        &self,
        name: Name<'g>,
        id: &'g str,
        known: &'g DelegationNode,
        held: &mut BTreeSet<String>,
    ) -> Branch {
        let holder = format!("instance:{}", known.delegate);
        let again = !held.insert(holder.clone());
        let mut branch = self.of_instance(&holder, known.session);
        branch.path = format!("{}/{}", known.session, known.delegation);
        branch.grants = vec![Granted {
            id: id.to_owned(),
            name: known.delegation.clone(),
        }];
        branch.depth = known.depth;
        branch.expires = Some((known.expires, known.expires));
        branch.unknown = known.unknown.clone();
        branch.revoked = self.revoked([id]);
        let deepest = known.grants.as_ref().map(|grants| grants.max_depth);
        branch.further = deepest.map(|deepest| deepest.saturating_sub(known.depth));
        branch.authorities = self
            .edges_to(id)
            .filter(|edge| matches!(edge.how, How::Signs))
            .filter_map(|edge| edge.from.strip_prefix("authority:").map(str::to_owned))
            .collect();
        branch.tools = self.uses(&holder, known.session, |leaf, own| {
            leaf == known.delegation || !own && !again
        });
        for below in self.below.get(&name).into_iter().flatten() {
            if let Some((id, known)) = self.delegations.get(below) {
                branch.below.push(self.branch(*below, id, known, held));
            }
        }
        branch
    }

    /// What of these nodes was revoked.
    fn revoked<'n>(&self, nodes: impl IntoIterator<Item = &'n str>) -> Revocations {
        let mut found = Revocations::default();
        for node in nodes {
            found.add(self.revoked.get(node).copied().unwrap_or_default());
        }
        found
    }

    fn holder_revoked(&self, id: &str, agent: Option<&str>) -> Revocations {
        let agent = agent.map(|agent| format!("agent:{agent}"));
        self.revoked([id].into_iter().chain(agent.as_deref()))
    }

    /// What is known of an instance in a session.
    fn of_instance(&self, id: &str, session: SessionId) -> Branch {
        let mut branch = Branch::default();
        let Some(What::Instance(instance)) = self.nodes.get(id).copied() else {
            return branch;
        };
        let InstanceNode {
            instance: name,
            agent,
            ended,
            ..
        } = instance.as_ref();
        branch.instances.push(name.clone());
        branch.agents.extend(agent.clone());
        branch.holder_revoked = self.holder_revoked(id, agent.as_deref());
        let here = format!("session:{session}");
        let mut left = None;
        for edge in self.edges_from(id).filter(|edge| edge.to == here) {
            match &edge.how {
                How::Joined { left: gone, .. } => {
                    branch.joined = 1;
                    left = gone.as_ref().map(|over| over.reason.clone());
                }
                How::Refused { reasons, .. } => branch.refused.clone_from(reasons),
                _ => {}
            }
        }
        let state = match (branch.joined, left, ended) {
            (0, ..) if !branch.refused.is_empty() => "refused".to_owned(),
            (0, ..) => "never joined".to_owned(),
            (_, Some(reason), _) => format!("left: {reason}"),
            (_, None, Some(over)) => format!("ended: {}", over.reason),
            (_, None, None) => "no end in the log".to_owned(),
        };
        branch.ends.insert(state, 1);
        branch
    }

    /// Whoever called or knocked in the session without holding a delegation of it.
    fn strays(&self, id: &str, session: SessionId, held: &BTreeSet<String>) -> Vec<Branch> {
        let mut seen = BTreeSet::new();
        let came = self.graph.edges.iter().filter(|edge| match &edge.how {
            How::Called(called) => called.session == session,
            How::Joined { .. } | How::Refused { .. } => edge.to == id,
            _ => false,
        });
        let mut strays = Vec::new();
        for edge in came {
            if held.contains(&edge.from) || !seen.insert(edge.from.as_str()) {
                continue;
            }
            let mut branch = self.of_instance(&edge.from, session);
            branch.path = format!("{session}/{}", edge.from);
            branch.tools = self.uses(&edge.from, session, |_, _| true);
            strays.push(branch);
        }
        strays
    }

    /// Instances that are shown and were in no session.
    fn outside(&self) -> Vec<Branch> {
        let alone = self.graph.nodes.iter().filter_map(|node| match &node.what {
            What::Instance(instance) => Some((node, instance)),
            _ => None,
        });
        alone
            .filter(|(node, _)| {
                let tied = |edge: &Edge| !matches!(edge.how, How::InstanceOf);
                !self.edges_from(&node.id).any(tied) && !self.edges_to(&node.id).any(tied)
            })
            .map(|(node, instance)| {
                let state = match &instance.ended {
                    Some(over) => format!("ended: {}", over.reason),
                    None => "no end in the log".to_owned(),
                };
                Branch {
                    path: node.id.clone(),
                    agents: instance.agent.iter().cloned().collect(),
                    instances: vec![instance.instance.clone()],
                    ends: BTreeMap::from([(state, 1)]),
                    holder_revoked: self.holder_revoked(&node.id, instance.agent.as_deref()),
                    ..Branch::default()
                }
            })
            .collect()
    }

    /// The tools that an instance could call or called in a session, by the delegations for which
    /// `shown` answers so; it is asked with a delegation and whether the instance holds that.
    fn uses(
        &self,
        instance: &str,
        session: SessionId,
        shown: impl Fn(&str, bool) -> bool,
    ) -> Vec<Use> {
        let holds = |leaf: &str| {
            let known = self.delegations.get(&(session, leaf));
            known.is_some_and(|(_, known)| instance == format!("instance:{}", known.delegate))
        };
        let mut uses: Vec<Use> = Vec::new();
        for edge in self.edges_from(instance) {
            match &edge.how {
                How::MayCall(may) if may.session == session && shown(&may.delegation, true) => {
                    if let Some(one) = self.found(&mut uses, &edge.to) {
                        one.could_call(may);
                    }
                }
                How::Called(called)
                    if called.session == session
                        && shown(&called.delegation, holds(&called.delegation)) =>
                {
                    if let Some(one) = self.found(&mut uses, &edge.to) {
                        one.did_call(called);
                    }
                }
                How::Asked {
                    session: here,
                    delegation,
                } if *here == session && shown(delegation, holds(delegation)) => {
                    self.asked(&mut uses, &edge.to);
                }
                _ => {}
            }
        }
        uses
    }

    fn asked(&self, uses: &mut Vec<Use>, approval: &str) {
        let about = self
            .edges_from(approval)
            .find(|edge| matches!(edge.how, How::About));
        let Some(one) = about.and_then(|edge| self.found(uses, &edge.to)) else {
            return;
        };
        let answer = self.edges_to(approval).find_map(|edge| match edge.how {
            How::Answered { verdict, .. } => {
                let person = edge.from.strip_prefix("person:").unwrap_or(&edge.from);
                Some((person.to_owned(), verdict))
            }
            _ => None,
        });
        let approval = approval.strip_prefix("approval:").map(str::to_owned);
        one.approvals.insert(Asked { answer, approval }, 1);
    }

    fn found<'u>(&self, uses: &'u mut Vec<Use>, id: &str) -> Option<&'u mut Use> {
        let What::Tool { server, call, name } = self.nodes.get(id)? else {
            return None;
        };
        let place = uses.iter().position(|known| known.id == id);
        let place = place.unwrap_or_else(|| {
            uses.push(Use::new(id, server, *call, name));
            uses.len().saturating_sub(1)
        });
        uses.get_mut(place)
    }
}

impl Branch {
    /// Says of the branch, and of what is below it, whether something above is revoked.
    fn fall(&mut self, above: bool) {
        self.fallen = above;
        let below = above || self.revoked.stands() || self.holder_revoked.stands();
        for branch in &mut self.below {
            branch.fall(below);
        }
    }
}

impl Use {
    fn new(id: &str, server: &str, call: chancery_audit::CallKind, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            server: server.to_owned(),
            call,
            name: name.to_owned(),
            could: 0,
            forbidden: false,
            ask: false,
            terms: BTreeSet::new(),
            callers: 0,
            allowed: 0,
            unenforced: 0,
            denied: 0,
            escalated: 0,
            denied_for: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            last: None,
            approvals: BTreeMap::new(),
        }
    }

    fn could_call(&mut self, may: &MayCall) {
        self.could = 1;
        // Several entries for one tool: the freest says what could be done.
        self.forbidden = may.forbidden;
        self.ask |= may.ask;
        self.terms.insert(Terms::of(&may.args, may.limits.as_ref()));
    }

    fn did_call(&mut self, called: &Called) {
        self.callers = 1;
        self.allowed = self.allowed.saturating_add(called.allowed);
        self.unenforced = self.unenforced.saturating_add(called.unenforced);
        self.denied = self.denied.saturating_add(called.denied);
        self.escalated = self.escalated.saturating_add(called.escalated);
        add(&mut self.denied_for, &called.denied_for);
        add(&mut self.outcomes, &called.outcomes);
        self.last = self.last.max(Some(called.last));
    }
}

pub(super) fn add<K: Ord + Clone>(to: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        let known = to.entry(key.clone()).or_default();
        *known = known.saturating_add(*count);
    }
}
