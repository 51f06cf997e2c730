//! A complete session: two instances, one allowed call, one denied, one escalated and approved, one
//! with somebody else's chain; and everything that its evidence holds.

mod authority;
mod calls;
mod documents;
mod record;
mod server;
mod signers;

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::*;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    IssuerKey, ManifestContext, Mission, RevocationSet, VerifiedManifest, verify_manifest,
};
use chancery_evidence::{
    Catalog, EvidenceIndex, Files, INDEX_PATH, IndexFormat, Object, ObjectKind, TRUST_RECORD_PATH,
    object_path,
};
use chancery_identity::trust::*;
use chancery_identity::{
    AttestationLevel, Confirmation, SpiffeId, VerifiedWit, WitBundle, WitClaims, verify_wit,
};
use chancery_session::{
    Budgets, Effect, Ending, Event as Step, Member, Opening, PRINCIPAL, Rulebook, Session,
    principal_text,
};
use chancery_types::id::{CredentialId, Id, InstanceKind, Kind, PersonId};
use chancery_types::{Algorithm, Digest, Timestamp, jws, to_canonical};
use serde_json::{Value, json};

use crate::log_writer::{Log, LogSigner};
use documents::{bundle, manifest, mission};
pub(crate) use documents::{catalog, manifest_that};
pub(crate) use server::attested;
use signers::sign_trust;
pub(crate) use signers::{Signers, key, trust};

pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const GATEWAY: &str = "spiffe://example.org/service/gateway";
pub(crate) const AUTHORITY: &str = "https://authority.example.org";
const AGENT: &str = "spiffe://example.org/agent/clerk";
const ISSUER: &str = "spiffe://example.org/issuer/manifests";

pub(crate) fn id<K: Kind>(number: u8) -> Id<K> {
    Id::from_random([number; 16])
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

pub(crate) struct Scene {
    pub signers: Signers,
    pub(crate) trust: VerifiedTrust,
    pub(crate) gateway: Log,
    pub(crate) server: Log,
    pub(crate) objects: BTreeMap<Digest, (ObjectKind, Vec<u8>)>,
    pub(crate) index: Vec<u8>,
    pub(crate) record: Vec<u8>,
    /// The agent keys of the two instances.
    pub(crate) keys: Vec<SigningKey>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_mission(|_| {})
    }

    /// The same calls under another mission.
    pub(crate) fn with_mission(change: impl FnOnce(&mut Value)) -> Self {
        let mut document = mission();
        change(&mut document);
        Builder::new(document.to_string().into_bytes(), [None, None]).play()
    }

    /// The same calls under a root that is the first use of a standing consent; `change` changes what
    /// the server enrols before the root.
    pub(crate) fn with_standing(change: fn(&mut Vec<Event>), beside: Beside) -> Self {
        let mut builder = Builder::new(mission().to_string().into_bytes(), [None, None]);
        builder.standing = Some(change);
        builder.beside = beside;
        builder.play()
    }

    /// The same calls under rules for chains.
    pub(crate) fn with_rules(rules: &Value) -> Self {
        Builder::new(mission().to_string().into_bytes(), [Some(rules), None]).play()
    }

    /// The same calls under rules for sessions that observe something.
    pub(crate) fn observed(observe: &Value) -> Self {
        let rules = json!({"rules": "chancery/session-rules/v1", "observe": observe});
        let mut document = mission();
        // What policy denies for its size is within the sums.
        document["budget"]["cost_micros"] = json!(1_000_000_000_000_u64);
        let rules = [None, Some(&rules)];
        Builder::new(document.to_string().into_bytes(), rules).play()
    }

    /// The same play with something beside it, and another end.
    pub(crate) fn with(beside: Beside, reason: EndReason, cause: Option<&str>) -> Self {
        let mut builder = Builder::new(mission().to_string().into_bytes(), [None, None]);
        builder.beside = beside;
        builder.end.reason = reason;
        builder.end.cause = cause.map(Label::or_digest);
        builder.play()
    }

    /// The same play with something beside it, whose calls come that many seconds later.
    pub(crate) fn late(beside: Beside, seconds: u64) -> Self {
        let mut builder = Builder::new(mission().to_string().into_bytes(), [None, None]);
        builder.beside = beside;
        builder.late = seconds;
        builder.play()
    }

    /// The same play with something beside it, in which another person answers.
    pub(crate) fn answered_by_another(beside: Beside) -> Self {
        let mut builder = Builder::new(mission().to_string().into_bytes(), [None, None]);
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
    pub(crate) server: Log,
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

pub(crate) fn person() -> PersonId {
    id(9)
}

/// Somebody who only approves.
pub(crate) fn approver() -> PersonId {
    id(8)
}

impl Builder {
    fn new(mission: Vec<u8>, rules: [Option<&Value>; 2]) -> Self {
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
        if self.call(1, &link, &consent, &principal, 2, ("pay", huge)) == Ruling::Allow {
            self.end_execution(2);
        }
        self.now = self.later(22);
        self.foreign_chain(&root, 3);
        self.now = self.later(23);
        let large = json!({"amount": 5_000});
        let pay = ("pay", large.clone());
        let paid = self.call(0, &root, &consent, &principal, 4, pay.clone());
        if paid == Ruling::Allow {
            self.end_execution(4);
        }
        if paid == Ruling::Escalate {
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

    /// The gateway enrols something.
    pub(crate) fn gateway(&mut self, second: u64, event: Event) {
        self.gateway.append(at(second), event);
    }

    /// Another log goes on from the gateway's, of which 40 more entries were signed.
    pub(crate) fn succeed(&mut self, second: u64, by: LogSigner) {
        let succeed = LogSucceed {
            log: self.gateway.origin.clone(),
            size: self.gateway.size(),
            root: self.gateway.root(),
            checkpoint: Digest::of("the note of what is left"),
            signed: self.gateway.size() + 40,
            signed_root: Digest::of("the root of what was signed"),
            signed_checkpoint: Digest::of("its note"),
        };
        self.gateway.origin = by.origin.as_str().parse().unwrap();
        self.gateway.append(at(second), succeed.into());
        self.signers.gateway = by;
    }

    /// All objects that there are.
    pub(crate) fn digests(&self) -> BTreeSet<Digest> {
        self.objects.keys().copied().collect()
    }

    /// The gateway keeps quiet about the objects of that kind.
    pub(crate) fn forget(&mut self, kind: ObjectKind) {
        self.objects.retain(|_, (known, _)| *known != kind);
    }

    /// The SPIFFE ID of an instance.
    pub(crate) fn instance(&self, holder: usize) -> Label {
        self.label(holder)
    }

    /// The server enrols something.
    pub(crate) fn enrol(&mut self, second: u64, event: Event) {
        self.server.append(at(second), event);
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
}

impl Scene {
    /// The same trust with another content.
    pub(crate) fn trust_with(&self, change: impl FnOnce(&mut TrustDocument)) -> VerifiedTrust {
        let mut document = self.trust.signed().trust.clone();
        change(&mut document);
        sign_trust(document, &self.signers.root)
    }
}
