//! One authority, one person, a few agents, a log.

use chancery_audit::{
    Disclosure, Entry, Event as Logged, InstanceChains, Isolation, Label, LeafRef, commit,
    leaf_hash,
};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    Answer, ApprovalStatement, BoundedReplayMemory, Call, ChainContext, ChainTip, Credential,
    Entry as Grantable, LinkDraft, Mission, PersonDraft, ProofContext, ProofDraft, RevocationSet,
    RootDraft, SoftwareAuthenticator, Standing, Target, Terms, TrustAnchor, VerifiedChain,
    VerifiedProof, verify_approval, verify_chain, verify_proof,
};
use chancery_identity::{AttestationLevel, InstanceSpiffeId, SpiffeId};
use chancery_policy::{Annotations, Files, Index, schema_text};
use chancery_types::id::{ApprovalId, ExecutionId, Id, Kind, PersonId, SessionId};
use chancery_types::{Algorithm, Digest, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    Answered, ApprovalQuestion, Budgets, CallInput, CatalogFacts, Commons, Effect, Event,
    ExecutionEnd, Fault, Joining, Judgement, Member, Opening, Opinion, PRINCIPAL, Permit, Rulebook,
    Session, principal_text,
};

pub(super) const GATEWAY: &str = "spiffe://example.org/service/gateway";
pub(super) const START: u64 = 1_800_000_000;

pub(super) const POLICIES: &str = r#"
@id("reads") permit (principal, action == Chancery::Action::"bank/list", resource);
@id("small") permit (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount <= 1000 };
@id("large") @effect("ask")
  permit (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount > 1000 };
@id("huge") forbid (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount > 1000000 };
"#;

pub(super) struct World {
    authority: SigningKey,
    person: SigningKey,
    holders: Vec<(SigningKey, InstanceSpiffeId)>,
    pub(super) session: SessionId,
    pub(super) policy: Rulebook,
    pub(super) mission: Mission,
    /// The step that every proof cites.
    pub(super) step: Option<&'static str>,
    next: u8,
}

/// A session with its log.
pub(super) struct Live {
    pub(super) session: Option<Session>,
    pub(super) log: Vec<(LeafRef, Entry)>,
    /// What the sessions of the gateway share.
    pub(super) commons: Commons,
    pub(super) now: Timestamp,
}

pub(super) fn id<K: Kind>(number: u8) -> Id<K> {
    Id::from_random([number; 16])
}

pub(super) fn tool(name: &str, limits: Value) -> Grantable {
    Grantable::parse(&json!({"type": "mcp_tool", "server": "bank", "tool": name, "limits": limits}))
        .unwrap()
}

pub(super) fn bundle(policies: &str) -> Rulebook {
    rulebook(policies, None)
}

/// A bundle with rules for chains.
pub(super) fn rulebook(policies: &str, chains: Option<Value>) -> Rulebook {
    Rulebook::load(&files(policies, chains, None)).unwrap()
}

/// A bundle with rules for sessions.
pub(super) fn with_rules(policies: &str, members: Value) -> Rulebook {
    let mut rules = members;
    rules["rules"] = json!(crate::SESSION_RULES_FORM);
    Rulebook::load(&files(policies, None, Some(rules))).unwrap()
}

pub(super) fn files(policies: &str, chains: Option<Value>, sessions: Option<Value>) -> Files {
    let index = json!({"name": "p", "version": 1, "tools": {
        "bank/pay": {
            "args": {"amount": "long", "to": "string?"}, "clear": ["amount"],
            "cost_arg": "amount", "cost_unit": "cents"
        },
        "bank/list": {"args": {"account": "string?", "rows": "long?"}},
        "bank/fetch": {"args": {"url": "string?"}},
        "bank/note": {},
        "bank/notes": {},
    }});
    let mut files = Files::from([
        ("bundle.json".to_owned(), index.to_string().into_bytes()),
        ("p.cedar".to_owned(), policies.as_bytes().to_vec()),
    ]);
    let schema = schema_text(&Index::parse(&files).unwrap());
    files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
    if let Some(chains) = chains {
        let chains = chains.to_string().into_bytes();
        files.insert("delegation.json".to_owned(), chains);
    }
    if let Some(sessions) = sessions {
        let sessions = sessions.to_string().into_bytes();
        files.insert("session.json".to_owned(), sessions);
    }
    files
}

/// A mission whose one step may use everything that a test calls.
pub(super) fn mission_document() -> Value {
    let means = ["pay", "list", "fetch", "note", "notes", "none"]
        .map(|tool| json!({"type": "mcp_tool", "server": "bank", "tool": tool}));
    json!({
        "mission": "chancery/mission/v1",
        "goal": "Pay what is due.",
        "outcome": {"due": 0},
        "steps": [{"id": "step-1", "text": "Look and pay.", "means": means}],
        "forbid": [],
        "stop": [],
        "budget": {"calls": 1_000, "cost_micros": 1_000_000_000_000_u64, "seconds": 3_600},
        "approver": {"role": "approver"},
        // Two hours after the start.
        "expires": "2027-01-15T10:00:00Z",
    })
}

pub(super) fn mission(document: Value) -> Mission {
    Mission::parse(document.to_string().into_bytes()).unwrap()
}

/// What a root or link grants.
#[derive(Clone, Default)]
pub(super) struct Terms3 {
    pub(super) entries: Vec<Grantable>,
    pub(super) forbid: Vec<Grantable>,
    pub(super) ask: Vec<Grantable>,
}

pub(super) fn everything() -> Terms3 {
    Terms3 {
        entries: vec![tool("pay", json!({})), tool("list", json!({}))],
        ..Terms3::default()
    }
}

/// All tools of the bank.
pub(super) fn all_tools() -> Terms3 {
    Terms3 {
        entries: ["pay", "list", "fetch", "note", "notes"]
            .map(|name| tool(name, json!({})))
            .to_vec(),
        ..Terms3::default()
    }
}

impl World {
    pub(super) fn new() -> Self {
        let key = |algorithm| SigningKey::generate(algorithm).unwrap();
        let holders = (0..4_u8)
            .map(|n| {
                let name = format!(
                    "spiffe://example.org/agent/clerk/instance/{}",
                    id::<chancery_types::id::InstanceKind>(n + 1)
                );
                (key(Algorithm::Ed25519), name.parse().unwrap())
            })
            .collect();
        Self {
            authority: key(Algorithm::Es256),
            person: key(Algorithm::Es256),
            holders,
            session: id(1),
            policy: bundle(POLICIES),
            mission: mission(mission_document()),
            step: Some("step-1"),
            next: 0,
        }
    }

    pub(super) fn name(&self, holder: usize) -> Label {
        Label::or_digest(&self.holders[holder].1.to_string())
    }

    fn spiffe_id(&self, holder: usize) -> SpiffeId {
        self.holders[holder].1.to_spiffe_id()
    }

    fn terms(&mut self, holder: usize, what: Terms3, max_depth: u64, seconds: u64) -> Terms {
        self.next += 1;
        Terms {
            subject: self.spiffe_id(holder),
            key: *self.holders[holder].0.public(),
            audience: Some(vec![GATEWAY.to_owned()]),
            issued_at: Timestamp::from_seconds(START),
            not_before: Timestamp::from_seconds(START),
            expires_at: Timestamp::from_seconds(START + seconds),
            jti: format!("jti-{}", self.next),
            max_depth,
            entries: what.entries,
            forbid: what.forbid,
            ask: what.ask,
        }
    }

    pub(super) fn root_draft(&mut self, holder: usize, what: Terms3) -> RootDraft {
        RootDraft {
            issuer: "https://authority.example.org".to_owned(),
            terms: self.terms(holder, what, 3, 3_600),
            sid: self.session.to_string(),
            epoch: 1,
            person: PersonDraft {
                issuer: "https://idp.example.org".to_owned(),
                subject: "p-1".to_owned(),
                acr: "passkey".to_owned(),
                authenticated_at: Timestamp::from_seconds(START - 10),
                standing: None,
            },
            mission: self.mission.digest(),
        }
    }

    pub(super) fn sign(&self, draft: &RootDraft) -> VerifiedChain {
        let token = draft
            .sign(
                Digest::of("consent"),
                self.authority.public(),
                &AwsLc,
                &|bytes| self.authority.sign(bytes),
            )
            .unwrap();
        self.verify(&[&token])
    }

    pub(super) fn root(&mut self, holder: usize, what: Terms3) -> VerifiedChain {
        let draft = self.root_draft(holder, what);
        self.sign(&draft)
    }

    /// The chain, continued from `from` to `to`.
    pub(super) fn link(
        &mut self,
        chain: &VerifiedChain,
        from: usize,
        to: usize,
        what: Terms3,
    ) -> VerifiedChain {
        let tokens: Vec<String> = chain.links().map(|link| link.token().to_owned()).collect();
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let tip = ChainTip::read(&tokens).unwrap();
        let draft = LinkDraft {
            terms: self.terms(to, what, 3, 1_800),
        };
        let key = &self.holders[from].0;
        let token = draft.sign(&tip, &AwsLc, &|bytes| key.sign(bytes)).unwrap();
        let mut all = tokens;
        all.push(&token);
        self.verify(&all)
    }

    fn verify(&self, tokens: &[&str]) -> VerifiedChain {
        let context = ChainContext {
            now: Timestamp::from_seconds(START),
            audience: GATEWAY,
            anchors: &[TrustAnchor {
                issuer: "https://authority.example.org".to_owned(),
                key: *self.authority.public(),
            }],
            epoch: 1,
            revoked: RevocationSet::none(),
            verifier: &AwsLc,
        };
        verify_chain(tokens, &context).unwrap()
    }

    pub(super) fn principal(&self, chain: &VerifiedChain) -> Disclosure {
        Disclosure {
            name: Label::or_digest(PRINCIPAL),
            salt: [5; 32],
            value: principal_text(chain.principal()).unwrap(),
        }
    }

    pub(super) fn member(&self, holder: usize) -> Member {
        let (key, name) = &self.holders[holder];
        Member {
            instance: name.to_spiffe_id(),
            id: name.instance(),
            agent: name.agent().clone(),
            manifest: Digest::of("manifest"),
            policy: Some(self.policy.digest()),
            agent_key: key.public().thumbprint(),
            level: AttestationLevel::Launch,
            isolation: Isolation::Isolated,
            expires: Timestamp::from_seconds(START + 900),
        }
    }

    pub(super) fn opening(&self, holder: usize, chain: &VerifiedChain) -> Opening {
        Opening {
            gateway: Label::or_digest(GATEWAY),
            member: self.member(holder),
            chain: chain.clone(),
            mission: self.mission.clone(),
            consent: None,
            principal: self.principal(chain),
            operator: commit("operator", &[6; 32], b"Example Ltd"),
            policy: self.policy.digest(),
            catalog: Digest::of("catalog"),
            trust: 1,
            expires: Timestamp::from_seconds(START + 3_600),
            budgets: Budgets::default(),
        }
    }

    pub(super) fn joining(&self, holder: usize, chain: &VerifiedChain) -> Joining {
        Joining {
            member: self.member(holder),
            chain: chain.clone(),
            principal: self.principal(chain),
        }
    }

    /// An open session with the first holder in it.
    pub(super) fn open(&self, chain: &VerifiedChain) -> Live {
        self.open_with(chain, Budgets::default())
    }

    pub(super) fn open_with(&self, chain: &VerifiedChain, budgets: Budgets) -> Live {
        let mut live = Live::new(self.session);
        let mut opening = self.opening(0, chain);
        opening.budgets = budgets;
        live.step(Event::Open(Box::new(opening))).unwrap();
        live.step(Event::Join(Box::new(self.joining(0, chain))))
            .unwrap();
        live
    }

    pub(super) fn proof(
        &self,
        holder: usize,
        chain: &VerifiedChain,
        call: Call<'_>,
        now: Timestamp,
        execution: Option<ExecutionId>,
    ) -> VerifiedProof {
        let key = &self.holders[holder].0;
        let token = ProofDraft {
            audience: GATEWAY,
            issued_at: now,
            jti: "proof",
            chain: chain.digest(),
            call,
            execution,
            step: self.step,
        }
        .sign(key.public(), &|bytes| key.sign(bytes))
        .unwrap();
        let context = ProofContext {
            now,
            audience: GATEWAY,
            verifier: &AwsLc,
            started_at: Timestamp::from_seconds(0),
            peer: &self.spiffe_id(holder),
            call,
        };
        verify_proof(
            Some(&token),
            chain,
            &context,
            &mut BoundedReplayMemory::new(9, 9),
        )
        .unwrap()
    }

    /// Judges a call of a tool of the bank.
    pub(super) fn judge(
        &self,
        live: &Live,
        holder: usize,
        chain: &VerifiedChain,
        execution: u8,
        (name, args): (&str, Value),
    ) -> Judgement {
        self.judge_with(live, holder, chain, execution, (name, args), |_| {})
    }

    pub(super) fn judge_with(
        &self,
        live: &Live,
        holder: usize,
        chain: &VerifiedChain,
        execution: u8,
        (name, args): (&str, Value),
        change: impl FnOnce(&mut CallInput<'_>),
    ) -> Judgement {
        let args: Map<String, Value> = args.as_object().cloned().unwrap_or_default();
        let call = Call {
            server: "bank",
            target: Target::Tool(name),
            args: &args,
        };
        let proof = self.proof(holder, chain, call, live.now, None);
        let principal = self.principal(chain);
        let mut input = self.input(live, execution, chain, call, &proof, &principal);
        change(&mut input);
        live.session.as_ref().unwrap().judge(&input)
    }

    /// Judges a call of the first holder with an opinion, for a mission.
    pub(super) fn judge_for(
        &self,
        live: &Live,
        chain: &VerifiedChain,
        execution: u8,
        (name, args): (&str, Value),
        mission: &Mission,
        opinion: Option<&Opinion>,
    ) -> Judgement {
        let args: Map<String, Value> = args.as_object().cloned().unwrap_or_default();
        let call = Call {
            server: "bank",
            target: Target::Tool(name),
            args: &args,
        };
        let proof = self.proof(0, chain, call, live.now, None);
        let principal = self.principal(chain);
        let input = self.input(live, execution, chain, call, &proof, &principal);
        live.session.as_ref().unwrap().judge(&CallInput {
            mission,
            opinion,
            ..input
        })
    }

    /// Judges a call under another policy.
    pub(super) fn judge_under(
        &self,
        live: &Live,
        chain: &VerifiedChain,
        execution: u8,
        (name, args): (&str, Value),
        policy: &Rulebook,
    ) -> Judgement {
        let args: Map<String, Value> = args.as_object().cloned().unwrap_or_default();
        let call = Call {
            server: "bank",
            target: Target::Tool(name),
            args: &args,
        };
        let proof = self.proof(0, chain, call, live.now, None);
        let principal = self.principal(chain);
        let input = self.input(live, execution, chain, call, &proof, &principal);
        let input = CallInput { policy, ..input };
        live.session.as_ref().unwrap().judge(&input)
    }

    pub(super) fn input<'a>(
        &'a self,
        live: &'a Live,
        execution: u8,
        chain: &'a VerifiedChain,
        call: Call<'a>,
        proof: &'a VerifiedProof,
        principal: &'a Disclosure,
    ) -> CallInput<'a> {
        CallInput {
            execution: id(execution),
            standing: Standing {
                now: live.now,
                epoch: 1,
                revoked: RevocationSet::none(),
            },
            chain,
            proof,
            consent: None,
            principal,
            mission: &self.mission,
            call,
            opinion: None,
            policy: &self.policy,
            catalog: CatalogFacts {
                digest: Digest::of("catalog"),
                annotations: Some(Annotations::default()),
            },
            commons: &live.commons,
        }
    }

    /// Judges and decides; the judgement and the permit, if there is one.
    pub(super) fn call(
        &self,
        live: &mut Live,
        holder: usize,
        chain: &VerifiedChain,
        execution: u8,
        what: (&str, Value),
    ) -> (Judgement, Option<Permit>) {
        let judgement = self.judge(live, holder, chain, execution, what);
        let mut permit = None;
        for effect in live
            .step(Event::Decide(Box::new(judgement.clone())))
            .unwrap()
        {
            if let Effect::Forward(given) = effect {
                permit = Some(given);
            }
        }
        (judgement, permit)
    }

    pub(super) fn question(&self, execution: u8, approval: u8) -> ApprovalQuestion {
        ApprovalQuestion {
            execution: id(execution),
            approval: id(approval),
            displayed: Digest::of("page"),
            expires: Timestamp::from_seconds(START + 600),
            requester: None,
        }
    }

    /// The statement that answers what waits.
    pub(super) fn statement(&self, live: &Live, approval: u8) -> ApprovalStatement {
        let open = live.session.as_ref().unwrap().as_open().unwrap();
        let wanted: ApprovalId = id(approval);
        let (_, pending) = open.pending().find(|(id, _)| *id == wanted).unwrap();
        ApprovalStatement {
            id: wanted,
            verdict: chancery_delegation::Verdict::Approve,
            action: pending.action,
            display: pending.displayed,
            session: self.session,
            policy: pending.policy,
            expires_at: Timestamp::from_seconds(START + 500),
        }
    }

    pub(super) fn answer(&self, statement: ApprovalStatement) -> Answered {
        let mut device = SoftwareAuthenticator::new("cred", "localhost", "http://localhost", 0);
        let challenge = statement.challenge().unwrap();
        let assertion = device
            .assert(&challenge, |bytes| self.person.sign_der(bytes))
            .unwrap();
        let credential = Credential {
            credential_id: "cred",
            key: self.person.public(),
            rp_id: "localhost",
            origin: "http://localhost",
            last_counter: None,
        };
        let now = Timestamp::from_seconds(START);
        let answer = verify_approval(statement, &assertion, &credential, now, &AwsLc).unwrap();
        Answered {
            evidence: Digest::of(match &answer {
                Answer::Approved(_) => "approved",
                Answer::Denied(_) => "denied",
            }),
            answer,
            approver: id::<chancery_types::id::PersonKind>(1) as PersonId,
            approver_key: self.person.public().thumbprint(),
        }
    }
}

impl Live {
    pub(super) fn new(session: SessionId) -> Self {
        Self {
            session: Some(Session::new(session)),
            log: Vec::new(),
            commons: Commons::default(),
            now: Timestamp::from_seconds(START),
        }
    }

    /// Steps, enrols what is to be enrolled, and says that it is durable.
    pub(super) fn step(&mut self, event: Event) -> Result<Vec<Effect>, Fault> {
        let mut all = self.step_only(event)?;
        let mut more = Vec::new();
        for effect in &all {
            let Some(entry) = effect.entry(&Label::or_digest("log")) else {
                continue;
            };
            let hash = leaf_hash(&entry.to_bytes().unwrap());
            let leaf = LeafRef {
                index: self.log.len() as u64,
                hash,
            };
            let linked = entry.event.instance_link().map(|(_, name, _)| name.clone());
            self.commons.take(&entry.event);
            self.log.push((leaf.clone(), entry));
            if let Some(instance) = linked
                && matches!(self.session, Some(Session::Open(_)))
            {
                more.extend(self.step_only(Event::Enrolled { instance, leaf })?);
            }
        }
        all.extend(more);
        Ok(all)
    }

    pub(super) fn step_only(&mut self, event: Event) -> Result<Vec<Effect>, Fault> {
        let session = self.session.take().unwrap();
        let before = session.clone();
        match session.step(self.now, event) {
            Ok((session, effects)) => {
                self.session = Some(session);
                Ok(effects)
            }
            Err(refused) => {
                let fault = refused.fault();
                let session = refused.into_session();
                assert_eq!(session, before, "a refusal changes nothing");
                self.session = Some(session);
                Err(fault)
            }
        }
    }

    pub(super) fn end_execution(&mut self, execution: u8) -> Result<Vec<Effect>, Fault> {
        self.step(Event::Outcome(ExecutionEnd {
            execution: id(execution),
            status: chancery_audit::OutcomeStatus::Completed,
            result: Some(Digest::of("result")),
            bytes: 2,
            micros: 3,
        }))
    }

    /// The log replays to this very state, and every instance's chain is whole.
    pub(super) fn check(&self, session: SessionId) {
        let entries = self.log.iter().map(|(leaf, entry)| (leaf, entry));
        let replayed = Session::replay(session, entries).unwrap();
        assert_eq!(Some(&replayed), self.session.as_ref());
        let mut chains = InstanceChains::default();
        for (leaf, entry) in &self.log {
            chains.take(leaf, &entry.event).unwrap();
        }
        let ends = self
            .log
            .iter()
            .filter(|(_, entry)| matches!(entry.event, Logged::SessionEnd(_)));
        assert!(ends.count() <= 1);
    }
}
