//! A control plane in this process: signer, server, a person, an agent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_api::OwnerListener;
use chancery_api::server::{
    AnswerApproval, Approval, ApprovalState, RegisterAgent, ServerClient, TrustText,
};
use chancery_api::signer::SignerClient;
use chancery_crypto::{AwsLc, SigningKey, create_private_file, random_bytes};
use chancery_delegation::access_token::EXCHANGE_SERVER;
use chancery_delegation::{
    Assertion, CatalogTool, SoftwareAuthenticator, Verdict, catalog_root, sign_manifest,
};
use chancery_identity::TrustDomain;
use chancery_identity::trust::{
    AccessTokenAuthority, DelegationAuthority, LogOrigin, ManifestIssuer, Person, PersonCredential,
    Role, SignedTrust, TrustDocument, TrustFormat, TrustSignature, VerifiedTrust,
};
use chancery_journal::{Config, Journal, JournalError, Keyring, LocalSigner};
use chancery_policy::{Index, SignedBundle, schema_text};
use chancery_server::{Clock, RemoteSigner, Server, ServerConfig};
use chancery_signer::ca::{
    IssuingAuthority, SerialNumber, Validity, intermediate_certificate, root_certificate,
};
use chancery_signer::{Signer, SignerKeys};
use chancery_store::Store;
use chancery_types::id::PersonId;
use chancery_types::{Algorithm, Digest, Timestamp, base64url};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) const DOMAIN: &str = "acme.example";
pub(crate) const AGENT: &str = "spiffe://acme.example/agent/clerk";
pub(crate) const ISSUER: &str = "https://acme.example/oauth";
pub(crate) const CODE: &[u8] = b"the program";

const TOOLS: &str = include_str!("tools.json");
const INDEX: &str = r#"{
  "name": "tests", "version": VERSION,
  "tools": {
    "fs/read": {"args": {"path": "string"}, "clear": ["path"]},
    "token-exchange/https://api.example": {}, "token-exchange/https://asked.example": {},
    "token-exchange/https://denied.example": {},
    "fs/list": {}, "fs/note": {"args": {"text": "string?", "urgent": "bool?"}}, "fs/slow": {}, "fs/wipe": {}, "fs/change": {},
    "fs/pay": {"args": {"amount": "long"}, "clear": ["amount"], "cost_arg": "amount", "cost_unit": "cents"}
  }
}"#;
pub(crate) const POLICIES: &str = r#"
@id("use")
permit(principal, action, resource);
@id("no-wipe")
forbid(principal, action == Chancery::Action::"fs/wipe", resource);
@id("ask-pay")
@effect("ask")
permit(principal, action == Chancery::Action::"fs/pay", resource);
@id("no-denied")
forbid(principal, action == Chancery::Action::"token-exchange/https://denied.example", resource);
@id("ask-asked")
@effect("ask")
permit(principal, action == Chancery::Action::"token-exchange/https://asked.example", resource);
"#;

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap())
}

/// A person with a passkey in software.
pub(crate) struct Human {
    pub(crate) id: PersonId,
    key: SigningKey,
}

impl Human {
    fn new(byte: u8) -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        Self {
            id: PersonId::from_random([byte; 16]),
            key,
        }
    }

    fn credential_id(&self) -> String {
        base64url::encode(self.id.to_string())
    }

    fn to_trust(&self, roles: Vec<Role>) -> Person {
        Person {
            id: self.id,
            roles,
            credentials: vec![PersonCredential {
                credential_id: self.credential_id(),
                key: *self.key.public(),
                rp_id: "localhost".to_owned(),
                origin: "https://localhost".to_owned(),
                hardware: false,
                stand_in: true,
            }],
        }
    }

    pub(crate) fn assert(&self, challenge: &Digest) -> Assertion {
        let id = self.credential_id();
        let mut passkey = SoftwareAuthenticator::new(&id, "localhost", "https://localhost", 0);
        passkey
            .assert(challenge, |message| self.key.sign_der(message))
            .unwrap()
    }
}

pub(crate) struct Plane {
    pub(crate) data: PathBuf,
    pub(crate) trust: VerifiedTrust,
    pub(crate) principal: Human,
    pub(crate) approver: Human,
    pub(crate) manifest_key: SigningKey,
    pub(crate) policy_key: SigningKey,
    pub(crate) root: SigningKey,
    serving: Mutex<Option<(Weak<Server>, JoinHandle<()>)>>,
}

impl Plane {
    pub(crate) async fn start(data: &Path) -> Self {
        let domain: TrustDomain = DOMAIN.parse().unwrap();
        let key = |algorithm| SigningKey::generate(algorithm).unwrap();
        let (root, x509_root) = (key(Algorithm::Ed25519), key(Algorithm::Es256));
        let (policy_key, manifest_key) = (key(Algorithm::Ed25519), key(Algorithm::Ed25519));
        let record = key(Algorithm::Ed25519);
        let (principal, approver) = (Human::new(1), Human::new(2));
        for folder in ["signer", "server", "gateway"] {
            std::fs::create_dir(data.join(folder)).unwrap();
        }
        create_private_file(&data.join("gateway/record.key"), record.pkcs8().expose()).unwrap();
        let serial = || SerialNumber::from_random(random_bytes().unwrap());
        let validity = Validity::from_now(now(), 86_400 * 365);
        let certificate = root_certificate(&x509_root, &domain, validity, serial()).unwrap();
        let keys = SignerKeys::create(&data.join("signer"), |key| {
            let authority =
                IssuingAuthority::new(&domain, certificate.clone(), &x509_root).unwrap();
            let made = intermediate_certificate(&authority, key, now(), 86_400 * 30, serial());
            Ok::<_, chancery_signer::KeysError>(made.unwrap())
        })
        .unwrap();
        let origin = |folder: &str, name: &str| {
            let origin = format!("{DOMAIN}/log/{name}").parse().unwrap();
            let signer = LocalSigner::open_or_create(&data.join(folder), &origin).unwrap();
            let known = LogOrigin {
                origin: origin.to_string(),
                writer: format!("spiffe://{DOMAIN}/service/{name}"),
                ed25519: signer.keys().ed25519().to_string(),
                ml_dsa_44: signer.keys().ml_dsa_44().to_string(),
            };
            (signer, known)
        };
        let (log, server_origin) = origin("signer/log-key", "server");
        let (_, gateway_origin) = origin("gateway/log-key", "gateway");
        let trust = TrustDocument {
            format: TrustFormat::V1,
            version: 1,
            trust_domain: DOMAIN.to_owned(),
            issued_at: now(),
            previous: None,
            threshold: 1,
            roots: vec![*root.public()],
            x509_authorities: vec![base64url::encode(&certificate)],
            token_authorities: vec![*keys.token.public()],
            jwt_authorities: vec![],
            delegation_authorities: vec![DelegationAuthority {
                issuer: format!("https://{DOMAIN}/authority"),
                key: *keys.delegation.public(),
            }],
            access_token_authorities: vec![AccessTokenAuthority {
                issuer: ISSUER.to_owned(),
                key: *keys.access.as_ref().unwrap().public(),
            }],
            manifest_issuers: vec![ManifestIssuer {
                issuer: format!("spiffe://{DOMAIN}/issuer/manifests"),
                key: *manifest_key.public(),
            }],
            people: vec![
                principal.to_trust(vec![Role::Principal]),
                approver.to_trust(vec![Role::Approver]),
            ],
            policy_signers: vec![*policy_key.public()],
            policy_quorum: None,
            snapshot_signers: vec![*keys.snapshot.public()],
            record_signers: vec![*record.public()],
            witnesses: None,
            log_origins: vec![server_origin, gateway_origin],
        };
        let input = SignedTrust::signing_input(&trust).unwrap();
        let signature = TrustSignature {
            kid: root.public().kid(),
            signature: base64url::encode(root.sign(&input).unwrap()),
        };
        let trust = SignedTrust {
            signatures: vec![signature],
            trust,
        }
        .verify(&AwsLc)
        .unwrap();
        let document = trust.signed().to_bytes().unwrap();
        create_private_file(&data.join("trust.json"), &document).unwrap();
        let signer = Signer::new(keys, trust.clone(), log, &data.join("signer"), now).unwrap();
        let listener = OwnerListener::bind(&data.join("signer.sock")).unwrap();
        tokio::spawn(async move {
            let _ = signer.serve(listener).await;
        });
        let plane = Self {
            data: data.to_owned(),
            trust,
            principal,
            approver,
            manifest_key,
            policy_key,
            root,
            serving: Mutex::new(None),
        };
        plane.start_server().await;
        plane.publish(1, POLICIES).await;
        plane
    }

    pub(crate) fn client(&self) -> ServerClient {
        ServerClient::new(self.data.join("server.sock"))
    }

    pub(crate) async fn start_server(&self) {
        let signer = SignerClient::new(self.data.join("signer.sock"));
        let (folder, remote) = (self.data.join("server/log"), signer.clone());
        let runtime = tokio::runtime::Handle::current();
        let journal = tokio::task::spawn_blocking(move || {
            let origin: chancery_tlog::Origin = format!("{DOMAIN}/log/server").parse().unwrap();
            let signer = Arc::new(RemoteSigner::new(origin.clone(), remote, runtime));
            // One that was stopped lets go of its log a moment after the last who knew it.
            for _ in 0..500 {
                let config = Config::new(folder.clone(), origin.clone());
                match Journal::open(config, signer.clone()) {
                    Err(JournalError::Locked { .. }) => {
                        std::thread::sleep(std::time::Duration::from_millis(20));
                    }
                    opened => return opened.unwrap(),
                }
            }
            panic!("the log of the stopped server stays locked");
        });
        let keys = Arc::new(Keyring::open(&self.data.join("server/keys")).unwrap());
        let config = ServerConfig {
            store: Store::open(&self.data.join("server/chancery.db"), keys)
                .await
                .unwrap(),
            journal: journal.await.unwrap(),
            signer,
            trust: self.trust.clone(),
            trust_file: self.data.join("server/trust.json"),
            clock: Clock::new(Timestamp::from_micros(0)),
            svid_lifetime: chancery_server::SvidLifetime::default(),
            incubating: chancery_identity::Incubating::WIT_SVID.with_broker_api(),
            refresh_hint: 300,
            issuer: None,
        };
        let server = Server::new(config).await.unwrap();
        let listener = OwnerListener::bind(&self.data.join("server.sock")).unwrap();
        let known = Arc::downgrade(&server);
        let serving = tokio::spawn(async move {
            let _ = server.serve(listener).await;
        });
        *self.serving.lock().unwrap() = Some((known, serving));
    }

    /// Nobody answers on the server's socket any more, and its log is free.
    pub(crate) async fn stop_server(&self) {
        let serving = self.serving.lock().unwrap().take();
        if let Some((server, serving)) = serving {
            serving.abort();
            let _ = serving.await;
            for _ in 0..500 {
                if server.strong_count() == 0 {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }

    pub(crate) async fn publish(&self, version: u64, policies: &str) -> Digest {
        self.publish_with(version, policies, None).await
    }

    /// A bundle with rules for chains.
    pub(crate) async fn publish_with(
        &self,
        version: u64,
        policies: &str,
        rules: Option<Value>,
    ) -> Digest {
        let rules = rules.map(|rules| ("delegation.json", rules));
        self.publish_signed(version, policies, rules).await
    }

    /// A bundle with rules for sessions.
    pub(crate) async fn publish_sessions(
        &self,
        version: u64,
        policies: &str,
        mut members: Value,
    ) -> Digest {
        members["rules"] = json!("chancery/session-rules/v1");
        self.publish_signed(version, policies, Some(("session.json", members)))
            .await
    }

    async fn publish_signed(
        &self,
        version: u64,
        policies: &str,
        rules: Option<(&str, Value)>,
    ) -> Digest {
        let signed = self.bundle_with(version, policies, rules);
        self.client().publish_policy(&signed).await.unwrap();
        chancery_policy::bundle_digest(&signed.to_files()).unwrap()
    }

    /// A bundle as its policy signer signs it, published nowhere.
    pub(crate) fn bundle(&self, version: u64, policies: &str) -> SignedBundle {
        self.bundle_with(version, policies, None)
    }

    fn bundle_with(
        &self,
        version: u64,
        policies: &str,
        rules: Option<(&str, Value)>,
    ) -> SignedBundle {
        let index = INDEX.replace("VERSION", &version.to_string());
        let mut files = BTreeMap::from([
            ("bundle.json".to_owned(), index.into_bytes()),
            ("policies.cedar".to_owned(), policies.as_bytes().to_vec()),
        ]);
        let schema = schema_text(&Index::parse(&files).unwrap());
        files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
        if let Some((name, rules)) = rules {
            files.insert(name.to_owned(), rules.to_string().into_bytes());
        }
        let digest = chancery_policy::bundle_digest(&files).unwrap();
        let statement = SignedBundle::statement(digest);
        SignedBundle {
            files: files
                .into_iter()
                .map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap()))
                .collect(),
            kid: self.policy_key.public().kid(),
            signature: base64url::encode(self.policy_key.sign(&statement).unwrap()),
            approvals: Vec::new(),
        }
    }

    /// Installs the next version of the trust document in force.
    pub(crate) async fn change_trust(&self, change: impl FnOnce(&mut TrustDocument)) {
        let current = self.client().trust().await.unwrap().document;
        let current = SignedTrust::parse(current.as_bytes()).unwrap();
        let current = current.verify(&AwsLc).unwrap();
        let mut trust = current.signed().trust.clone();
        trust.version += 1;
        trust.previous = Some(current.digest());
        trust.issued_at = now();
        change(&mut trust);
        let input = SignedTrust::signing_input(&trust).unwrap();
        let signature = TrustSignature {
            kid: self.root.public().kid(),
            signature: base64url::encode(self.root.sign(&input).unwrap()),
        };
        let signed = SignedTrust {
            signatures: vec![signature],
            trust,
        };
        let document = String::from_utf8(signed.to_bytes().unwrap()).unwrap();
        self.client()
            .install_trust(&TrustText { document })
            .await
            .unwrap();
    }

    /// A manifest for what is in force, changed by `change` before it is signed.
    pub(crate) async fn manifest(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        self.manifest_with(&[], change).await
    }

    /// The same for a gateway that lists these exchanges too.
    pub(crate) async fn manifest_with(
        &self,
        exchanges: &[Value],
        change: impl FnOnce(&mut Value),
    ) -> Vec<u8> {
        let policy = self.client().status().await.unwrap().policy_digest;
        let mut listed: Vec<Value> = serde_json::from_str(TOOLS).unwrap();
        let served = listed.len();
        listed.extend_from_slice(exchanges);
        let server = |place: usize| {
            if place < served {
                "fs"
            } else {
                EXCHANGE_SERVER
            }
        };
        let leaf = |(place, tool): (usize, &Value)| {
            let id = format!(
                "spiffe://{DOMAIN}/tool/{}/{}",
                server(place),
                tool["name"].as_str().unwrap()
            );
            let description = tool["description"].as_str().unwrap();
            CatalogTool::of(&id, &tool["inputSchema"], description).unwrap()
        };
        let leaves: Vec<_> = listed.iter().enumerate().map(leaf).collect();
        let tools: Vec<_> = leaves
            .iter()
            .zip(&listed)
            .enumerate()
            .map(|(place, (leaf, tool))| {
                json!({
                    "tool_id": leaf.tool_id, "tool_name": tool["name"],
                    "endpoint_id": server(place),
                    "schema_hash": leaf.schema_hash, "description_hash": leaf.description_hash,
                    "version": "1"
                })
            })
            .collect();
        let bound_at = "2026-01-01T00:00:00Z";
        let hash = |text: &[u8]| Digest::of(text).to_string();
        let second = |at: Timestamp| at.to_string().replace(".000000Z", "Z");
        let today = Timestamp::from_seconds(now().as_seconds());
        let expires_at = second(today.plus_seconds(86_400 * 30));
        let issued_at = second(today.minus_seconds(86_400));
        let mut document = json!({
            "@context": "https://manifest.agentrust-io.com/v0.2/context.json",
            "@type": "AgentManifest",
            "manifest_id": "018f4a3b-2c1d-7e5f-a8b9-0d1e2f3a4b5c",
            "agent_id": AGENT,
            "version": "0.2",
            "issued_at": issued_at,
            "expires_at": expires_at,
            "issuer": format!("spiffe://{DOMAIN}/issuer/manifests"),
            "crypto_profile": "standard",
            "artifacts": {
                "system_prompt": {
                    "hash": hash(b"prompt"), "version": "1", "classification": "internal",
                    "bound_at": bound_at
                },
                "policy_bundle": {
                    "hash": policy.to_string(), "policy_language": "cedar", "version": "1",
                    "enforcement_mode": "enforce", "bound_at": bound_at
                },
                "tool_manifest": {
                    "catalog_hash": catalog_root(&leaves).unwrap().to_string(), "tools": tools,
                    "rug_pull_policy": "deny-and-alert", "bound_at": bound_at
                },
                "model_identity": {
                    "provider": "none", "model_id": "none", "version": "1",
                    "deployment_type": "api", "model_attestation_type": "provider-asserted",
                    "bound_at": bound_at
                },
                "supply_chain": {"container_image_digest": hash(CODE), "bound_at": bound_at}
            },
            "intent": {"statement": "keeps the books"}
        });
        change(&mut document);
        let key = &self.manifest_key;
        sign_manifest(&document, key.public(), &|message| key.sign(message)).unwrap()
    }

    pub(crate) async fn register(&self, manifest: &[u8]) {
        let request = RegisterAgent {
            manifest: base64url::encode(manifest),
            ..RegisterAgent::default()
        };
        self.client().register_agent(&request).await.unwrap();
    }

    /// The one open question, once there is one.
    pub(crate) async fn question(&self) -> Approval {
        for _ in 0..200 {
            let open = self
                .client()
                .approvals()
                .await
                .unwrap()
                .approvals
                .into_iter();
            let mut open = open.filter(|one| one.state == ApprovalState::Pending);
            if let Some(question) = open.next() {
                return question;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("nobody asks");
    }

    pub(crate) async fn answer(&self, question: &Approval, verdict: Verdict) {
        let request = &question.request;
        let statement = request.statement(verdict).unwrap();
        let assertion = self.approver.assert(&statement.challenge().unwrap());
        let statement = serde_json::to_value(&statement).unwrap();
        let answer = AnswerApproval {
            statement,
            assertion,
        };
        self.client()
            .answer_approval(request.approval_id, &answer)
            .await
            .unwrap();
    }
}
