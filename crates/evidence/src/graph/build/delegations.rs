use chancery_audit::{Assurance, CallKind, Commitment, Label};
use chancery_delegation::{Entry, Target, VerifiedChain};
use chancery_types::Digest;
use chancery_types::id::SessionId;

use super::Builder;
use super::revocations::Marks;
use crate::graph::grants::covers;
use crate::graph::{DelegationNode, Grants, How, MayCall, What};

/// Most links above one that are followed.
const MAX_DEPTH: usize = 16;

impl Builder<'_> {
    /// Adds the delegation of that name, what it grants, and to whom.
    pub(super) fn delegation(&mut self, key: &(SessionId, String)) {
        let (session, name) = key;
        let root = self.roots.get(key).cloned();
        let enrolled = self.enrolled.get(key).cloned();
        let (delegate, expires, link, depth, parent) = match (&enrolled, &root) {
            (Some((_, enrol)), _) => (
                enrol.delegate.clone(),
                enrol.expires,
                enrol.link,
                enrol.depth,
                enrol.parent.as_ref().map(Label::to_string),
            ),
            (None, Some((_, root))) => (root.delegate.clone(), root.expires, root.link, 0, None),
            (None, None) => return,
        };
        let chain = self.chain_of(key);
        let id = delegation_id(*session, name);
        let grants = chain.as_ref().ok().map(grants_of);
        let marks = Marks {
            epoch: root.as_ref().map(|(_, root)| root.epoch),
            standing: root.as_ref().and_then(|(_, root)| root.standing),
            key: chain
                .as_ref()
                .ok()
                .map(|chain| chain.leaf_key().thumbprint()),
        };
        self.marks.insert(key.clone(), marks);
        let node = DelegationNode {
            delegation: name.clone(),
            session: *session,
            depth,
            parent: parent.clone(),
            delegate: delegate.to_string(),
            expires,
            link,
            used: enrolled.is_some(),
            grants,
            unknown: chain.as_ref().err().cloned(),
        };
        self.node(&id, || What::Delegation(Box::new(node)));
        let holder = self.instance(&delegate);
        self.edge(&id, &holder, How::HeldBy);
        let session_id = self.session(*session, |node| {
            if let Some((_, root)) = &root {
                node.mission.get_or_insert(root.mission);
            }
        });
        self.edge(&id, &session_id, How::Within);
        if depth == 0 {
            self.consented(key, &id, chain.as_ref().ok());
        } else if let Some((_, enrol)) = &enrolled {
            let from = self.instance(&enrol.delegator);
            self.edge(&from, &id, How::Delegates);
        }
        if let Ok(chain) = &chain {
            self.may_call(&holder, key, chain);
        }
    }

    /// The person who consented to a root, and the authority that signed it.
    fn consented(&mut self, key: &(SessionId, String), id: &str, chain: Option<&VerifiedChain>) {
        let root = self.roots.get(key).cloned();
        let opened = self
            .opened
            .get(&key.0)
            .filter(|open| open.root == *key.1.as_str());
        let mut commitments: Vec<Commitment> = Vec::new();
        commitments.extend(root.as_ref().map(|(_, root)| root.principal));
        commitments.extend(opened.map(|open| open.principal));
        let named = chain.map(|chain| chain.principal().subject.clone());
        let enrolled = self.enrolled.get(key).cloned();
        let at = match (&root, &enrolled) {
            (Some((at, _)), _) | (None, Some((at, _))) => *at,
            (None, None) => return,
        };
        let person = self.person(named.as_deref(), &commitments);
        let assurance = root.map_or(Assurance::Asserted, |(_, root)| root.assurance);
        self.edge(&person, id, How::Consents { assurance, at });
        let authority = enrolled
            .map(|(_, enrol)| enrol.delegator.to_string())
            .or_else(|| chain.map(|chain| chain.authority().to_owned()));
        if let Some(authority) = authority {
            let from = format!("authority:{authority}");
            self.node(&from, || What::Authority { authority });
            self.edge(&from, id, How::Signs);
        }
    }

    /// The verified chain down to that delegation, as it stood when the delegation was enrolled.
    fn chain_of(&self, key: &(SessionId, String)) -> Result<VerifiedChain, String> {
        let mut links: Vec<Digest> = Vec::new();
        let mut next = Some(key.clone());
        let mut root = None;
        while let Some(key) = next {
            let enrolled = self.enrolled.get(&key).map(|(_, enrol)| enrol);
            let own = enrolled.map(|enrol| enrol.link);
            let signed = self.roots.get(&key).map(|(_, root)| root);
            let link = own.or(signed.map(|root| root.link));
            links.push(link.ok_or("a link above it is not in the log")?);
            next = enrolled
                .and_then(|enrol| enrol.parent.as_ref())
                .map(|parent| (key.0, parent.to_string()));
            root = signed;
            if links.len() > MAX_DEPTH {
                return Err("its chain does not end".to_owned());
            }
        }
        links.reverse();
        let epoch = root.ok_or("the server's log does not have its root")?.epoch;
        let gateway = self.opened.get(&key.0).map(|open| open.gateway.as_str());
        let seen = self.enrolled.get(key).map(|(at, _)| *at);
        let issued = self.roots.get(key).map(|(at, _)| *at);
        let at = seen
            .or(issued)
            .unwrap_or(chancery_types::Timestamp::from_micros(0));
        self.links.chain(&links, gateway, epoch, at)
    }

    /// What the chain covers: the entries of its leaf, under what all of its links forbid and ask.
    fn may_call(&mut self, holder: &str, key: &(SessionId, String), chain: &VerifiedChain) {
        let restrictions = |of: fn(&chancery_delegation::Grant) -> &Vec<Entry>, entry: &Entry| {
            let all = chain.links().flat_map(|link| of(link.grant()));
            all.filter_map(|known| covers(known, entry)).max()
        };
        for entry in chain.leaf().entries() {
            let json = entry.to_json();
            let (kind, target) = match entry.target() {
                Target::Tool(name) => (CallKind::Tool, name),
                Target::Resource(uri) => (CallKind::Resource, uri),
                Target::Prompt(name) => (CallKind::Prompt, name),
            };
            let server = Label::or_digest(entry.server());
            let tool = self.tool(server.as_str(), kind, Label::or_digest(target).as_str());
            let args = json.get("args").and_then(serde_json::Value::as_object);
            let args = args.into_iter().flatten();
            let may = MayCall {
                session: key.0,
                delegation: key.1.clone(),
                args: args
                    .map(|(name, held)| (name.clone(), held.clone()))
                    .collect(),
                limits: json.get("limits").cloned(),
                forbidden: restrictions(|grant| &grant.forbid, entry) == Some(true),
                ask: restrictions(|grant| &grant.ask, entry).is_some(),
            };
            self.edge(holder, &tool, How::MayCall(Box::new(may)));
        }
    }
}

pub(super) fn delegation_id(session: SessionId, name: &str) -> String {
    format!("delegation:{session}:{name}")
}

fn grants_of(chain: &VerifiedChain) -> Grants {
    let leaf = chain.leaf().grant();
    let list = |entries: &[Entry]| entries.iter().map(Entry::to_json).collect();
    Grants {
        max_depth: leaf.max_depth,
        entries: list(&leaf.entries),
        forbid: list(&leaf.forbid),
        ask: list(&leaf.ask),
    }
}
