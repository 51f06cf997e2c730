//! A complete session: two instances, one allowed call, one denied, one escalated and approved, one
//! with somebody else's chain; and everything that its evidence holds.

use std::collections::BTreeMap;

use chancery_audit::*;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    Answer, ApprovalStatement, Assertion, BoundedReplayMemory, Call, CatalogTool, ChainContext,
    ChainTip, ConsentArtefact, Credential, Entry as Grantable, IssuerKey, LinkDraft,
    ManifestContext, Mission, PersonDraft, ProofContext, ProofDraft, RevocationSet, RootDraft,
    SignedStanding, SoftwareAuthenticator, Standing, StandingForm, StandingStatement, StandingUse,
    Target, Terms, TrustAnchor, VerifiedChain, VerifiedManifest, catalog_root, sign_manifest,
    verify_approval, verify_chain, verify_consent, verify_manifest, verify_proof,
};
use chancery_evidence::trust_record as record;
use chancery_evidence::{
    Catalog, EvidenceIndex, Files, INDEX_PATH, IndexFormat, Object, ObjectKind, TRUST_RECORD_PATH,
    object_path,
};
use chancery_identity::trust::*;
use chancery_identity::{
    AttestationLevel, Confirmation, SpiffeId, VerifiedWit, WitBundle, WitClaims, verify_wit,
};
use chancery_policy::{Annotations, Files as BundleFiles, Index, SignedBundle, schema_text};
use chancery_session::{
    Answered, ApprovalQuestion, Budgets, CallInput, CatalogFacts, Effect, Ending, Event as Step,
    ExecutionEnd, Joining, Member, Opening, Opinion, PRINCIPAL, Rulebook, Session, principal_text,
};
use chancery_types::id::{
    ApprovalId, CredentialId, ExecutionId, Id, InstanceKind, Kind, LaunchId, PersonId, SessionId,
};
use chancery_types::{
    Algorithm, Digest, Jwk, RevocationKind, Timestamp, base64url, jws, to_canonical, to_jcs,
};
use serde_json::{Map, Value, json};

use crate::log_writer::{Log, LogSigner};

pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const GATEWAY: &str = "spiffe://example.org/service/gateway";
pub(crate) const AUTHORITY: &str = "https://authority.example.org";
const AGENT: &str = "spiffe://example.org/agent/clerk";
const ISSUER: &str = "spiffe://example.org/issuer/manifests";
const CODE: &[u8] = b"program";

const POLICIES: &str = r#"
@id("reads") permit (principal, action == Chancery::Action::"bank/list", resource);
@id("small") permit (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount <= 1000 };
@id("large") @effect("ask") @reason("large payments need a person")
  permit (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount > 1000 };
@id("huge") forbid (principal, action == Chancery::Action::"bank/pay", resource)
  when { context.args.amount > 1000000 };
"#;

fn mission() -> Value {
    let means =
        ["pay", "list"].map(|tool| json!({"type": "mcp_tool", "server": "bank", "tool": tool}));
    json!({
        "mission": "chancery/mission/v1",
        "goal": "Pay the invoices of June.",
        "outcome": {"unpaid": 0},
        "steps": [{"id": "step-1", "text": "Look and pay.", "means": means}],
        "forbid": [],
        "stop": [],
        "budget": {"calls": 100, "cost_micros": 1_000_000_000, "seconds": 3_600},
        "approver": {"role": "approver"},
        // Two hours after the start.
        "expires": "2027-01-15T10:00:00Z",
    })
}

pub(crate) fn id<K: Kind>(number: u8) -> Id<K> {
    Id::from_random([number; 16])
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

pub(crate) struct Signers {
    root: SigningKey,
    pub(crate) authority: SigningKey,
    tokens: SigningKey,
    issuer: SigningKey,
    policy: SigningKey,
    pub(crate) record: SigningKey,
    person: SigningKey,
    approver: SigningKey,
    pub(crate) gateway: LogSigner,
    pub(crate) server: LogSigner,
}

impl Signers {
    pub(crate) fn new() -> Self {
        Self {
            root: key(Algorithm::Ed25519),
            authority: key(Algorithm::Es256),
            tokens: key(Algorithm::Es256),
            issuer: key(Algorithm::Ed25519),
            policy: key(Algorithm::Ed25519),
            record: key(Algorithm::Ed25519),
            person: key(Algorithm::Es256),
            approver: key(Algorithm::Es256),
            gateway: LogSigner::new("example.org/log/gateway"),
            server: LogSigner::new("example.org/log/server"),
        }
    }
}

pub(crate) struct Scene {
    pub signers: Signers,
    pub(crate) trust: VerifiedTrust,
    pub(crate) gateway: Log,
    pub(crate) server: Log,
    pub(crate) objects: BTreeMap<Digest, (ObjectKind, Vec<u8>)>,
    pub(crate) index: Vec<u8>,
    pub(crate) record: Vec<u8>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_mission(|_| {})
    }

    /// The same calls under another mission.
    pub(crate) fn with_mission(change: impl FnOnce(&mut Value)) -> Self {
        let mut document = mission();
        change(&mut document);
        Builder::new(document.to_string().into_bytes(), None).play()
    }

    /// The same calls under a root that is the first use of a standing consent; `change` changes what
    /// the server enrols before the root.
    pub(crate) fn with_standing(change: fn(&mut Vec<Event>), beside: Beside) -> Self {
        let mut builder = Builder::new(mission().to_string().into_bytes(), None);
        builder.standing = Some(change);
        builder.beside = beside;
        builder.play()
    }

    /// The same calls under rules for chains.
    pub(crate) fn with_rules(rules: &Value) -> Self {
        Builder::new(mission().to_string().into_bytes(), Some(rules)).play()
    }

    /// The same play with something beside it, and another end.
    pub(crate) fn with(beside: Beside, reason: EndReason, cause: Option<&str>) -> Self {
        let mut builder = Builder::new(mission().to_string().into_bytes(), None);
        builder.beside = beside;
        builder.end.reason = reason;
        builder.end.cause = cause.map(Label::or_digest);
        builder.play()
    }

    /// The same play with something beside it, whose calls come that many seconds later.
    pub(crate) fn late(beside: Beside, seconds: u64) -> Self {
        let mut builder = Builder::new(mission().to_string().into_bytes(), None);
        builder.beside = beside;
        builder.late = seconds;
        builder.play()
    }

    /// The same play with something beside it, in which another person answers.
    pub(crate) fn answered_by_another(beside: Beside) -> Self {
        let mut builder = Builder::new(mission().to_string().into_bytes(), None);
        builder.beside = beside;
        builder.another = true;
        builder.play()
    }

    pub(crate) fn files(&self) -> Files {
        let mut files = Files::new();
        self.gateway
            .write("log/gateway", &self.signers.gateway, &mut files);
        self.server
            .write("log/server", &self.signers.server, &mut files);
        files.insert(INDEX_PATH, self.index.clone());
        files.insert(TRUST_RECORD_PATH, self.record.clone());
        for (digest, (_, bytes)) in &self.objects {
            files.insert(object_path(*digest), bytes.clone());
        }
        files
    }
}

pub(crate) fn make_index(objects: &BTreeMap<Digest, (ObjectKind, Vec<u8>)>) -> Vec<u8> {
    let objects = objects.iter().map(|(digest, (kind, _))| Object {
        digest: *digest,
        kind: *kind,
    });
    let (format, session) = (IndexFormat::V1, id(1));
    EvidenceIndex {
        format,
        session,
        objects: objects.collect(),
    }
    .to_bytes()
    .unwrap()
}

struct Holder {
    name: SpiffeId,
    key: SigningKey,
    wit: VerifiedWit,
    wit_id: CredentialId,
}

/// What happens beside the session, asked at the stages of the play by their second.
pub(crate) type Beside = fn(&mut Builder, u64);

pub(crate) struct Builder {
    signers: Signers,
    trust: VerifiedTrust,
    bundle: Rulebook,
    catalog: Catalog,
    mission: Mission,
    manifest: VerifiedManifest,
    holders: Vec<Holder>,
    gateway: Log,
    server: Log,
    objects: BTreeMap<Digest, (ObjectKind, Vec<u8>)>,
    session: Option<Session>,
    now: Timestamp,
    proofs: u8,
    beside: Beside,
    /// How much later everything happens that follows the joins.
    late: u64,
    /// Whether somebody else than the principal answers what is asked.
    another: bool,
    end: Ending,
    standing: Option<fn(&mut Vec<Event>)>,
    /// The entry of the standing consent, as it should be.
    pub(crate) consent: Option<Event>,
}

pub(crate) fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap()
}

pub(crate) fn person() -> PersonId {
    id(9)
}

/// Somebody who only approves.
pub(crate) fn approver() -> PersonId {
    id(8)
}

impl Builder {
    fn new(mission: Vec<u8>, rules: Option<&Value>) -> Self {
        let signers = Signers::new();
        let trust = trust(&signers);
        let (bundle, policy_object) = bundle(&signers.policy, rules);
        let catalog = catalog();
        let envelope = manifest(&signers, &bundle, &catalog);
        let issuers = [IssuerKey {
            issuer: ISSUER.to_owned(),
            key: *signers.issuer.public(),
        }];
        let context = ManifestContext {
            now: at(0),
            issuers: &issuers,
            revoked: &|_| false,
            verifier: &AwsLc,
        };
        let manifest = verify_manifest(&envelope, &context).unwrap();
        let mut builder = Self {
            trust,
            bundle,
            catalog,
            mission: Mission::parse(mission).unwrap(),
            manifest,
            holders: Vec::new(),
            gateway: Log::new("example.org/log/gateway"),
            server: Log::new("example.org/log/server"),
            objects: BTreeMap::new(),
            session: Some(Session::new(id(1))),
            now: at(0),
            proofs: 0,
            beside: |_, _| {},
            late: 0,
            another: false,
            end: Ending {
                reason: EndReason::Completed,
                cause: None,
                evidence: None,
            },
            standing: None,
            consent: None,
            signers,
        };
        builder.keep(ObjectKind::Policy, policy_object);
        builder.keep(ObjectKind::Manifest, envelope);
        let catalog = to_canonical(&builder.catalog).unwrap();
        builder.keep(ObjectKind::Catalog, catalog);
        for number in [1, 2] {
            let holder = builder.holder(number);
            builder.holders.push(holder);
        }
        builder
    }

    fn keep(&mut self, kind: ObjectKind, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.objects.entry(digest).or_insert((kind, bytes));
        digest
    }

    fn holder(&mut self, number: u8) -> Holder {
        let name: SpiffeId = format!("{AGENT}/instance/{}", id::<InstanceKind>(number))
            .parse()
            .unwrap();
        let agent_key = key(Algorithm::Ed25519);
        let wit_id = id(number + 10);
        let claims = WitClaims {
            sub: name.clone(),
            cnf: Confirmation {
                jwk: *agent_key.public(),
            },
            iat: START,
            exp: START + 3_000,
            jti: wit_id,
            manifest_digest: self.manifest.payload_digest(),
            attestation_level: AttestationLevel::Launch,
            isolation: chancery_identity::Isolation::Isolated,
        };
        let tokens = &self.signers.tokens;
        let input = claims.signing_input(tokens.public()).unwrap();
        let text = jws::assemble(&input, &tokens.sign(input.as_bytes()).unwrap());
        let keys = WitBundle::new("example.org".parse().unwrap(), [*tokens.public()]);
        let wit = verify_wit(&text, &keys, at(0), &AwsLc).unwrap();
        self.keep(ObjectKind::Wit, text.into_bytes());
        Holder {
            name,
            key: agent_key,
            wit,
            wit_id,
        }
    }

    fn play(mut self) -> Scene {
        self.prepare();
        let (root, consent, server_disclosure) = self.root();
        let mission = self.keep(ObjectKind::Mission, self.mission.as_bytes().to_vec());
        assert_eq!(mission, root.mission());
        let principal = self.disclose(PRINCIPAL, principal_text(root.principal()).unwrap(), 5);
        let operator = self.disclose("operator", "example.org".to_owned(), 6);
        self.keep(
            ObjectKind::Disclosure,
            to_canonical(&server_disclosure).unwrap(),
        );
        self.stage(9);
        self.now = at(10);
        let opening = Opening {
            gateway: Label::or_digest(GATEWAY),
            member: self.member(0),
            chain: root.clone(),
            mission: self.mission.clone(),
            consent: Some(consent.clone()),
            principal: principal.clone(),
            operator: operator.commitment(),
            policy: self.bundle.digest(),
            catalog: Digest::of(to_canonical(&self.catalog).unwrap()),
            trust: 1,
            expires: root.expires_at(),
            budgets: Budgets::default(),
        };
        self.step(Step::Open(Box::new(opening)));
        self.join(0, &root, &principal);
        let link = self.link(&root);
        self.join(1, &link, &principal);

        self.now = self.later(20);
        let list = ("list", json!({}));
        if self.call(0, &root, &consent, &principal, 1, list) == Ruling::Allow {
            self.end_execution(1);
        }
        self.now = self.later(21);
        let huge = json!({"amount": 2_000_000, "memo": 0.5});
        self.call(1, &link, &consent, &principal, 2, ("pay", huge));
        self.now = self.later(22);
        self.foreign_chain(&root, 3);
        self.now = self.later(23);
        let large = json!({"amount": 5_000});
        let pay = ("pay", large.clone());
        if self.call(0, &root, &consent, &principal, 4, pay.clone()) == Ruling::Escalate {
            self.ask(4, &root, &large);
            self.stage(25);
            self.now = self.later(30);
            self.approve();
            self.now = self.later(31);
            self.call(0, &root, &consent, &principal, 5, pay);
            self.end_execution(5);
            self.stage(35);
        }
        self.now = self.later(40);
        self.step(Step::Leave(chancery_session::Leaving {
            instance: self.label(1),
            reason: LeaveReason::Completed,
        }));
        self.finish(&root)
    }

    fn later(&self, second: u64) -> Timestamp {
        at(second.saturating_add(self.late))
    }

    fn stage(&mut self, second: u64) {
        (self.beside)(self, second);
    }

    /// The server enrols something.
    pub(crate) fn enrol(&mut self, second: u64, event: Event) {
        self.server.append(at(second), event);
    }

    /// The server enrols a revocation.
    pub(crate) fn revoke(&mut self, second: u64, kind: RevocationKind, name: &str) {
        let add = RevocationAdd {
            kind,
            id: Label::or_digest(name),
            by: commit("revoker", &[1; 32], b"operator"),
            reason: commit("revocation-reason", &[2; 32], b"test"),
        };
        self.server.append(at(second), add.into());
    }

    /// The server enrols that a revocation was lifted.
    pub(crate) fn lift(&mut self, second: u64, kind: RevocationKind, name: &str, revoked: u64) {
        let lift = RevocationLift {
            kind,
            id: Label::or_digest(name),
            revoked: at(revoked),
            signers: Vec::new(),
            reason: commit("revocation-reason", &[3; 32], b"test"),
        };
        self.server.append(at(second), lift.into());
    }

    /// The server enrols that the epoch was raised.
    pub(crate) fn raise(&mut self, second: u64, epoch: u64) {
        let raise = EpochRaise {
            epoch,
            by: commit("revoker", &[1; 32], b"operator"),
            reason: commit("revocation-reason", &[4; 32], b"test"),
        };
        self.server.append(at(second), raise.into());
    }

    /// The gateway enrols that a snapshot of that second governs, with what it says is revoked.
    pub(crate) fn adopt(&mut self, second: u64, epoch: u64, revoked: &RevocationSet) {
        let adopt = SnapshotAdopt {
            sequence: second,
            issued: at(second),
            epoch,
            revoked: revoked.len() as u64,
            revocations: revoked.digest().unwrap(),
            trust: 1,
            policy: self.bundle.digest(),
        };
        self.gateway.append(at(second), adopt.into());
    }

    fn label(&self, holder: usize) -> Label {
        Label::or_digest(self.holders[holder].name.as_str())
    }

    fn member(&self, holder: usize) -> Member {
        let root = self.catalog.root().unwrap();
        Member::new(&self.holders[holder].wit, &self.manifest, Some(root)).unwrap()
    }

    /// What the server enrols before any session.
    fn prepare(&mut self) {
        let (now, trust) = (at(0), &self.trust);
        let signers = vec![self.signers.root.public().thumbprint()];
        let (version, document) = (trust.version, trust.digest());
        self.server.append(
            now,
            TrustChange {
                version,
                document,
                signers,
                previous: None,
            }
            .into(),
        );
        let publish = PolicyPublish {
            name: Label::or_digest("p"),
            version: 1,
            policy: self.bundle.digest(),
            signer: self.signers.policy.public().thumbprint(),
            statement: Digest::of("statement"),
            previous: None,
        };
        self.server.append(now, publish.into());
        let register = ManifestRegister {
            agent: Label::or_digest(AGENT),
            manifest: self.manifest.payload_digest(),
            issuer: self.manifest.key_id(),
            expires: Some(self.manifest.expires_at()),
            prompt: self.manifest.system_prompt(),
            tools: self.manifest.catalog_hash(),
            policy: self.manifest.policy_bundle(),
            code: self.manifest.container_image(),
        };
        self.server.append(now, register.into());
        for number in 0..self.holders.len() {
            let holder = &self.holders[number];
            let tls = (
                CredentialForm::X509Svid,
                id(number as u8 + 50),
                Digest::of("spki"),
            );
            let wit = (
                CredentialForm::Wit,
                holder.wit_id,
                holder.key.public().thumbprint(),
            );
            for (form, id, key) in [tls, wit] {
                let expires = at(3_000);
                let issue = IdentityIssue {
                    agent: Label::or_digest(AGENT),
                    instance: self.label(number),
                    credentials: vec![chancery_audit::Credential {
                        form,
                        id,
                        key,
                        expires,
                    }],
                    manifest: self.manifest.payload_digest(),
                    attestation_level: Label::or_digest(AttestationLevel::Launch.name()),
                    isolation: Isolation::Isolated,
                    evidence: Digest::of("evidence"),
                    executable: Digest::of(CODE),
                    node: Label::or_digest("spiffe://example.org/service/node"),
                    renewal: false,
                    expires,
                    launch: Some(LaunchId::from_random([number as u8; 16])),
                    operator: None,
                };
                self.server.append(at(1), issue.into());
            }
        }
    }

    fn disclose(&mut self, name: &str, value: String, salt: u8) -> Disclosure {
        let disclosure = Disclosure {
            name: Label::or_digest(name),
            salt: [salt; 32],
            value,
        };
        self.keep(ObjectKind::Disclosure, to_canonical(&disclosure).unwrap());
        disclosure
    }

    fn terms(&self, holder: usize, jti: &str) -> Terms {
        let grant = |tool: &str| {
            let entry = json!({"type": "mcp_tool", "server": "bank", "tool": tool, "limits": {}});
            Grantable::parse(&entry).unwrap()
        };
        Terms {
            subject: self.holders[holder].name.clone(),
            key: *self.holders[holder].key.public(),
            audience: Some(vec![GATEWAY.to_owned()]),
            issued_at: at(0),
            not_before: at(0),
            expires_at: at(2_000),
            jti: jti.to_owned(),
            max_depth: 3,
            entries: vec![grant("pay"), grant("list")],
            forbid: Vec::new(),
            ask: Vec::new(),
        }
    }

    fn assert(&self, another: bool, challenge: &Digest) -> Assertion {
        let Credential { credential_id, .. } = self.credential(another);
        let mut device =
            SoftwareAuthenticator::new(credential_id, "localhost", "http://localhost", 0);
        let key = self.key_of(another);
        device
            .assert(challenge, |bytes| key.sign_der(bytes))
            .unwrap()
    }

    fn key_of(&self, another: bool) -> &SigningKey {
        match another {
            true => &self.signers.approver,
            false => &self.signers.person,
        }
    }

    fn credential(&self, another: bool) -> chancery_delegation::Credential<'_> {
        Credential {
            credential_id: if another { "cred-8" } else { "cred" },
            key: self.key_of(another).public(),
            rp_id: "localhost",
            origin: "http://localhost",
            last_counter: None,
        }
    }

    fn root(&mut self) -> (VerifiedChain, chancery_delegation::Consent, Disclosure) {
        let draft = RootDraft {
            issuer: AUTHORITY.to_owned(),
            terms: self.terms(0, "root-1"),
            sid: id::<chancery_types::id::SessionKind>(1).to_string(),
            epoch: 1,
            person: PersonDraft {
                issuer: AUTHORITY.to_owned(),
                subject: person().to_string(),
                acr: "passkey".to_owned(),
                authenticated_at: at(0),
                standing: self.standing.map(|_| StandingUse {
                    consent: id(8),
                    number: 1,
                }),
            },
            mission: self.mission.digest(),
        };
        let statement = self.statement(&draft);
        let artefact = match self.standing {
            None => self.assert(false, &draft.challenge().unwrap()).into(),
            Some(_) => ConsentArtefact::from(SignedStanding {
                assertion: self.assert(false, &statement.challenge().unwrap()),
                statement: statement.clone(),
            }),
        };
        let artefact = artefact.to_bytes().unwrap();
        let consent = self.keep(ObjectKind::Consent, artefact.clone());
        let authority = &self.signers.authority;
        let token = draft
            .sign(consent, authority.public(), &AwsLc, &|bytes| {
                authority.sign(bytes)
            })
            .unwrap();
        let chain = self.verify(&[&token]);
        let verified = verify_consent(&chain, &artefact, &self.credential(false), &AwsLc).unwrap();
        let disclosure = Disclosure {
            name: Label::or_digest(PRINCIPAL),
            salt: [4; 32],
            value: principal_text(chain.principal()).unwrap(),
        };
        let mut enrol = DelegationRoot {
            delegation: Label::or_digest("root-1"),
            link: Digest::of(&token),
            session: id(1),
            delegate: self.label(0),
            principal: disclosure.commitment(),
            mission: chain.mission(),
            assurance: Assurance::Consent,
            consent,
            epoch: 1,
            expires: chain.expires_at(),
            standing: self.standing.map(|_| statement.id),
            standing_use: self.standing.map(|_| 1),
        };
        if let Some(change) = self.standing {
            enrol.assurance = Assurance::Standing;
            let standing = ConsentStanding {
                standing: statement.id,
                statement: statement.challenge().unwrap(),
                consent,
                principal: disclosure.commitment(),
                mission: statement.mission,
                agent: Label::or_digest(AGENT),
                max_uses: statement.max_uses,
                max_seconds: statement.max_seconds,
                expires: statement.expires_at,
            };
            let mut before = vec![Event::from(standing)];
            self.consent = before.first().cloned();
            change(&mut before);
            for event in before {
                self.server.append(at(4), event);
            }
        }
        self.server.append(at(5), enrol.into());
        (chain, verified, disclosure)
    }

    fn statement(&self, draft: &RootDraft) -> StandingStatement {
        StandingStatement {
            standing: StandingForm::V1,
            id: id(8),
            issuer: AUTHORITY.to_owned(),
            person: person(),
            signed_at: draft.person.authenticated_at,
            epoch: draft.epoch,
            mission: draft.mission,
            agent: AGENT.parse().unwrap(),
            gateway: GATEWAY.to_owned(),
            entries: draft.terms.entries.iter().map(Grantable::to_json).collect(),
            max_uses: 3,
            max_seconds: 2_000,
            max_depth: 3,
            expires_at: at(86_400),
        }
    }

    fn link(&mut self, root: &VerifiedChain) -> VerifiedChain {
        let token = root.root().token().to_owned();
        let tip = ChainTip::read(&[&token]).unwrap();
        let draft = LinkDraft {
            terms: self.terms(1, "link-1"),
        };
        let key = &self.holders[0].key;
        let link = draft.sign(&tip, &AwsLc, &|bytes| key.sign(bytes)).unwrap();
        self.verify(&[&token, &link])
    }

    fn verify(&mut self, links: &[&str]) -> VerifiedChain {
        self.keep(ObjectKind::Chain, links.join(",").into_bytes());
        for link in links {
            self.keep(ObjectKind::Link, link.as_bytes().to_vec());
        }
        let anchors = [TrustAnchor {
            issuer: AUTHORITY.to_owned(),
            key: *self.signers.authority.public(),
        }];
        let context = ChainContext {
            now: at(1),
            audience: GATEWAY,
            anchors: &anchors,
            epoch: 1,
            revoked: RevocationSet::none(),
            verifier: &AwsLc,
        };
        verify_chain(links, &context).unwrap()
    }

    fn join(&mut self, holder: usize, chain: &VerifiedChain, principal: &Disclosure) {
        let member = self.member(holder);
        let (chain, principal) = (chain.clone(), principal.clone());
        self.step(Step::Join(Box::new(Joining {
            member,
            chain,
            principal,
        })));
    }

    fn step(&mut self, event: Step) -> Vec<Effect> {
        let (session, mut effects) = self
            .session
            .take()
            .unwrap()
            .step(self.now, event)
            .map_err(|e| e.fault())
            .unwrap();
        self.session = Some(session);
        let mut more = Vec::new();
        for effect in &effects {
            let Some(entry) = effect.entry(&self.gateway.origin) else {
                continue;
            };
            let leaf = self.gateway.push(&entry);
            let linked = entry.event.instance_link().map(|(_, name, _)| name.clone());
            if let Some(instance) = linked
                && matches!(self.session, Some(Session::Open(_)))
            {
                more.extend(self.step(Step::Enrolled { instance, leaf }));
            }
        }
        effects.extend(more);
        effects
    }

    fn proof_text(&mut self, holder: usize, chain: &VerifiedChain, call: Call<'_>) -> String {
        self.proofs += 1;
        let key = &self.holders[holder].key;
        let jti = format!("proof-{}", self.proofs);
        let draft = ProofDraft {
            audience: GATEWAY,
            issued_at: self.now,
            jti: &jti,
            chain: chain.digest(),
            call,
            execution: None,
            step: Some("step-1"),
        };
        draft.sign(key.public(), &|bytes| key.sign(bytes)).unwrap()
    }

    fn call(
        &mut self,
        holder: usize,
        chain: &VerifiedChain,
        consent: &chancery_delegation::Consent,
        principal: &Disclosure,
        execution: u8,
        (name, args): (&str, Value),
    ) -> Ruling {
        let canonical = to_jcs(&args).unwrap();
        self.keep(ObjectKind::Arguments, canonical);
        let args: Map<String, Value> = args.as_object().cloned().unwrap();
        let call = Call {
            server: "bank",
            target: Target::Tool(name),
            args: &args,
        };
        let text = self.proof_text(holder, chain, call);
        self.keep(ObjectKind::Proof, text.clone().into_bytes());
        // The first call comes with an opinion that has nothing against it.
        let opinion = (execution == 1).then_some(br#"{"verdict":"allow"}"#);
        if let Some(opinion) = opinion {
            self.keep(ObjectKind::Opinion, opinion.to_vec());
        }
        let opinion = opinion.map(|opinion| Opinion::read(opinion));
        let context = ProofContext {
            now: self.now,
            audience: GATEWAY,
            verifier: &AwsLc,
            started_at: at(0).minus_seconds(100),
            peer: &self.holders[holder].name,
            call,
        };
        let mut memory = BoundedReplayMemory::new(9, 9);
        let proof = verify_proof(Some(&text), chain, &context, &mut memory).unwrap();
        let judgement = self.session.as_ref().unwrap().judge(&CallInput {
            execution: id(execution),
            standing: Standing {
                now: self.now,
                epoch: 1,
                revoked: RevocationSet::none(),
            },
            chain,
            proof: &proof,
            consent: Some(consent),
            principal,
            mission: &self.mission,
            call,
            opinion: opinion.as_ref(),
            policy: &self.bundle,
            catalog: CatalogFacts {
                digest: Digest::of(to_canonical(&self.catalog).unwrap()),
                annotations: Some(Annotations {
                    read_only: false,
                    destructive: true,
                }),
            },
        });
        let ruling = judgement.ruling();
        self.step(Step::Decide(Box::new(judgement)));
        ruling
    }

    /// The second instance comes with the first one's chain; the gateway denies without judging.
    fn foreign_chain(&mut self, root: &VerifiedChain, execution: u8) {
        let args = Map::new();
        let args_digest = self.keep(ObjectKind::Arguments, b"{}".to_vec());
        let call = Call {
            server: "bank",
            target: Target::Tool("list"),
            args: &args,
        };
        let text = self.proof_text(1, root, call);
        let proof = self.keep(ObjectKind::Proof, text.into_bytes());
        let last = self.last_of(&self.label(1));
        let decision = Decision {
            execution: id(execution),
            session: id(1),
            instance: self.label(1),
            link: last,
            chain: root.digest(),
            leaf: Label::or_digest(root.leaf().jti()),
            proof,
            request: CallRecord {
                server: Label::or_digest("bank"),
                kind: CallKind::Tool,
                name: Label::or_digest("list"),
                args_digest,
                clear: BTreeMap::new(),
            },
            policy: self.bundle.digest(),
            outcome: Ruling::Deny,
            reason: Label::or_digest("holder_mismatch"),
            determining: Vec::new(),
            approvals: Vec::new(),
            cost_micros: 0,
            charges: Vec::new(),
            step: None,
            revoked: None,
            opinion: None,
        };
        let entry = Entry {
            origin: self.gateway.origin.clone(),
            at: self.now,
            event: decision.into(),
        };
        let leaf = self.gateway.push(&entry);
        let session = self.session.take().unwrap();
        self.session = Some(session.fold(&leaf, &entry).unwrap());
    }

    fn last_of(&self, instance: &Label) -> InstanceLink {
        let entries = self.gateway.parsed().into_iter().enumerate().rev();
        let mut own = entries.filter_map(|(index, entry)| {
            let (_, name, link) = entry.event.instance_link()?;
            (name == instance).then(|| (index, link.seq, entry.to_bytes().unwrap()))
        });
        let (index, seq, bytes) = own.next().unwrap();
        let prev = LeafRef {
            index: index as u64,
            hash: leaf_hash(&bytes),
        };
        InstanceLink {
            seq: seq + 1,
            prev: Some(prev),
        }
    }

    fn end_execution(&mut self, execution: u8) {
        self.step(Step::Outcome(ExecutionEnd {
            execution: id(execution),
            status: OutcomeStatus::Completed,
            result: Some(Digest::of("result")),
            bytes: 2,
            micros: 3,
        }));
    }

    fn ask(&mut self, execution: u8, chain: &VerifiedChain, args: &Value) {
        let open = self.session.as_ref().unwrap().as_open().unwrap();
        let display = json!({
            "instance": self.holders[0].name.as_str(),
            "principal": chain.principal().subject,
            "server": "bank",
            "tool": "pay",
            "arguments": String::from_utf8(to_jcs(args).unwrap()).unwrap(),
            "mission_s256": chain.mission().to_string(),
            "step": "step-1",
            "policies": ["large"],
            "session_calls": open.counts().allowed,
        });
        let displayed = self.keep(ObjectKind::Display, to_canonical(&display).unwrap());
        self.step(Step::Ask(ApprovalQuestion {
            execution: id::<chancery_types::id::ExecutionKind>(execution) as ExecutionId,
            approval: id(1),
            displayed,
            expires: self.now.plus_seconds(600),
            requester: None,
        }));
    }

    fn approve(&mut self) {
        let open = self.session.as_ref().unwrap().as_open().unwrap();
        let wanted: ApprovalId = id(1);
        let (_, pending) = open.pending().find(|(id, _)| *id == wanted).unwrap();
        let statement = ApprovalStatement {
            id: wanted,
            verdict: chancery_delegation::Verdict::Approve,
            action: pending.action,
            display: pending.displayed,
            session: id(1),
            policy: pending.policy,
            expires_at: self.later(500),
        };
        let another = self.another;
        let person = if another { approver() } else { person() };
        let assertion = self.assert(another, &statement.challenge().unwrap());
        let signed = json!({"statement": statement, "assertion": assertion});
        let evidence = self.keep(ObjectKind::Approval, to_canonical(&signed).unwrap());
        let relayed = ApprovalAnswer {
            approval: wanted,
            session: id(1),
            action: statement.action,
            displayed: statement.display,
            policy: statement.policy,
            verdict: Verdict::Approve,
            approver: person,
            answer: evidence,
            expires: statement.expires_at,
        };
        self.server.append(self.later(29), relayed.into());
        let credential = self.credential(another);
        let answer: Answer =
            verify_approval(statement, &assertion, &credential, self.now, &AwsLc).unwrap();
        let approver_key = self.key_of(another).public().thumbprint();
        let answered = Answered {
            answer,
            approver: person,
            approver_key,
            evidence,
        };
        self.step(Step::Answer(Box::new(answered)));
    }

    fn finish(mut self, root: &VerifiedChain) -> Scene {
        let index = make_index(&self.objects);
        self.now = self.later(50);
        let evidence = Some(Digest::of(&index));
        self.step(Step::End(Ending {
            evidence,
            ..self.end.clone()
        }));
        let note = self.gateway.checkpoint(&self.signers.gateway);
        self.gateway.note = Some(note.clone());
        let enrol = CheckpointEnrol {
            log: self.gateway.origin.clone(),
            size: self.gateway.size(),
            root: self.gateway.root(),
            checkpoint: Digest::of(&note),
        };
        self.server.append(self.later(51), enrol.into());
        let record = self.record(root, &index, &note);
        let enrol = RecordEnrol {
            session: id(1),
            record: Digest::of(&record),
            signer: self.signers.record.public().thumbprint(),
            evidence: Digest::of(&index),
        };
        self.server.append(self.later(52), enrol.into());
        for holder in [0, 1] {
            let end = IdentityEnd {
                instance: self.label(holder),
                reason: Label::or_digest("exited"),
                credentials: Vec::new(),
                launch: None,
            };
            self.server.append(self.later(53), end.into());
        }
        Scene {
            signers: self.signers,
            trust: self.trust,
            gateway: self.gateway,
            server: self.server,
            objects: self.objects,
            index,
            record,
        }
    }

    fn record(&self, root: &VerifiedChain, index: &[u8], note: &str) -> Vec<u8> {
        let leaves = self
            .gateway
            .parsed()
            .into_iter()
            .filter_map(|entry| match entry.event {
                Event::Decision(_) | Event::Outcome(_) => {
                    Some(leaf_hash(&entry.to_bytes().unwrap()))
                }
                _ => None,
            });
        let entries = self.gateway.parsed();
        let decided = entries
            .iter()
            .filter(|entry| matches!(entry.event, Event::Decision(_)));
        let decisions = decided.count() as u64;
        let reference = |rel: &str, id: String, digest| record::Reference {
            rel: rel.to_owned(),
            id,
            resolver: GATEWAY.to_owned(),
            digest,
        };
        let code = self.manifest.container_image().unwrap();
        let session: SessionId = id(1);
        let key = &self.signers.record;
        let mut made = record::TrustRecord {
            eat_profile: record::Profile::V02,
            iat: START + self.late + 51,
            subject: self.holders[0].name.to_string(),
            model: record::Model {
                provider: "none".into(),
                model_id: "deterministic".into(),
            },
            runtime: record::Runtime {
                platform: record::Platform::SoftwareOnly,
                measurement: code,
            },
            policy: record::Policy {
                bundle_hash: self.bundle.digest(),
                enforcement_mode: record::EnforcementMode::Enforce,
                version: "1".into(),
            },
            data_class: "unclassified".into(),
            build_provenance: record::BuildProvenance {
                slsa_level: 0,
                digest: code,
            },
            appraisal: record::Appraisal {
                status: record::AppraisalStatus::None,
                verifier: GATEWAY.into(),
            },
            cnf: record::Confirmation {
                jwk: record::ConfirmationKey::of(key.public()).unwrap(),
            },
            tool_transcript: record::ToolTranscript {
                hash: record::transcript_hash(leaves),
                call_count: decisions,
            },
            references: vec![
                reference(
                    "agent-manifest",
                    self.manifest.manifest_id().to_owned(),
                    self.manifest.payload_digest(),
                ),
                reference("evidence-index", session.to_string(), Digest::of(index)),
                reference(
                    "log-checkpoint",
                    self.gateway.origin.to_string(),
                    Digest::of(note),
                ),
                reference(
                    "delegation-root",
                    "root-1".to_owned(),
                    root.root().token_digest(),
                ),
            ],
            transparency: format!("https://{}", self.gateway.origin),
            signature: None,
        };
        let signature = key.sign(&made.signing_input().unwrap()).unwrap();
        made.signature = Some(base64url::encode(signature));
        made.to_bytes().unwrap()
    }
}

pub(crate) fn trust(signers: &Signers) -> VerifiedTrust {
    let document = TrustDocument {
        format: TrustFormat::V1,
        version: 1,
        trust_domain: "example.org".to_owned(),
        issued_at: at(0),
        previous: None,
        threshold: 1,
        roots: vec![*signers.root.public()],
        x509_authorities: Vec::new(),
        token_authorities: vec![*signers.tokens.public()],
        delegation_authorities: vec![DelegationAuthority {
            issuer: AUTHORITY.to_owned(),
            key: *signers.authority.public(),
        }],
        access_token_authorities: vec![],
        manifest_issuers: vec![ManifestIssuer {
            issuer: ISSUER.to_owned(),
            key: *signers.issuer.public(),
        }],
        people: vec![
            enrolled(
                person(),
                vec![Role::Principal, Role::Approver],
                "cred",
                &signers.person,
            ),
            enrolled(
                approver(),
                vec![Role::Approver],
                "cred-8",
                &signers.approver,
            ),
        ],
        policy_signers: vec![*signers.policy.public()],
        snapshot_signers: Vec::new(),
        record_signers: vec![*signers.record.public()],
        log_origins: vec![
            signers.gateway.to_origin(GATEWAY),
            signers
                .server
                .to_origin("spiffe://example.org/service/server"),
        ],
    };
    sign_trust(document, &signers.root)
}

fn enrolled(id: PersonId, roles: Vec<Role>, credential_id: &str, key: &SigningKey) -> Person {
    let credential = PersonCredential {
        credential_id: credential_id.to_owned(),
        key: *key.public(),
        rp_id: "localhost".to_owned(),
        origin: "http://localhost".to_owned(),
        hardware: false,
        stand_in: true,
    };
    Person {
        id,
        roles,
        credentials: vec![credential],
    }
}

pub(crate) fn sign_trust(trust: TrustDocument, root: &SigningKey) -> VerifiedTrust {
    let signature = root
        .sign(&SignedTrust::signing_input(&trust).unwrap())
        .unwrap();
    let kid = Jwk::kid(root.public());
    let signatures = vec![TrustSignature {
        kid,
        signature: base64url::encode(signature),
    }];
    SignedTrust { signatures, trust }.verify(&AwsLc).unwrap()
}

impl Scene {
    /// The same trust with another content.
    pub(crate) fn trust_with(&self, change: impl FnOnce(&mut TrustDocument)) -> VerifiedTrust {
        let mut document = self.trust.signed().trust.clone();
        change(&mut document);
        sign_trust(document, &self.signers.root)
    }
}

fn bundle(signer: &SigningKey, rules: Option<&Value>) -> (Rulebook, Vec<u8>) {
    let index = json!({"name": "p", "version": 1, "tools": {
        "bank/pay": {
            "args": {"amount": "long"}, "clear": ["amount"],
            "cost_arg": "amount", "cost_unit": "cents"
        },
        "bank/list": {},
    }});
    let mut files = BundleFiles::from([
        ("bundle.json".to_owned(), index.to_string().into_bytes()),
        ("p.cedar".to_owned(), POLICIES.as_bytes().to_vec()),
    ]);
    let schema = schema_text(&Index::parse(&files).unwrap());
    files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
    if let Some(rules) = rules {
        let rules = rules.to_string().into_bytes();
        files.insert("delegation.json".to_owned(), rules);
    }
    let texts: BTreeMap<_, _> = files
        .iter()
        .map(|(path, bytes)| (path.clone(), String::from_utf8(bytes.clone()).unwrap()))
        .collect();
    let bundle = Rulebook::load(&files).unwrap();
    let statement = SignedBundle::statement(bundle.digest());
    let signed = SignedBundle {
        files: texts,
        kid: signer.public().kid(),
        signature: base64url::encode(signer.sign(&statement).unwrap()),
    };
    let object = to_canonical(&signed).unwrap();
    (bundle, object)
}

fn catalog() -> Catalog {
    let tool = |name: &str| {
        let id = format!("spiffe://example.org/tool/bank/{name}");
        let leaf = CatalogTool::of(&id, &json!({"type": "object"}), name).unwrap();
        json!({
            "tool_id": id, "server": "bank", "name": name, "schema_hash": leaf.schema_hash,
            "description_hash": leaf.description_hash, "read_only": false, "destructive": true,
        })
    };
    let document = json!({"format": "chancery/catalog/v1", "tools": [tool("list"), tool("pay")]});
    Catalog::parse(&to_canonical(&document).unwrap()).unwrap()
}

fn manifest(signers: &Signers, bundle: &Rulebook, catalog: &Catalog) -> Vec<u8> {
    let bound_at = "2027-01-15T00:00:00Z";
    let leaves: Vec<_> = catalog
        .tools
        .iter()
        .map(|tool| CatalogTool {
            tool_id: tool.tool_id.clone(),
            schema_hash: tool.schema_hash,
            description_hash: tool.description_hash,
        })
        .collect();
    let tools: Vec<_> = catalog
        .tools
        .iter()
        .map(|tool| {
            json!({
                "tool_id": tool.tool_id, "tool_name": tool.name, "endpoint_id": tool.server,
                "schema_hash": tool.schema_hash, "description_hash": tool.description_hash,
                "version": "1",
            })
        })
        .collect();
    let document = json!({
        "@context": "https://manifest.agentrust-io.com/v0.2/context.json",
        "@type": "AgentManifest",
        "manifest_id": "018f4a3b-2c1d-7e5f-a8b9-0d1e2f3a4b5c",
        "agent_id": AGENT,
        "version": "0.2",
        "issued_at": "2027-01-15T00:00:00Z",
        "expires_at": "2027-07-15T00:00:00Z",
        "issuer": ISSUER,
        "crypto_profile": "standard",
        "artifacts": {
            "system_prompt": {
                "hash": Digest::of("prompt"), "version": "1", "classification": "internal",
                "bound_at": bound_at
            },
            "policy_bundle": {
                "hash": bundle.digest(), "policy_language": "cedar", "version": "1",
                "enforcement_mode": "enforce", "bound_at": bound_at
            },
            "tool_manifest": {
                "catalog_hash": catalog_root(&leaves).unwrap(),
                "tools": tools,
                "rug_pull_policy": "deny-and-alert", "bound_at": bound_at
            },
            "model_identity": {
                "provider": "none", "model_id": "none", "version": "1", "deployment_type": "api",
                "model_attestation_type": "provider-asserted", "bound_at": bound_at
            },
            "supply_chain": {"container_image_digest": Digest::of(CODE), "bound_at": bound_at}
        },
        "intent": {"statement": "pays invoices"}
    });
    let key = &signers.issuer;
    sign_manifest(&document, key.public(), &|message| key.sign(message)).unwrap()
}
