//! The signer's rules, over its socket: what it signs and, above all, what it does not.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "rules/authorities.rs"]
mod authorities;
#[path = "rules/jwt.rs"]
mod jwt;
#[path = "rules/sealing.rs"]
mod sealing;
#[path = "rules/snapshots.rs"]
mod snapshots;
#[path = "rules/standing.rs"]
mod standing;
#[path = "rules/vault.rs"]
mod vault;
#[path = "rules/wit_svid.rs"]
mod wit_svid;

use chancery_api::lift::{Lift, SignedLift};
use chancery_api::server::{Leaf, MAX_TOGETHER};
use chancery_api::signer::{
    SignCheckpoint, SignRoot, SignSnapshot, SignWit, SignX509, SignX509s, SignerClient,
};
use chancery_api::snapshot::Snapshot;
use chancery_api::{ClientError, OwnerListener};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    Assertion, Entry, PersonDraft, Revocable, Revocation, RevocationSet, RootDraft,
    SoftwareAuthenticator, Target, Terms,
};
use chancery_identity::TrustDomain;
use chancery_identity::trust::{
    DelegationAuthority, LogOrigin, Person, PersonCredential, Role, SignedTrust, TrustDocument,
    TrustFormat, TrustSignature, VerifiedTrust,
};
use chancery_journal::LocalSigner;
use chancery_signer::ca::{
    IssuingAuthority, SerialNumber, Validity, intermediate_certificate, root_certificate,
};
use chancery_signer::{KeysError, Signer, SignerKeys};
use chancery_types::id::PersonId;
use chancery_types::limits::{MAX_REVOCATIONS, MAX_SAFE_INTEGER};
use chancery_types::{Algorithm, Digest, RevocationKind, Timestamp, base64url, to_canonical};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const INSTANCE: &str = "spiffe://example.org/agent/clerk/instance/ins_7zzzzzzzzzzzzzzzzzzzzzzzzz";

struct Bench {
    folder: tempfile::TempDir,
    root: SigningKey,
    x509_root: SigningKey,
    trust: VerifiedTrust,
    client: SignerClient,
    person: SigningKey,
    holder: SigningKey,
}

fn now() -> Timestamp {
    NOW
}

fn person_id() -> PersonId {
    PersonId::from_random([1; 16])
}

impl Bench {
    async fn new(roles: &[Role]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let domain: TrustDomain = "example.org".parse().unwrap();
        let root = SigningKey::generate(Algorithm::Es256).unwrap();
        let serial = || SerialNumber::from_random([7; 16]);
        let validity = Validity::from_now(NOW, 86_400 * 365);
        let certificate = root_certificate(&root, &domain, validity, serial()).unwrap();
        let keys = SignerKeys::create(folder.path(), |key| {
            let authority = IssuingAuthority::new(&domain, certificate.clone(), &root).unwrap();
            let made = intermediate_certificate(&authority, key, NOW, 86_400, serial());
            Ok::<_, KeysError>(made.unwrap())
        })
        .unwrap();
        let origin = "example.org/log/server".parse().unwrap();
        let log = LocalSigner::open_or_create(&folder.path().join("log"), &origin).unwrap();
        let person = SigningKey::generate(Algorithm::Es256).unwrap();
        let trust_root = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let certificate = base64url::encode(certificate);
        let trust = trust(&keys, &trust_root, &person, roles, certificate);
        let signer = Signer::new(keys, trust.clone(), log, folder.path(), now).unwrap();
        let socket = folder.path().join("signer.sock");
        let listener = OwnerListener::bind(&socket).unwrap();
        tokio::spawn(signer.serve(listener));
        let holder = SigningKey::generate(Algorithm::Ed25519).unwrap();
        Self {
            folder,
            root: trust_root,
            x509_root: root,
            trust,
            client: SignerClient::new(socket),
            person,
            holder,
        }
    }

    fn draft(&self) -> RootDraft {
        RootDraft {
            issuer: "https://example.org/authority".into(),
            terms: Terms {
                subject: INSTANCE.parse().unwrap(),
                key: *self.holder.public(),
                audience: Some(vec!["spiffe://example.org/service/gateway".into()]),
                issued_at: NOW,
                not_before: NOW,
                expires_at: NOW.plus_seconds(600),
                jti: "del_1".into(),
                max_depth: 1,
                entries: vec![Entry::new("ledger", Target::Tool("list")).unwrap()],
                forbid: vec![],
                ask: vec![],
            },
            sid: "ses_1".into(),
            epoch: 1,
            person: PersonDraft {
                issuer: "https://example.org/authority".into(),
                subject: person_id().to_string(),
                acr: "software-only".into(),
                authenticated_at: NOW,
                standing: None,
            },
            mission: Digest::of(mission()),
        }
    }

    fn consent(&self, draft: &RootDraft) -> Assertion {
        let mut software = SoftwareAuthenticator::new("cred", "localhost", "https://localhost", 0);
        let challenge = draft.challenge().unwrap();
        software
            .assert(&challenge, |message| self.person.sign_der(message))
            .unwrap()
    }

    /// A request for the token of an instance with the holder's key.
    fn wit(&self, sub: &str, exp: u64) -> SignWit {
        let claims = serde_json::json!({
            "sub": sub, "cnf": {"jwk": self.holder.public()}, "iat": 1_800_000_000_u64, "exp": exp,
            "jti": "crd_7zzzzzzzzzzzzzzzzzzzzzzzzz", "manifest_digest": Digest::of(b"m"),
            "attestation_level": "software-only/launch", "isolation": "isolated",
        });
        SignWit {
            claims: String::from_utf8(to_canonical(&claims).unwrap()).unwrap(),
        }
    }

    async fn root(&self, draft: &RootDraft, consent: Assertion) -> Result<String, String> {
        self.root_for(draft, consent, &mission()).await
    }

    async fn root_for(
        &self,
        draft: &RootDraft,
        consent: Assertion,
        mission: &str,
    ) -> Result<String, String> {
        let request = SignRoot {
            claims: draft.to_claims().unwrap(),
            consent: consent.into(),
            mission: base64url::encode(mission),
        };
        reason(self.client.root(&request).await).map(|signed| signed.token)
    }
}

fn trust(
    keys: &SignerKeys,
    root: &SigningKey,
    person: &SigningKey,
    roles: &[Role],
    certificate: String,
) -> VerifiedTrust {
    let trust = TrustDocument {
        format: TrustFormat::V1,
        version: 1,
        trust_domain: "example.org".into(),
        issued_at: NOW,
        previous: None,
        threshold: 1,
        roots: vec![*root.public()],
        x509_authorities: vec![certificate],
        token_authorities: vec![*keys.token.public()],
        jwt_authorities: keys.jwt.iter().map(|key| *key.public()).collect(),
        delegation_authorities: vec![DelegationAuthority {
            issuer: "https://example.org/authority".into(),
            key: *keys.delegation.public(),
        }],
        access_token_authorities: vec![],
        manifest_issuers: vec![],
        people: vec![Person {
            id: person_id(),
            roles: roles.to_vec(),
            credentials: vec![PersonCredential {
                credential_id: "cred".into(),
                key: *person.public(),
                rp_id: "localhost".into(),
                origin: "https://localhost".into(),
                hardware: false,
                stand_in: true,
            }],
        }],
        policy_signers: vec![],
        policy_quorum: None,
        snapshot_signers: vec![*keys.snapshot.public()],
        record_signers: vec![],
        witnesses: None,
        log_origins: ["gateway", "gateway/g2"]
            .map(|name| LogOrigin {
                origin: format!("example.org/log/{name}"),
                writer: format!("spiffe://example.org/service/{name}"),
                ed25519: String::new(),
                ml_dsa_44: String::new(),
            })
            .to_vec(),
    };
    let input = SignedTrust::signing_input(&trust).unwrap();
    let signature = TrustSignature {
        kid: root.public().kid(),
        signature: base64url::encode(root.sign(&input).unwrap()),
    };
    SignedTrust {
        signatures: vec![signature],
        trust,
    }
    .verify(&AwsLc)
    .unwrap()
}

fn mission() -> String {
    serde_json::json!({
        "mission": "chancery/mission/v1",
        "goal": "Keep the books.",
        "outcome": {"open": 0},
        "steps": [{"id": "keep", "text": "Keep them.", "means": []}],
        "forbid": [],
        "stop": [],
        "budget": {"calls": 9, "cost_micros": 0, "seconds": 900},
        "approver": {"role": "approver"},
        "expires": "2099-12-31T00:00:00Z",
    })
    .to_string()
}

fn reason<T>(answer: Result<T, ClientError>) -> Result<T, String> {
    answer.map_err(|error| match error {
        ClientError::Refused(problem) => problem.reason,
        other => panic!("{other}"),
    })
}

fn x509(spiffe_id: &str) -> SignX509 {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    SignX509 {
        spiffe_id: spiffe_id.into(),
        dns_names: Vec::new(),
        spki: base64url::encode(chancery_identity::spki_der(key.public())),
        now: NOW,
        lifetime_seconds: 600,
        serial: base64url::encode([9; 16]),
    }
}

fn named(spiffe_id: &str, dns_names: &[&str]) -> SignX509 {
    let dns_names = dns_names.iter().map(|name| name.parse().unwrap());
    SignX509 {
        dns_names: dns_names.collect(),
        ..x509(spiffe_id)
    }
}

#[tokio::test]
async fn an_svid_is_for_an_instance_or_a_service_of_the_own_domain() {
    let bench = Bench::new(&[]).await;
    for good in [
        INSTANCE,
        "spiffe://example.org/service/gateway",
        "spiffe://example.org/service/gateway/g2",
        "spiffe://example.org/service/node",
        "spiffe://example.org/service/node/nod_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    ] {
        let signed = bench.client.x509(&x509(good)).await.unwrap();
        assert_eq!(signed.chain.len(), 2);
    }
    for bad in [
        "spiffe://example.org",
        "spiffe://example.org/agent/clerk",
        "spiffe://example.org/service/signer",
        "spiffe://example.org/service/node/host-1",
        "spiffe://example.com/service/node/nod_7zzzzzzzzzzzzzzzzzzzzzzzzz",
        "spiffe://example.com/service/gateway",
        "spiffe://example.org/service/gateway/g3",
        "spiffe://example.org/agent/clerk/instance/1",
        "https://example.org/service/gateway",
    ] {
        assert_eq!(
            reason(bench.client.x509(&x509(bad)).await).unwrap_err(),
            "spiffe_id",
            "{bad}"
        );
    }
}

/// The server is believed no more than that an instance has these names: a service never has one.
#[tokio::test]
async fn dns_names_are_an_instances_alone() {
    let bench = Bench::new(&[]).await;
    let request = named(INSTANCE, &["a.example", "b.example"]);
    let signed = bench.client.x509(&request).await.unwrap();
    let leaf = base64url::decode(&signed.chain[0]).unwrap();
    for name in ["a.example", "b.example", INSTANCE] {
        let found = leaf.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(found, "{name}");
    }
    let many: Vec<String> = (10..27)
        .map(|number| format!("n{number}.example"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    bench
        .client
        .x509(&named(INSTANCE, &many[1..]))
        .await
        .unwrap();
    for (id, names) in [
        ("spiffe://example.org/service/gateway", &["a.example"][..]),
        ("spiffe://example.org/service/node", &["a.example"]),
        ("spiffe://example.org/service/server", &["a.example"]),
        (
            "spiffe://example.org/service/node/nod_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            &["a.example"],
        ),
        (INSTANCE, &many),
        (INSTANCE, &["a.example", "a.example"]),
        (INSTANCE, &["b.example", "a.example"]),
    ] {
        let refused = reason(bench.client.x509(&named(id, names)).await);
        assert_eq!(refused.unwrap_err(), "dns_names", "{id} {names:?}");
    }
    // What is no DNS name is not even read.
    let text = serde_json::to_string(&named(INSTANCE, &["a.example"])).unwrap();
    for bad in ["*.example", "127.0.0.1", "spiffe://example.org/x", ""] {
        let request = text.replace("a.example", bad);
        assert!(serde_json::from_str::<SignX509>(&request).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn of_several_each_is_signed_or_refused_by_itself() {
    let bench = Bench::new(&[]).await;
    let other = "spiffe://example.org/agent/clerk/instance/ins_7yyyyyyyyyyyyyyyyyyyyyyyyy";
    let revoked = "spiffe://example.org/agent/clerk/instance/ins_7xxxxxxxxxxxxxxxxxxxxxxxxx";
    let gone = Revocation {
        what: Revocable::new(RevocationKind::Instance, revoked).unwrap(),
        at: NOW,
    };
    bench.snapshot(2, 1, &[gone]).await.unwrap();
    let later = SignX509 {
        now: NOW.plus_seconds(5),
        ..x509(other)
    };
    let requests = vec![
        x509(INSTANCE),
        x509(revoked),
        x509("spiffe://example.org/agent/clerk"),
        SignX509 {
            spki: base64url::encode([4; 91]),
            ..x509(other)
        },
        SignX509 {
            lifetime_seconds: 3_601,
            ..x509(other)
        },
        later.clone(),
        SignX509 {
            now: NOW.minus_seconds(61),
            ..x509(other)
        },
        x509(other),
    ];
    let asked = SignX509s {
        requests: requests.clone(),
    };
    let signed = bench.client.x509s(&asked).await.unwrap();
    let outcomes: Vec<_> = signed
        .leaves
        .iter()
        .map(|leaf| match leaf {
            Leaf::Issued(_) => "issued",
            Leaf::Refused(problem) => problem.reason.as_str(),
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            "issued",
            "revoked",
            "spiffe_id",
            "certificate",
            "lifetime",
            "issued",
            "clock_skew",
            "issued"
        ]
    );
    // Each is over the key and the name that were asked for in its place, and begins at its time.
    assert_eq!(signed.intermediates.len(), 1);
    for (request, leaf) in requests.iter().zip(&signed.leaves) {
        let Leaf::Issued(leaf) = leaf else { continue };
        let alone = bench.client.x509(request).await.unwrap();
        assert_eq!(alone.chain[1..], signed.intermediates);
        let leaf = base64url::decode(leaf).unwrap();
        let spki = base64url::decode(&request.spki).unwrap();
        assert!(leaf.windows(spki.len()).any(|part| part == spki));
        let name = request.spiffe_id.as_bytes();
        assert!(leaf.windows(name.len()).any(|part| part == name));
    }
    for count in [0, MAX_TOGETHER + 1] {
        let requests = vec![x509(INSTANCE); count];
        let refused = reason(bench.client.x509s(&SignX509s { requests }).await);
        assert_eq!(refused.unwrap_err(), "requests", "{count}");
    }
}

#[tokio::test]
async fn dns_names_are_checked_for_each_of_those_that_are_signed_together() {
    let bench = Bench::new(&[]).await;
    let requests = vec![
        named(INSTANCE, &["a.example"]),
        named("spiffe://example.org/service/gateway", &["a.example"]),
        named(INSTANCE, &["b.example", "a.example"]),
        named(INSTANCE, &["b.example"]),
        x509(INSTANCE),
    ];
    let signed = bench.client.x509s(&SignX509s { requests }).await.unwrap();
    let has = |leaf: &Leaf, name: &str| match leaf {
        Leaf::Issued(leaf) => {
            let leaf = base64url::decode(leaf).unwrap();
            leaf.windows(name.len()).any(|part| part == name.as_bytes())
        }
        Leaf::Refused(problem) => panic!("{problem:?}"),
    };
    for (number, a, b) in [(0, true, false), (3, false, true), (4, false, false)] {
        let leaf = &signed.leaves[number];
        assert_eq!((has(leaf, "a.example"), has(leaf, "b.example")), (a, b));
        assert!(has(leaf, INSTANCE));
    }
    for number in [1, 2] {
        let Leaf::Refused(problem) = &signed.leaves[number] else {
            panic!("{number}");
        };
        assert_eq!(problem.reason, "dns_names");
    }
}

#[tokio::test]
async fn an_svid_lives_an_hour_at_most_and_begins_now() {
    let bench = Bench::new(&[]).await;
    for (lifetime, ok) in [
        (0, false),
        (1, true),
        (3_600, true),
        (3_601, false),
        (u64::MAX, false),
    ] {
        let request = SignX509 {
            lifetime_seconds: lifetime,
            ..x509(INSTANCE)
        };
        assert_eq!(bench.client.x509(&request).await.is_ok(), ok, "{lifetime}");
    }
    for (now, why) in [
        (NOW.minus_seconds(61), "clock_skew"),
        (NOW.plus_seconds(61), "clock_skew"),
        (Timestamp::from_micros(MAX_SAFE_INTEGER), "clock_skew"),
        (Timestamp::from_micros(MAX_SAFE_INTEGER + 1), "unreadable"),
    ] {
        let request = SignX509 {
            now,
            ..x509(INSTANCE)
        };
        let refused = reason(bench.client.x509(&request).await);
        assert_eq!(refused.unwrap_err(), why);
    }
    let request = SignX509 {
        spki: "AAAA".into(),
        ..x509(INSTANCE)
    };
    assert_eq!(
        reason(bench.client.x509(&request).await).unwrap_err(),
        "certificate"
    );
    let request = SignX509 {
        serial: "AAAA".into(),
        ..x509(INSTANCE)
    };
    assert_eq!(
        reason(bench.client.x509(&request).await).unwrap_err(),
        "serial"
    );
}

#[tokio::test]
async fn a_token_is_for_an_own_instance_and_a_day_at_most() {
    let bench = Bench::new(&[]).await;
    let claims = |sub: &str, exp: u64| bench.wit(sub, exp);
    bench
        .client
        .wit(&claims(INSTANCE, 1_800_000_600))
        .await
        .unwrap();
    for (sub, exp, code) in [
        ("spiffe://example.org/agent/clerk", 1_800_000_600, "sub"),
        ("spiffe://example.org/service/gateway", 1_800_000_600, "sub"),
        (&*INSTANCE.replace(".org", ".com"), 1_800_000_600, "sub"),
        (INSTANCE, 1_800_086_401, "lifetime"),
        (INSTANCE, 1_800_000_000, "claims"),
    ] {
        assert_eq!(
            reason(bench.client.wit(&claims(sub, exp)).await).unwrap_err(),
            code,
            "{sub}"
        );
    }
    let spaced = SignWit {
        claims: claims(INSTANCE, 1_800_000_600)
            .claims
            .replacen('{', "{ ", 1),
    };
    assert_eq!(
        reason(bench.client.wit(&spaced).await).unwrap_err(),
        "claims"
    );
}

#[tokio::test]
async fn a_root_needs_the_principals_own_consent_to_these_very_claims() {
    let bench = Bench::new(&[Role::Principal]).await;
    let draft = bench.draft();
    let token = bench.root(&draft, bench.consent(&draft)).await.unwrap();
    assert_eq!(token.split('.').count(), 3);

    let mut wider = draft.clone();
    wider
        .terms
        .entries
        .push(Entry::new("ledger", Target::Tool("post")).unwrap());
    assert_eq!(
        bench.root(&wider, bench.consent(&draft)).await.unwrap_err(),
        "consent"
    );

    let mut foreign = bench.consent(&draft);
    foreign.credential_id = "other".into();
    assert_eq!(bench.root(&draft, foreign).await.unwrap_err(), "consent");

    let mut other_person = draft.clone();
    other_person.person.subject = PersonId::from_random([2; 16]).to_string();
    let consent = bench.consent(&other_person);
    assert_eq!(
        bench.root(&other_person, consent).await.unwrap_err(),
        "consent"
    );

    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut software = SoftwareAuthenticator::new("cred", "localhost", "https://localhost", 0);
    let challenge = draft.challenge().unwrap();
    let forged = software
        .assert(&challenge, |message| stranger.sign_der(message))
        .unwrap();
    assert_eq!(bench.root(&draft, forged).await.unwrap_err(), "consent");
}

#[tokio::test]
async fn an_approver_is_no_principal() {
    let bench = Bench::new(&[Role::Approver]).await;
    let draft = bench.draft();
    assert_eq!(
        bench.root(&draft, bench.consent(&draft)).await.unwrap_err(),
        "consent"
    );
}

#[tokio::test]
async fn a_root_stays_within_the_authority() {
    let bench = Bench::new(&[Role::Principal]).await;
    let change = |change: fn(&mut RootDraft)| {
        let mut draft = bench.draft();
        change(&mut draft);
        draft
    };
    for (draft, code) in [
        (
            change(|d| d.issuer = "https://example.com".into()),
            "issuer",
        ),
        (
            change(|d| d.person.issuer = "https://example.com".into()),
            "issuer",
        ),
        (
            change(|d| d.terms.expires_at = NOW.plus_seconds(3_601)),
            "lifetime",
        ),
        (
            change(|d| d.terms.issued_at = NOW.minus_seconds(120)),
            "clock_skew",
        ),
        (
            change(|d| d.terms.subject = "spiffe://example.com/agent/x".parse().unwrap()),
            "sub",
        ),
    ] {
        let consent = bench.consent(&draft);
        assert_eq!(bench.root(&draft, consent).await.unwrap_err(), code);
    }
    let draft = bench.draft();
    let request = SignRoot {
        claims: draft.to_claims().unwrap().replace(":{", ": {"),
        consent: bench.consent(&draft).into(),
        mission: base64url::encode(mission()),
    };
    assert_eq!(
        reason(bench.client.root(&request).await).unwrap_err(),
        "malformed"
    );
}

#[tokio::test]
async fn a_root_is_for_a_mission_that_it_does_not_outlive() {
    let bench = Bench::new(&[Role::Principal]).await;
    let draft = bench.draft();
    let mut other = draft.clone();
    other.mission = Digest::of("# Mission");
    for (draft, mission, code) in [
        (&draft, "# Mission".to_owned(), "mission_mismatch"),
        (
            &draft,
            mission().replace("Keep", "Burn"),
            "mission_mismatch",
        ),
        (&other, "# Mission".to_owned(), "mission_invalid"),
    ] {
        let refused = bench.root_for(draft, bench.consent(draft), &mission).await;
        assert_eq!(refused.unwrap_err(), code);
    }
    // `NOW` and 600 seconds is when the root ends.
    for (expires, expected) in [(600, Ok(())), (599, Err("mission_expiry".to_owned()))] {
        let expires = NOW.plus_seconds(expires).to_string();
        let mission = mission().replace("2099-12-31T00:00:00Z", &expires);
        let mut draft = draft.clone();
        draft.mission = Digest::of(&mission);
        let signed = bench
            .root_for(&draft, bench.consent(&draft), &mission)
            .await;
        assert_eq!(signed.map(drop), expected);
    }
}

#[tokio::test]
async fn checkpoints_only_go_forward_and_only_of_the_own_log() {
    let bench = Bench::new(&[]).await;
    let text = |origin: &str, size: u64| SignCheckpoint {
        text: format!("{origin}\n{size}\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"),
        consistency: vec![],
    };
    assert_eq!(
        bench
            .client
            .checkpoint(&text("example.org/log/server", 0))
            .await
            .unwrap()
            .signatures
            .len(),
        2
    );
    for bad in [
        text("example.org/log/gateway", 0),
        text("example.com/log/server", 0),
    ] {
        assert_eq!(
            reason(bench.client.checkpoint(&bad).await).unwrap_err(),
            "ratchet"
        );
    }
    let one = SignCheckpoint {
        text: "example.org/log/server\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".into(),
        consistency: vec![],
    };
    bench.client.checkpoint(&one).await.unwrap();
    assert_eq!(
        reason(
            bench
                .client
                .checkpoint(&text("example.org/log/server", 0))
                .await
        )
        .unwrap_err(),
        "ratchet"
    );
    let fork = SignCheckpoint {
        text: "example.org/log/server\n1\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n".into(),
        consistency: vec![],
    };
    assert_eq!(
        reason(bench.client.checkpoint(&fork).await).unwrap_err(),
        "ratchet"
    );
}

fn revocation(kind: RevocationKind, id: &str, at: Timestamp) -> Revocation {
    let what = Revocable::new(kind, id).unwrap();
    Revocation { what, at }
}
