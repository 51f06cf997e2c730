//! Synthetic logs for graphs: real entries, checkpoints, roots and links, of as many instances as a
//! test asks for. No session machine decided what stands in them.

use std::collections::BTreeMap;

use chancery_audit::*;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    ChainTip, Entry as Grantable, LinkDraft, PersonDraft, RootDraft, Terms as LinkTerms,
};
use chancery_evidence::{Files, object_path};
use chancery_identity::SpiffeId;
use chancery_identity::trust::VerifiedTrust;
use chancery_types::id::{ApprovalId, ExecutionId, Id, InstanceKind, Kind, SessionId};
use chancery_types::{Algorithm, Digest, Timestamp};
use serde_json::{Value, json};

use crate::log_writer::Log;
use crate::scene::{AUTHORITY, GATEWAY, Signers, at, id, key, person, trust};

pub(crate) struct Mesh {
    pub(crate) signers: Signers,
    pub(crate) trust: VerifiedTrust,
    pub(crate) gateway: Log,
    pub(crate) server: Log,
    pub(crate) objects: BTreeMap<Digest, Vec<u8>>,
    pub(crate) session: SessionId,
    /// That of the next root.
    pub(crate) mission: Digest,
    /// What the next delegation forbids and asks.
    pub(crate) forbid: Vec<Value>,
    pub(crate) ask: Vec<Value>,
    numbers: u32,
    micros: u64,
    chains: BTreeMap<String, Vec<String>>,
    links: BTreeMap<String, (u64, Option<LeafRef>)>,
}

/// An instance with its key and the delegation that it holds.
pub(crate) struct Holder {
    pub(crate) name: SpiffeId,
    pub(crate) key: SigningKey,
    pub(crate) jti: String,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        let signers = Signers::new();
        let trust = trust(&signers);
        let mut mesh = Self {
            trust,
            signers,
            gateway: Log::new("example.org/log/gateway"),
            server: Log::new("example.org/log/server"),
            objects: BTreeMap::new(),
            session: id(1),
            mission: Digest::of("mission"),
            forbid: Vec::new(),
            ask: Vec::new(),
            numbers: 0,
            micros: 0,
            chains: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        let change = TrustChange {
            version: mesh.trust.version,
            document: mesh.trust.digest(),
            signers: Vec::new(),
            previous: None,
        };
        mesh.server.append(at(0), change.into());
        let publish = PolicyPublish {
            name: Label::or_digest("books"),
            version: 3,
            policy: Digest::of("policy"),
            signer: Digest::of("signer"),
            statement: Digest::of("statement"),
            previous: None,
            cosigners: None,
        };
        mesh.server.append(at(0), publish.into());
        mesh
    }

    pub(crate) fn files(&self) -> Files {
        let mut files = Files::new();
        self.gateway
            .write("log/gateway", &self.signers.gateway, &mut files);
        self.server
            .write("log/server", &self.signers.server, &mut files);
        for (digest, bytes) in &self.objects {
            files.insert(object_path(*digest), bytes.clone());
        }
        files
    }

    pub(crate) fn number<K: Kind>(&mut self) -> Id<K> {
        self.numbers += 1;
        let mut bits = [0x5a; 16];
        bits[..4].copy_from_slice(&(self.numbers.wrapping_mul(0x9e37_79b9)).to_be_bytes());
        bits[12..].copy_from_slice(&self.numbers.to_be_bytes());
        Id::from_random(bits)
    }

    /// An instance of an agent, issued by the server.
    fn instance(&mut self, agent: &str) -> (SpiffeId, SigningKey) {
        let agent = format!("spiffe://example.org/agent/{agent}");
        let name = format!("{agent}/instance/{}", self.number::<InstanceKind>());
        let issue = IdentityIssue {
            agent: Label::or_digest(&agent),
            instance: Label::or_digest(&name),
            credentials: Vec::new(),
            manifest: Digest::of(&agent),
            attestation_level: Label::or_digest("launch"),
            isolation: Isolation::Isolated,
            evidence: Digest::of("evidence"),
            executable: Digest::of("executable"),
            node: Label::or_digest("spiffe://example.org/service/node"),
            renewal: false,
            expires: at(3_000),
            launch: None,
            operator: None,
            broker: None,
            dns_names: None,
        };
        self.server.append(at(0), issue.into());
        (name.parse().unwrap(), key(Algorithm::Ed25519))
    }

    fn terms(&self, name: &SpiffeId, key: &SigningKey, jti: &str, entries: &[Value]) -> LinkTerms {
        let read = |entries: &[Value]| -> Vec<Grantable> {
            let entries = entries.iter().map(|entry| Grantable::parse(entry).unwrap());
            entries.collect()
        };
        LinkTerms {
            subject: name.clone(),
            key: *key.public(),
            audience: None,
            issued_at: at(0),
            not_before: at(0),
            expires_at: at(2_000),
            jti: jti.to_owned(),
            max_depth: 3,
            entries: read(entries),
            forbid: read(&self.forbid),
            ask: read(&self.ask),
        }
    }

    /// A person consents to a root for a new instance, which opens the session.
    pub(crate) fn root(&mut self, agent: &str, entries: &[Value]) -> Holder {
        let (name, own) = self.instance(agent);
        let jti = format!("root-{}", self.session);
        let draft = RootDraft {
            issuer: AUTHORITY.to_owned(),
            terms: LinkTerms {
                audience: Some(vec![GATEWAY.to_owned()]),
                ..self.terms(&name, &own, &jti, entries)
            },
            sid: self.session.to_string(),
            epoch: 1,
            person: PersonDraft {
                issuer: AUTHORITY.to_owned(),
                subject: person().to_string(),
                acr: "passkey".to_owned(),
                authenticated_at: at(0),
                standing: None,
            },
            mission: self.mission,
        };
        let authority = &self.signers.authority;
        let token = draft
            .sign(
                Digest::of("consent"),
                authority.public(),
                &AwsLc,
                &|bytes| authority.sign(bytes),
            )
            .unwrap();
        let root = DelegationRoot {
            delegation: Label::or_digest(&jti),
            link: Digest::of(&token),
            session: self.session,
            delegate: Label::or_digest(name.as_str()),
            principal: self.commitment(1),
            mission: self.mission,
            assurance: Assurance::Consent,
            consent: Digest::of("consent"),
            epoch: 1,
            expires: at(2_000),
            standing: None,
            standing_use: None,
        };
        self.server.append(at(0), root.into());
        let open = SessionOpen {
            session: self.session,
            gateway: Label::or_digest(GATEWAY),
            agent: Label::or_digest(&format!("spiffe://example.org/agent/{agent}")),
            instance: Label::or_digest(name.as_str()),
            manifest: Digest::of("manifest"),
            chain: Digest::of(&token),
            root: Label::or_digest(&jti),
            principal: self.commitment(2),
            operator: self.commitment(3),
            mission: self.mission,
            assurance: Assurance::Consent,
            policy: Digest::of("policy"),
            catalog: Digest::of("catalog"),
            trust: 1,
            expires: at(2_000),
            max_calls: None,
            max_cost_micros: None,
            approver: None,
        };
        self.log(open.into());
        let holder = Holder {
            name,
            key: own,
            jti,
        };
        self.keep(&holder, vec![token], AUTHORITY, None);
        self.join(&holder, agent);
        holder
    }

    fn commitment(&self, salt: u8) -> Commitment {
        commit("principal", &[salt; 32], person().to_string().as_bytes())
    }

    /// The holder passes a part of its authority on to a new instance, which joins.
    pub(crate) fn link(&mut self, above: &Holder, agent: &str, entries: &[Value]) -> Holder {
        let (name, own) = self.instance(agent);
        let jti = format!("link-{}", self.numbers);
        let mut chain = self.chains[&above.jti].clone();
        let links: Vec<&str> = chain.iter().map(String::as_str).collect();
        let draft = LinkDraft {
            terms: self.terms(&name, &own, &jti, entries),
        };
        let tip = ChainTip::read(&links).unwrap();
        let token = draft
            .sign(&tip, &AwsLc, &|bytes| above.key.sign(bytes))
            .unwrap();
        chain.push(token);
        let holder = Holder {
            name,
            key: own,
            jti,
        };
        let (delegator, parent) = (above.name.to_string(), above.jti.clone());
        self.keep(&holder, chain, &delegator, Some(&parent));
        self.join(&holder, agent);
        holder
    }

    fn keep(&mut self, holder: &Holder, chain: Vec<String>, delegator: &str, parent: Option<&str>) {
        let token = chain.last().unwrap();
        let link = Digest::of(token);
        self.objects.insert(link, token.clone().into_bytes());
        let enrol = DelegationEnrol {
            session: self.session,
            delegation: Label::or_digest(&holder.jti),
            link,
            delegator: Label::or_digest(delegator),
            delegate: Label::or_digest(holder.name.as_str()),
            depth: chain.len() as u64 - 1,
            expires: at(2_000),
            parent: parent.map(Label::or_digest),
        };
        self.log(enrol.into());
        self.chains.insert(holder.jti.clone(), chain);
    }

    fn join(&mut self, holder: &Holder, agent: &str) {
        let link = self.next_link(holder);
        let join = SessionJoin {
            session: self.session,
            instance: Label::or_digest(holder.name.as_str()),
            link,
            agent: Label::or_digest(&format!("spiffe://example.org/agent/{agent}")),
            manifest: Digest::of("manifest"),
            chain: Digest::of("chain"),
            leaf: Label::or_digest(&holder.jti),
            agent_key: Digest::of("key"),
            attestation_level: Label::or_digest("launch"),
            isolation: Isolation::Isolated,
            expires: at(3_000),
            id: None,
        };
        self.linked(holder, join.into());
    }

    fn next_link(&self, holder: &Holder) -> InstanceLink {
        let known = self.links.get(holder.name.as_str()).cloned();
        let (seq, prev) = known.unwrap_or((0, None));
        InstanceLink { seq, prev }
    }

    fn linked(&mut self, holder: &Holder, event: Event) {
        let leaf = self.log(event);
        let known = self.links.entry(holder.name.to_string()).or_default();
        *known = (known.0 + 1, Some(leaf));
    }

    fn log(&mut self, event: Event) -> LeafRef {
        self.micros += 100_000;
        let now = Timestamp::from_micros(at(10).as_micros() + self.micros);
        self.gateway.append(now, event)
    }

    /// A call, as the log knows it.
    pub(crate) fn call(
        &mut self,
        holder: &Holder,
        (server, name): (&str, &str),
        outcome: Ruling,
        reason: &str,
    ) -> ExecutionId {
        let execution = self.number();
        let decision = Decision {
            execution,
            session: self.session,
            instance: Label::or_digest(holder.name.as_str()),
            link: self.next_link(holder),
            chain: Digest::of("chain"),
            leaf: Label::or_digest(&holder.jti),
            proof: Digest::of("proof"),
            request: CallRecord {
                server: Label::or_digest(server),
                kind: CallKind::Tool,
                name: Label::or_digest(name),
                args_digest: Digest::of("{}"),
                clear: BTreeMap::new(),
            },
            policy: Digest::of("policy"),
            outcome,
            reason: Label::or_digest(reason),
            determining: Vec::new(),
            approvals: Vec::new(),
            cost_micros: 0,
            charges: Vec::new(),
            step: None,
            revoked: None,
            opinion: None,
            facts: None,
            unenforced: None,
        };
        self.linked(holder, decision.into());
        if outcome == Ruling::Allow {
            let ended = Outcome {
                execution,
                session: self.session,
                instance: Label::or_digest(holder.name.as_str()),
                link: self.next_link(holder),
                decision: self.gateway.size() - 1,
                status: OutcomeStatus::Completed,
                bytes: 1,
                micros: 1,
                result: None,
            };
            self.linked(holder, ended.into());
        }
        execution
    }

    /// A call that waits for a person, and the answer.
    pub(crate) fn escalate(&mut self, holder: &Holder, tool: (&str, &str), verdict: Verdict) {
        let execution = self.call(holder, tool, Ruling::Escalate, "ask");
        let approval: ApprovalId = self.number();
        let request = ApprovalRequest {
            approval,
            session: self.session,
            instance: Label::or_digest(holder.name.as_str()),
            link: self.next_link(holder),
            execution,
            action: Digest::of("action"),
            displayed: Digest::of("displayed"),
            policy: Digest::of("policy"),
            asks: Vec::new(),
            expires: at(2_000),
            requester: None,
        };
        self.linked(holder, request.into());
        let grant = ApprovalGrant {
            approval,
            session: self.session,
            instance: Label::or_digest(holder.name.as_str()),
            link: self.next_link(holder),
            action: Digest::of("action"),
            verdict,
            approver: person(),
            answer: Digest::of("answer"),
            expires: at(2_000),
        };
        self.linked(holder, grant.into());
        if verdict == Verdict::Approve {
            self.call(holder, tool, Ruling::Allow, "approved");
        }
    }

    /// Somebody of that agent is refused the session.
    pub(crate) fn refuse(&mut self, agent: &str, reason: &str) {
        let (name, _) = self.instance(agent);
        let refuse = SessionRefuse {
            reason: Label::or_digest(reason),
            session: Some(self.session),
            instance: Some(Label::or_digest(name.as_str())),
            chain: None,
            manifest: None,
            link: None,
            revoked: None,
        };
        self.log(refuse.into());
    }

    pub(crate) fn leave(&mut self, holder: &Holder, reason: LeaveReason) {
        let leave = SessionLeave {
            session: self.session,
            instance: Label::or_digest(holder.name.as_str()),
            link: self.next_link(holder),
            reason,
            entries: 1,
            counts: counts(),
        };
        self.linked(holder, leave.into());
    }

    pub(crate) fn end(&mut self) {
        let end = SessionEnd {
            session: self.session,
            reason: EndReason::Completed,
            instances: 1,
            counts: counts(),
            evidence: None,
            cause: None,
        };
        self.log(end.into());
    }
}

fn counts() -> Counts {
    Counts {
        allowed: 0,
        denied: 0,
        escalated: 0,
        outcomes: 0,
        cost_micros: 0,
        unenforced: None,
    }
}

pub(crate) fn tool(server: &str, tool: &str) -> Value {
    json!({"type": "mcp_tool", "server": server, "tool": tool})
}

fn held(server: &str, name: &str, args: Value) -> Value {
    json!({"type": "mcp_tool", "server": server, "tool": name, "args": args})
}

/// A month's closing with about so many instances: one orchestrator, reconcilers each with a book of
/// its own, auditors, readers whose links are lost, helpers of some reconcilers, and strangers.
pub(crate) fn closing(instances: usize) -> Mesh {
    let mut mesh = Mesh::new();
    let all = [
        held("books", "read", json!({"path": {"path_prefix": "/books"}})),
        tool("ledger", "balance"),
        json!({"type": "mcp_tool", "server": "ledger", "tool": "post", "limits": {"max_calls": 9_000}}),
        tool("mail", "send"),
    ];
    let chief = mesh.root("orchestrator", &all);
    mesh.call(&chief, ("ledger", "balance"), Ruling::Allow, "permit");
    for number in 0..instances * 8 / 10 {
        let path = json!({"path": {"path_prefix": format!("/books/{number}")}});
        let post = json!({
            "type": "mcp_tool", "server": "ledger", "tool": "post", "limits": {"max_calls": 20}
        });
        let entries = [held("books", "read", path.clone()), post];
        let worker = mesh.link(&chief, "reconciler", &entries);
        mesh.call(&worker, ("books", "read"), Ruling::Allow, "permit");
        if number % 7 != 0 {
            mesh.call(&worker, ("ledger", "post"), Ruling::Allow, "permit");
        }
        if number % 40 == 3 {
            mesh.escalate(&worker, ("ledger", "post"), Verdict::Approve);
        }
        if number % 50 == 5 {
            mesh.call(&worker, ("ledger", "void"), Ruling::Deny, "not_in_scope");
        }
        if number % 40 == 8 {
            let helper = mesh.link(&worker, "helper", &[held("books", "read", path)]);
            mesh.call(&helper, ("books", "read"), Ruling::Allow, "permit");
            mesh.leave(&helper, LeaveReason::Completed);
        }
        mesh.leave(&worker, LeaveReason::Completed);
    }
    for number in 0..instances / 8 {
        let auditor = mesh.link(&chief, "auditor", &[tool("ledger", "balance")]);
        if number % 3 == 0 {
            mesh.call(&auditor, ("ledger", "balance"), Ruling::Allow, "permit");
        }
        if number == 1 {
            mesh.call(&auditor, ("mail", "send"), Ruling::Deny, "not_in_scope");
        }
    }
    for _ in 0..instances / 20 {
        let reader = mesh.link(&chief, "mailer", &[tool("mail", "send")]);
        let token = mesh.chains[&reader.jti].last().unwrap();
        let lost = Digest::of(token);
        mesh.objects.remove(&lost);
        mesh.call(&reader, ("mail", "send"), Ruling::Allow, "permit");
        mesh.leave(&reader, LeaveReason::Gone);
    }
    for _ in 0..3 {
        mesh.refuse("stranger", "untrusted_root");
    }
    mesh.leave(&chief, LeaveReason::Completed);
    mesh.end();
    mesh
}
