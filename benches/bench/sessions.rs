//! The judgement of a session, young and old.

use anyhow::{Context as _, ensure};
use chancery_audit::{Disclosure, Label, LeafRef, OutcomeStatus, Ruling, commit, leaf_hash};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    Call, IssuerKey, ManifestContext, Mission, RevocationSet, Standing, Target, VerifiedChain,
    VerifiedProof, verify_manifest,
};
use chancery_identity::{
    AttestationLevel, Confirmation, Isolation, WitBundle, WitClaims, verify_wit,
};
use chancery_policy::{Annotations, Files, Index, schema_text};
use chancery_session::{
    Budgets, CallInput, CatalogFacts, Commons, Effect, Event, ExecutionEnd, Joining, Member,
    Opening, PRINCIPAL, Rulebook, Session, principal_text,
};
use chancery_types::id::{CredentialId, ExecutionId};
use chancery_types::jws::assemble;
use chancery_types::{Algorithm, Digest};
use serde_json::{Map, Value, json};

use crate::chains::{GATEWAY, NOW, Parties, SERVER, TOOL, instance, mission, session, verify};
use crate::options::Options;
use crate::report::{Report, Row, Section};
use crate::sample::{Subject, interleave};
use crate::{manifest, tool_server};

/// Calls behind an old session.
const OLD: u64 = 5_000;
const POLICY: &str = r#"
@id("read") permit (principal, action == Chancery::Action::"fs/read", resource);
@id("secret") forbid (principal, action == Chancery::Action::"fs/read", resource)
  when { context.args.path like "/reports/secret/*" };
"#;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let scene = Scene::new()?;
    let args = Map::from_iter([("path".to_owned(), Value::from("/reports/march.csv"))]);
    let call = Call {
        server: SERVER,
        target: Target::Tool(TOOL),
        args: &args,
    };
    let proof = scene.parties.proof(0, &scene.chain, call)?;
    let proof = verify(&proof, &scene.chain, &instance(0)?, call)?;
    let young = scene.open()?;
    let mut old = scene.open()?;
    for execution in 0..OLD {
        old = scene.execute(old, execution, call, &proof)?;
    }
    let input = scene.input(ExecutionId::from_random([0xff; 16]), call, &proof);
    let (input, old) = (&input, &old.session);
    let judge = |session| -> Subject<'_> {
        let session: &Session = session;
        Box::new(move || {
            ensure!(session.judge(input).ruling() == Ruling::Allow);
            Ok(())
        })
    };
    let mut subjects = [judge(&young.session), judge(old)];
    let measured = interleave(options.arithmetic(), &mut subjects)?;
    let [young, old] = measured.as_slice() else {
        anyhow::bail!("a measurement is missing")
    };
    let mut section = Section::new("session judgements");
    section.row(Row::alone("Session::judge, first call", young));
    let name = format!("Session::judge after {OLD} calls");
    section.row(Row::beside(name, old, "first call", young));
    section.remark("chain, policy and limits; chain and proof were verified before");
    report.push(section);
    Ok(())
}

struct Scene {
    parties: Parties,
    chain: VerifiedChain,
    mission: Mission,
    principal: Disclosure,
    policy: Rulebook,
    commons: Commons,
    member: Member,
}

/// A session and how many entries its log has.
struct Recorded {
    session: Session,
    entries: u64,
}

impl Recorded {
    /// Takes a step and says that its entries are durable.
    fn step(self, event: Event) -> anyhow::Result<Self> {
        let (mut session, effects) = step(self.session, event)?;
        let mut entries = self.entries;
        let origin = Label::or_digest("log");
        for entry in effects.iter().filter_map(|effect| effect.entry(&origin)) {
            let leaf = LeafRef {
                index: entries,
                hash: leaf_hash(&entry.to_bytes()?),
            };
            entries += 1;
            if let Some((_, instance, _)) = entry.event.instance_link() {
                let instance = instance.clone();
                session = step(session, Event::Enrolled { instance, leaf })?.0;
            }
        }
        Ok(Self { session, entries })
    }
}

fn step(session: Session, event: Event) -> anyhow::Result<(Session, Vec<Effect>)> {
    let refused = |refused: chancery_session::Refused| anyhow::anyhow!("{}", refused.fault());
    session.step(NOW, event).map_err(refused)
}

impl Scene {
    fn new() -> anyhow::Result<Self> {
        let parties = Parties::new(1)?;
        let chain = parties.verify(&parties.chain(1)?)?;
        let principal = Disclosure {
            name: Label::or_digest(PRINCIPAL),
            salt: [5; 32],
            value: principal_text(chain.principal())?,
        };
        let policy = policy()?;
        let member = member(&parties, policy.digest())?;
        Ok(Self {
            parties,
            chain,
            mission: mission()?,
            principal,
            policy,
            commons: Commons::default(),
            member,
        })
    }

    fn open(&self) -> anyhow::Result<Recorded> {
        let opening = Opening {
            gateway: Label::or_digest(GATEWAY),
            member: self.member.clone(),
            chain: self.chain.clone(),
            mission: self.mission.clone(),
            consent: None,
            principal: self.principal.clone(),
            operator: commit("operator", &[6; 32], b"Acme"),
            policy: self.policy.digest(),
            catalog: Digest::of("catalog"),
            trust: 1,
            expires: NOW.plus_seconds(3_600),
            budgets: Budgets::default(),
        };
        let joining = Joining {
            member: self.member.clone(),
            chain: self.chain.clone(),
            principal: self.principal.clone(),
        };
        let new = Recorded {
            session: Session::new(session()),
            entries: 0,
        };
        new.step(Event::Open(Box::new(opening)))?
            .step(Event::Join(Box::new(joining)))
    }

    /// One call from its judgement to its outcome.
    fn execute(
        &self,
        recorded: Recorded,
        number: u64,
        call: Call<'_>,
        proof: &VerifiedProof,
    ) -> anyhow::Result<Recorded> {
        let mut bits = [0; 16];
        let (head, _) = bits.split_first_chunk_mut::<8>().context("16 bytes")?;
        *head = number.to_be_bytes();
        let execution = ExecutionId::from_random(bits);
        let judgement = recorded.session.judge(&self.input(execution, call, proof));
        recorded
            .step(Event::Decide(Box::new(judgement)))?
            .step(Event::Outcome(ExecutionEnd {
                execution,
                status: OutcomeStatus::Completed,
                result: Some(Digest::of("result")),
                bytes: 2,
                micros: 3,
            }))
    }

    fn input<'a>(
        &'a self,
        execution: ExecutionId,
        call: Call<'a>,
        proof: &'a VerifiedProof,
    ) -> CallInput<'a> {
        CallInput {
            execution,
            standing: Standing {
                now: NOW,
                epoch: 1,
                revoked: RevocationSet::none(),
            },
            chain: &self.chain,
            proof,
            consent: None,
            principal: &self.principal,
            mission: &self.mission,
            call,
            opinion: None,
            policy: &self.policy,
            catalog: CatalogFacts {
                digest: Digest::of("catalog"),
                annotations: Some(Annotations::default()),
            },
            commons: &self.commons,
        }
    }
}

fn policy() -> anyhow::Result<Rulebook> {
    let index = json!({"name": "p", "version": 1, "tools": {
        "fs/read": {"args": {"path": "string"}, "clear": ["path"]},
    }});
    let mut files = Files::from([
        ("bundle.json".to_owned(), index.to_string().into_bytes()),
        ("p.cedar".to_owned(), POLICY.as_bytes().to_vec()),
    ]);
    let schema = schema_text(&Index::parse(&files)?);
    files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
    Ok(Rulebook::load(&files)?)
}

fn member(parties: &Parties, policy: Digest) -> anyhow::Result<Member> {
    let issuer = SigningKey::generate(Algorithm::Ed25519)?;
    let tools = tool_server::tools();
    let envelope = manifest::sign(&issuer, &tools, policy, NOW)?;
    let context = ManifestContext {
        now: NOW,
        issuers: &[IssuerKey {
            issuer: manifest::ISSUER.to_owned(),
            key: *issuer.public(),
        }],
        revoked: &|_| false,
        verifier: &AwsLc,
    };
    let manifest = verify_manifest(&envelope, &context)?;
    let authority = SigningKey::generate(Algorithm::Es256)?;
    let claims = WitClaims {
        sub: instance(0)?,
        cnf: Confirmation {
            jwk: *parties.holder(0)?.public(),
        },
        iat: NOW.as_seconds(),
        exp: NOW.plus_seconds(3_600).as_seconds(),
        jti: CredentialId::from_random([4; 16]),
        manifest_digest: manifest.payload_digest(),
        attestation_level: AttestationLevel::Launch,
        isolation: Isolation::Isolated,
    };
    let input = claims.signing_input(authority.public())?;
    let token = assemble(&input, &authority.sign(input.as_bytes())?);
    let bundle = WitBundle::new("acme.example".parse()?, [*authority.public()]);
    let wit = verify_wit(&token, &bundle, NOW, &AwsLc)?;
    Ok(Member::new(
        &wit,
        &manifest,
        Some(manifest::catalog(&tools)?),
    )?)
}
