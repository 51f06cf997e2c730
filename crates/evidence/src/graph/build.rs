//! From entries to nodes and edges.

mod calls;
mod delegations;
mod revocations;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{
    CallKind, Commitment, DelegationEnrol, DelegationRoot, Disclosure, Event, IdentityIssue, Label,
    PolicyPublish, SessionOpen,
};
use chancery_identity::trust::VerifiedTrust;
use chancery_session::PRINCIPAL;
use chancery_types::id::{ExecutionId, SessionId};
use chancery_types::{Digest, SignatureVerifier, Timestamp, parse_strict};

use revocations::{Marks, Revocations};

use super::grants::Links;
use super::{
    Basis, Called, Edge, Graph, GraphFormat, How, InstanceNode, Node, Over, SessionNode, Subject,
    What,
};
use crate::verify::Logged;
use crate::{EvidenceIndex, Files, INDEX_PATH, ObjectKind};

/// Takes entries in and makes the graph of all that was asked for.
pub(super) struct Builder<'a> {
    links: Links<'a>,
    /// The only session that matters, where one was asked for.
    only: Option<SessionId>,
    nodes: Vec<Node>,
    places: BTreeMap<String, usize>,
    edges: Vec<Edge>,
    once: BTreeSet<OnceKey>,
    disclosures: Vec<Disclosure>,
    roots: BTreeMap<(SessionId, String), (Timestamp, DelegationRoot)>,
    enrolled: BTreeMap<(SessionId, String), (Timestamp, DelegationEnrol)>,
    order: Vec<(SessionId, String)>,
    issued: BTreeMap<Label, IdentityIssue>,
    ended: BTreeMap<Label, Over>,
    policies: BTreeMap<Digest, PolicyPublish>,
    revocations: Revocations,
    marks: BTreeMap<(SessionId, String), Marks>,
    opened: BTreeMap<SessionId, SessionOpen>,
    decided: BTreeMap<ExecutionId, Call>,
    calls: BTreeMap<Call, Called>,
    called: Vec<Call>,
}

/// Session, instance, tool and leaf of the chain that was presented.
type Call = (SessionId, String, String, String);

/// From, to, and what.
type OnceKey = (String, String, &'static str);

impl<'a> Builder<'a> {
    pub(super) fn new(
        files: &'a Files,
        trust: &VerifiedTrust,
        verifier: &'a dyn SignatureVerifier,
        subject: &Subject,
    ) -> Self {
        let links = Links::new(files, trust, verifier);
        Self {
            disclosures: disclosures(files, &links),
            links,
            only: match subject {
                Subject::Session(session) => Some(*session),
                Subject::Person(_) | Subject::Agent(_) => None,
            },
            nodes: Vec::new(),
            places: BTreeMap::new(),
            edges: Vec::new(),
            once: BTreeSet::new(),
            roots: BTreeMap::new(),
            enrolled: BTreeMap::new(),
            order: Vec::new(),
            issued: BTreeMap::new(),
            ended: BTreeMap::new(),
            policies: BTreeMap::new(),
            revocations: Revocations::default(),
            marks: BTreeMap::new(),
            opened: BTreeMap::new(),
            decided: BTreeMap::new(),
            calls: BTreeMap::new(),
            called: Vec::new(),
        }
    }

    pub(super) fn read_server(&mut self, entries: &[Logged]) {
        for logged in entries {
            let at = logged.entry.at;
            match &logged.entry.event {
                Event::PolicyPublish(publish) => {
                    self.policies.insert(publish.policy, publish.clone());
                }
                Event::IdentityIssue(issue) => {
                    self.issued.insert(issue.instance.clone(), issue.clone());
                    if self.only.is_none() {
                        self.instance(&issue.instance);
                    }
                }
                Event::IdentityEnd(end) if end.credentials.is_empty() => {
                    self.ended.entry(end.instance.clone()).or_insert(Over {
                        at,
                        reason: end.reason.to_string(),
                    });
                }
                Event::RevocationAdd(add) => self.revocations.add(add, at),
                Event::RevocationLift(lift) => self.revocations.lift(lift, at),
                Event::EpochRaise(raise) => self.revocations.raise(raise, at),
                Event::DelegationRoot(root) if self.wants(root.session) => {
                    let key = (root.session, root.delegation.to_string());
                    self.order.push(key.clone());
                    self.roots.insert(key, (at, root.clone()));
                }
                _ => {}
            }
        }
    }

    pub(super) fn read_gateway(&mut self, entries: &[Logged]) {
        for logged in entries {
            let event = &logged.entry.event;
            if event.session().is_some_and(|session| !self.wants(session)) {
                continue;
            }
            let at = logged.entry.at;
            match event {
                Event::SessionOpen(open) => {
                    self.opened.insert(open.session, open.clone());
                    self.open(open, at);
                }
                Event::DelegationEnrol(enrol) => {
                    let key = (enrol.session, enrol.delegation.to_string());
                    if !self.roots.contains_key(&key) && !self.enrolled.contains_key(&key) {
                        self.order.push(key.clone());
                    }
                    self.enrolled.insert(key, (at, enrol.clone()));
                }
                Event::SessionJoin(join) => self.join(join, at),
                Event::SessionLeave(leave) => {
                    let over = over(at, leave.reason.name());
                    self.left(&leave.instance, leave.session, over);
                }
                Event::SessionEnd(end) => {
                    let over = over(at, end.reason.name());
                    self.session(end.session, |node| node.ended = Some(over));
                }
                Event::SessionRefuse(refuse) => self.refuse(refuse, at),
                Event::Decision(decision) => self.decide(decision, at),
                Event::Outcome(outcome) => self.outcome(outcome),
                Event::ApprovalRequest(request) => self.ask(request, at),
                Event::ApprovalGrant(grant) => self.answer(grant, at),
                _ => {}
            }
        }
    }

    /// The graph of everything that was read.
    pub(super) fn finish(mut self, subject: Subject, basis: Basis) -> Graph {
        for key in std::mem::take(&mut self.order) {
            self.delegation(&key);
        }
        for call in std::mem::take(&mut self.called) {
            if let Some(called) = self.calls.remove(&call) {
                self.edge(&call.1, &call.2, How::Called(Box::new(called)));
            }
        }
        let ended = std::mem::take(&mut self.ended);
        for node in &mut self.nodes {
            if let What::Instance(instance) = &mut node.what {
                instance.ended = ended.get(instance.instance.as_str()).cloned();
            }
            node.revoked = self.revocations.of(&node.what, &self.marks);
        }
        Graph {
            format: GraphFormat::V1,
            subject,
            basis,
            nodes: self.nodes,
            edges: self.edges,
            unknown: Vec::new(),
        }
    }

    fn wants(&self, session: SessionId) -> bool {
        self.only.is_none_or(|only| only == session)
    }

    /// The place of a node, which is made where it is not there.
    fn node(&mut self, id: &str, what: impl FnOnce() -> What) -> usize {
        if let Some(place) = self.places.get(id) {
            return *place;
        }
        let place = self.nodes.len();
        self.nodes.push(Node {
            id: id.to_owned(),
            what: what(),
            revoked: Vec::new(),
        });
        self.places.insert(id.to_owned(), place);
        place
    }

    fn edge(&mut self, from: &str, to: &str, how: How) {
        self.edges.push(Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            how,
        });
    }

    /// An edge of which there is one between two nodes.
    fn edge_once(&mut self, from: &str, to: &str, how: How) {
        let key = (from.to_owned(), to.to_owned(), how.name());
        if self.once.insert(key) {
            self.edge(from, to, how);
        }
    }

    fn instance(&mut self, name: &Label) -> String {
        let id = format!("instance:{name}");
        if self.places.contains_key(&id) {
            return id;
        }
        let issue = self.issued.get(name).cloned();
        let node = InstanceNode {
            instance: name.to_string(),
            agent: issue.as_ref().map(|issue| issue.agent.to_string()),
            attestation_level: issue
                .as_ref()
                .map(|issue| issue.attestation_level.to_string()),
            isolation: issue.as_ref().map(|issue| issue.isolation.name()),
            ended: None,
        };
        self.node(&id, || What::Instance(Box::new(node)));
        if let Some(issue) = issue {
            let agent = self.agent(&issue.agent, issue.manifest);
            self.edge_once(&id, &agent, How::InstanceOf);
        }
        id
    }

    fn agent(&mut self, name: &Label, manifest: Digest) -> String {
        let id = format!("agent:{name}");
        let place = self.node(&id, || What::Agent {
            agent: name.to_string(),
            manifests: BTreeSet::new(),
        });
        if let Some(What::Agent { manifests, .. }) =
            self.nodes.get_mut(place).map(|node| &mut node.what)
        {
            manifests.insert(manifest);
        }
        id
    }

    fn session(&mut self, session: SessionId, with: impl FnOnce(&mut SessionNode)) -> String {
        let id = format!("session:{session}");
        let empty = SessionNode {
            session,
            gateway: None,
            mission: None,
            opened_at: None,
            ended: None,
        };
        let place = self.node(&id, || What::Session(Box::new(empty)));
        if let Some(What::Session(node)) = self.nodes.get_mut(place).map(|node| &mut node.what) {
            with(node);
        }
        id
    }

    fn policy(&mut self, digest: Digest) -> String {
        let id = format!("policy:{digest}");
        let published = self.policies.get(&digest);
        let what = What::Policy {
            policy: digest,
            name: published.map(|known| known.name.to_string()),
            version: published.map(|known| known.version),
        };
        self.node(&id, || what);
        id
    }

    fn tool(&mut self, server: &str, call: CallKind, name: &str) -> String {
        // A slash in the server's name would let two tools have one id.
        let safe = server.replace('%', "%25").replace('/', "%2F");
        let id = format!("{}:{safe}/{name}", call.name());
        self.node(&id, || What::Tool {
            server: server.to_owned(),
            call,
            name: name.to_owned(),
        });
        id
    }

    /// The person to whom one of these commits: by name where that is disclosed.
    fn person(&mut self, named: Option<&str>, commitments: &[Commitment]) -> String {
        let opened = || {
            let mut known = self.disclosures.iter();
            let opens = |known: &&Disclosure| {
                commitments
                    .iter()
                    .any(|it| known.open(PRINCIPAL, it).is_ok())
            };
            known.find(opens).map(|known| subject_of(&known.value))
        };
        let person = named.map(str::to_owned).or_else(opened);
        let id = match (&person, commitments.first()) {
            (Some(person), _) => format!("person:{person}"),
            (None, Some(first)) => format!("person:commitment:{}", first.as_digest()),
            (None, None) => "person:unknown".to_owned(),
        };
        let place = self.node(&id, || What::Person {
            person,
            commitments: BTreeSet::new(),
        });
        let node = self.nodes.get_mut(place).map(|node| &mut node.what);
        if let Some(What::Person {
            commitments: known, ..
        }) = node
        {
            known.extend(commitments.iter().copied());
        }
        id
    }
}

fn over(at: Timestamp, reason: &str) -> Over {
    let reason = reason.to_owned();
    Over { at, reason }
}

/// The disclosures that the index lists.
fn disclosures(files: &Files, links: &Links<'_>) -> Vec<Disclosure> {
    let index = files.get(INDEX_PATH).and_then(EvidenceIndex::parse);
    let objects = index.map(|index| index.objects).unwrap_or_default();
    let listed = objects
        .iter()
        .filter(|object| object.kind == ObjectKind::Disclosure);
    listed
        .filter_map(|object| {
            let value = parse_strict(links.object(object.digest)?).ok()?;
            serde_json::from_value(value).ok()
        })
        .collect()
}

/// The identifier of the person in a disclosed text.
fn subject_of(text: &str) -> String {
    let read = parse_strict(text.as_bytes()).ok();
    let subject = read.as_ref().and_then(|value| value.get("sub")?.as_str());
    subject.unwrap_or(text).to_owned()
}
