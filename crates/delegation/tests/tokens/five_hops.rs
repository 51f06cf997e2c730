//! A person, an orchestrator, its worker, an agent of another organisation, a tool: verified by a
//! third party that has the two organisations' trust documents and nothing else.

use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    Assertion, BoundedReplayMemory, Call, ChainContext, ChainTip, ConsentError, Entry, LinkDraft,
    PersonDraft, ProofContext, ProofDraft, Reason, RootDraft, SoftwareAuthenticator, Target, Terms,
    TrustAnchor, VerifiedChain, authorise, verify_chain, verify_consent, verify_proof,
};
use chancery_identity::trust::{
    DelegationAuthority, Person, PersonCredential, Role, SignedTrust, TrustDocument, TrustFormat,
    TrustSignature, VerifiedTrust,
};
use chancery_identity::{
    AttestationLevel, Confirmation, Isolation, SpiffeId, TrustDomain, WitBundle, WitClaims,
    verify_wit,
};
use chancery_types::id::{CredentialId, InstanceId, PersonId};
use chancery_types::{Algorithm, Digest, Timestamp, base64url, jws};
use serde_json::{Map, Value, json};

use crate::support::{NOW, entry};

/// Where the tool is: neither of the two organisations.
const TOOL_GATEWAY: &str = "spiffe://registry.example/service/gateway";

/// An organisation: what it keeps and what it publishes.
struct Organisation {
    domain: &'static str,
    root: SigningKey,
    authority: SigningKey,
    tokens: SigningKey,
    person: SigningKey,
}

struct Holder {
    name: SpiffeId,
    key: SigningKey,
    /// The credential of its agent key, by its own organisation.
    token: String,
}

impl Organisation {
    fn new(domain: &'static str) -> Self {
        let key = |algorithm| SigningKey::generate(algorithm).unwrap();
        Self {
            domain,
            root: key(Algorithm::Ed25519),
            authority: key(Algorithm::Ed25519),
            tokens: key(Algorithm::Es256),
            person: key(Algorithm::Es256),
        }
    }

    fn issuer(&self) -> String {
        format!("https://{}/authority", self.domain)
    }

    fn person_id(&self) -> PersonId {
        PersonId::from_random([self.domain.len() as u8; 16])
    }

    /// The trust document, as bytes that anybody may have.
    fn published(&self) -> Vec<u8> {
        let trust = TrustDocument {
            format: TrustFormat::V1,
            version: 1,
            trust_domain: self.domain.to_owned(),
            issued_at: NOW,
            previous: None,
            threshold: 1,
            roots: vec![*self.root.public()],
            x509_authorities: vec![],
            token_authorities: vec![*self.tokens.public()],
            jwt_authorities: vec![],
            delegation_authorities: vec![DelegationAuthority {
                issuer: self.issuer(),
                key: *self.authority.public(),
            }],
            access_token_authorities: vec![],
            manifest_issuers: vec![],
            people: vec![Person {
                id: self.person_id(),
                roles: vec![Role::Principal],
                credentials: vec![PersonCredential {
                    credential_id: "cred".to_owned(),
                    key: *self.person.public(),
                    rp_id: "localhost".to_owned(),
                    origin: "https://localhost".to_owned(),
                    hardware: false,
                    stand_in: true,
                }],
            }],
            policy_signers: vec![],
            policy_quorum: None,
            snapshot_signers: vec![],
            record_signers: vec![],
            witnesses: None,
            log_origins: vec![],
        };
        let input = SignedTrust::signing_input(&trust).unwrap();
        let signatures = vec![TrustSignature {
            kid: self.root.public().kid(),
            signature: base64url::encode(self.root.sign(&input).unwrap()),
        }];
        SignedTrust { signatures, trust }.to_bytes().unwrap()
    }

    fn holder(&self, agent: &str, number: u8) -> Holder {
        let id = InstanceId::from_random([number; 16]);
        let name = format!("spiffe://{}/agent/{agent}/instance/{id}", self.domain);
        let name: SpiffeId = name.parse().unwrap();
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let token = self.token(&name, &key);
        Holder { name, key, token }
    }

    fn token(&self, name: &SpiffeId, key: &SigningKey) -> String {
        let claims = WitClaims {
            sub: name.clone(),
            cnf: Confirmation { jwk: *key.public() },
            iat: NOW.as_seconds(),
            exp: NOW.as_seconds() + 3_600,
            jti: CredentialId::from_random([1; 16]),
            manifest_digest: Digest::of("manifest"),
            attestation_level: AttestationLevel::Launch,
            isolation: Isolation::Isolated,
        };
        let input = claims.signing_input(self.tokens.public()).unwrap();
        jws::assemble(&input, &self.tokens.sign(input.as_bytes()).unwrap())
    }
}

/// What travels to the tool, and nothing else does.
#[derive(Clone)]
struct Presented {
    chain: Vec<String>,
    consent: Vec<u8>,
    tokens: Vec<String>,
    proof: String,
    arguments: Map<String, Value>,
}

/// Why the third party says no.
#[derive(Debug, PartialEq, Eq)]
enum No {
    Chain(Reason, Option<usize>),
    Consent,
    Holder(usize),
    Proof(Reason),
    Scope,
}

/// The verification by a third party, from the bytes of trust documents and what was presented. The
/// `trusted` ones are whose roots it believes; `known` whose instances it can tell.
fn verify_offline(
    trusted: &[u8],
    known: &[&[u8]],
    presented: &Presented,
) -> Result<VerifiedChain, No> {
    let read = |bytes: &[u8]| SignedTrust::parse(bytes).unwrap().verify(&AwsLc).unwrap();
    let trust: VerifiedTrust = read(trusted);
    let anchors: Vec<TrustAnchor> = trust
        .delegation_authorities
        .iter()
        .map(TrustAnchor::from)
        .collect();
    let links: Vec<&str> = presented.chain.iter().map(String::as_str).collect();
    let context = ChainContext {
        now: NOW,
        audience: TOOL_GATEWAY,
        anchors: &anchors,
        epoch: 1,
        revoked: chancery_delegation::RevocationSet::none(),
        verifier: &AwsLc,
    };
    let chain = verify_chain(&links, &context)
        .map_err(|refusal| No::Chain(refusal.reason, refusal.link))?;
    check_consent(&trust, &chain, &presented.consent).map_err(|_| No::Consent)?;
    let bundles: Vec<WitBundle> = known
        .iter()
        .map(|bytes| {
            let trust = read(bytes);
            let domain: TrustDomain = trust.trust_domain.parse().unwrap();
            WitBundle::new(domain, trust.token_authorities.iter().copied())
        })
        .collect();
    for (at, link) in chain.links().enumerate() {
        let bound = presented.tokens.get(at).is_some_and(|token| {
            bundles.iter().any(|bundle| {
                verify_wit(token, bundle, NOW, &AwsLc).is_ok_and(|token| {
                    token.spiffe_id() == link.subject() && token.agent_key() == link.key()
                })
            })
        });
        if !bound {
            return Err(No::Holder(at));
        }
    }
    let call = tool_call(&presented.arguments);
    let proof = ProofContext {
        now: NOW,
        audience: TOOL_GATEWAY,
        verifier: &AwsLc,
        started_at: NOW.minus_seconds(60),
        peer: chain.leaf_subject(),
        call,
    };
    let mut memory = BoundedReplayMemory::new(9, 9);
    verify_proof(Some(&presented.proof), &chain, &proof, &mut memory)
        .map_err(|refusal| No::Proof(refusal.reason))?;
    authorise(&chain, &call).covered().map_err(|_| No::Scope)?;
    Ok(chain)
}

fn check_consent(
    trust: &VerifiedTrust,
    chain: &VerifiedChain,
    artefact: &[u8],
) -> Result<(), Option<ConsentError>> {
    let assertion = Assertion::parse(artefact).map_err(|_| None)?;
    let known = trust.credential(&assertion.credential_id).ok_or(None)?;
    let (person, credential) = known;
    if person.id.to_string() != chain.principal().subject {
        return Err(None);
    }
    verify_consent(chain, artefact, &credential.into(), &AwsLc)
        .map(drop)
        .map_err(Some)
}

fn tool_call(arguments: &Map<String, Value>) -> Call<'_> {
    Call {
        server: "registry",
        target: Target::Tool("lookup"),
        args: arguments,
    }
}

fn lookup(low: i64, high: i64) -> Entry {
    entry(json!({
        "type": "mcp_tool", "server": "registry", "tool": "lookup",
        "args": {"number": {"int_range": [low, high]}}, "limits": {"max_calls": 9}
    }))
}

fn terms(holder: &Holder, jti: &str, seconds: u64, entry: Entry) -> Terms {
    Terms {
        subject: holder.name.clone(),
        key: *holder.key.public(),
        audience: (jti == "root").then(|| vec![TOOL_GATEWAY.to_owned()]),
        issued_at: NOW,
        not_before: NOW,
        expires_at: NOW.plus_seconds(seconds),
        jti: jti.to_owned(),
        max_depth: 2,
        entries: vec![entry],
        forbid: Vec::new(),
        ask: Vec::new(),
    }
}

fn narrow(chain: &mut Vec<String>, from: &Holder, terms: Terms) {
    let links: Vec<&str> = chain.iter().map(String::as_str).collect();
    let tip = ChainTip::read(&links).unwrap();
    let link = LinkDraft { terms }
        .sign(&tip, &AwsLc, &|message| from.key.sign(message))
        .unwrap();
    chain.push(link);
}

/// The whole story, and the last holder.
fn story(acme: &Organisation, partner: &Organisation) -> (Presented, Holder) {
    let orchestrator = acme.holder("orchestrator", 1);
    let worker = acme.holder("worker", 2);
    let foreign = partner.holder("clerk", 3);
    let draft = RootDraft {
        issuer: acme.issuer(),
        terms: terms(&orchestrator, "root", 3_000, lookup(0, 1_000)),
        sid: "ses_1".to_owned(),
        epoch: 1,
        person: PersonDraft {
            issuer: acme.issuer(),
            subject: acme.person_id().to_string(),
            acr: "software-only".to_owned(),
            authenticated_at: NOW,
            standing: None,
        },
        mission: Digest::of("mission"),
    };
    let mut device = SoftwareAuthenticator::new("cred", "localhost", "https://localhost", 0);
    let consent = device
        .assert(&draft.challenge().unwrap(), |message| {
            acme.person.sign_der(message)
        })
        .unwrap();
    let consent = consent.to_bytes().unwrap();
    let key = &acme.authority;
    let root = draft
        .sign(Digest::of(&consent), key.public(), &AwsLc, &|message| {
            key.sign(message)
        })
        .unwrap();
    let mut chain = vec![root];
    narrow(
        &mut chain,
        &orchestrator,
        terms(&worker, "link-1", 2_000, lookup(0, 100)),
    );
    narrow(
        &mut chain,
        &worker,
        terms(&foreign, "link-2", 1_000, lookup(10, 20)),
    );
    let arguments = json!({"number": 15}).as_object().cloned().unwrap();
    let proof = prove(&foreign, &chain, &arguments);
    let presented = Presented {
        chain,
        consent,
        tokens: vec![orchestrator.token, worker.token, foreign.token.clone()],
        proof,
        arguments,
    };
    (presented, foreign)
}

fn prove(holder: &Holder, chain: &[String], arguments: &Map<String, Value>) -> String {
    let draft = ProofDraft {
        audience: TOOL_GATEWAY,
        issued_at: NOW,
        jti: "pop-1",
        chain: Digest::of(chain.join(",")),
        call: tool_call(arguments),
        execution: None,
        step: None,
    };
    draft
        .sign(holder.key.public(), &|message| holder.key.sign(message))
        .unwrap()
}

#[test]
fn five_hops_over_two_organisations_verify_in_a_third() {
    let (acme, partner) = (
        Organisation::new("acme.example"),
        Organisation::new("partner.example"),
    );
    let (presented, _) = story(&acme, &partner);
    let (ours, theirs) = (acme.published(), partner.published());
    let chain = verify_offline(&ours, &[&ours, &theirs], &presented).unwrap();
    let told: Vec<String> = chain
        .links()
        .map(|link| link.subject().to_string())
        .collect();
    assert!(told[0].starts_with("spiffe://acme.example/agent/orchestrator/"));
    assert!(told[1].starts_with("spiffe://acme.example/agent/worker/"));
    assert!(told[2].starts_with("spiffe://partner.example/agent/clerk/"));
    assert_eq!(chain.principal().subject, acme.person_id().to_string());
    assert_eq!(
        chain.expires_at(),
        Timestamp::from_seconds(NOW.as_seconds() + 1_000)
    );
}

#[test]
fn nothing_of_it_verifies_from_less_or_from_something_else() {
    let (acme, partner) = (
        Organisation::new("acme.example"),
        Organisation::new("partner.example"),
    );
    let (presented, foreign) = story(&acme, &partner);
    let (ours, theirs) = (acme.published(), partner.published());
    let no = |trusted: &[u8], known: &[&[u8]], presented: &Presented| {
        verify_offline(trusted, known, presented)
            .map(drop)
            .unwrap_err()
    };
    // The partner's trust document makes no roots of the other organisation.
    assert_eq!(
        no(&theirs, &[&ours, &theirs], &presented),
        No::Chain(Reason::UntrustedRoot, Some(0))
    );
    // Whose trust document is not there, their agent is nobody.
    assert_eq!(no(&ours, &[&ours], &presented), No::Holder(2));
    assert_eq!(no(&ours, &[&theirs], &presented), No::Holder(0));
    // One organisation cannot vouch for an agent of the other.
    let mut vouched = presented.clone();
    vouched.tokens[2] = acme.token(&foreign.name, &foreign.key);
    assert_eq!(no(&ours, &[&ours, &theirs], &vouched), No::Holder(2));
    // A look-alike with the partner's name and keys of its own.
    let other = Organisation::new("partner.example").published();
    assert_eq!(no(&ours, &[&ours, &other], &presented), No::Holder(2));
    // Another person's consent, and one over nothing of this.
    let mut unconsented = presented.clone();
    unconsented.consent = b"{}".to_vec();
    assert_eq!(no(&ours, &[&ours, &theirs], &unconsented), No::Consent);
    // Beyond what the last link permits, though the root would.
    let mut beyond = presented.clone();
    beyond.arguments = json!({"number": 50}).as_object().cloned().unwrap();
    beyond.proof = prove(&foreign, &beyond.chain, &beyond.arguments);
    assert_eq!(no(&ours, &[&ours, &theirs], &beyond), No::Scope);
    // The chain without its end is not the foreign agent's.
    let mut short = presented.clone();
    short.chain.pop();
    short.proof = prove(&foreign, &short.chain, &short.arguments);
    assert_eq!(
        no(&ours, &[&ours, &theirs], &short),
        No::Proof(Reason::PopBadSignature)
    );
    // Shared out once more than was permitted.
    let mut deeper = presented;
    let third = partner.holder("third", 4);
    let draft = terms(&third, "link-3", 900, lookup(10, 20));
    let links: Vec<&str> = deeper.chain.iter().map(String::as_str).collect();
    let tip = ChainTip::read(&links).unwrap();
    let refused = LinkDraft { terms: draft }
        .sign(&tip, &AwsLc, &|message| foreign.key.sign(message))
        .unwrap_err();
    assert!(refused.to_string().contains("depth_e"), "{refused}");
    deeper.chain.swap(1, 2);
    assert_eq!(
        no(&ours, &[&ours, &theirs], &deeper),
        No::Chain(Reason::BadSignature, Some(1))
    );
}
