//! A trust domain in this process: authorities, a signer, a server with both of its endpoints.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_api::lift::{Lift, SignedLift};
use chancery_api::server::{
    AddFederation, FederationView, LiftRevocation, ServerClient, TrustText,
};
use chancery_api::signer::SignerClient;
use chancery_api::{ClientError, OwnerListener};
use chancery_audit::{Entry, Event};
use chancery_crypto::{AwsLc, SigningKey, create_private_file, random_bytes};
use chancery_delegation::Revocation;
use chancery_identity::federation::EndpointProfile;
use chancery_identity::trust::{
    ManifestIssuer, SignedTrust, TrustDocument, TrustFormat, TrustSignature, VerifiedTrust,
};
use chancery_identity::{
    BundleDocument, BundleKeys, Incubating, JwtBundle, Relationship, SpiffeId, TrustDomain,
    WitSvidBundle, X509Bundle, spki_der,
};
use chancery_journal::{Config, Journal, Keyring, LocalDisk, LocalSigner, Reader, Storage};
use chancery_policy::{Files, Index, SignedBundle, bundle_digest, schema_text};
use chancery_server::{
    BundleEndpointConfig, BundleEndpoints, Clock, NodeHome, NodeListener, Server, ServerConfig,
    WebEndpoint,
};
use chancery_signer::ca::{
    IssuingAuthority, LeafRequest, SerialNumber, Validity, intermediate_certificate,
    leaf_certificate, root_certificate,
};
use chancery_signer::{Signer, SignerKeys};
use chancery_store::{FederationRow, Store};
use chancery_types::{Algorithm, SvidKey, Timestamp, base64url};
use sqlx::Connection as _;
use tokio::task::JoinHandle;

use crate::dam::{Dam, Watched};
use crate::web::Web;

pub(crate) const DAY: u64 = 86_400;

pub(crate) fn now() -> Timestamp {
    Clock::machine()
}

pub(crate) fn serial() -> SerialNumber {
    SerialNumber::from_random(random_bytes().unwrap())
}

/// The authority of a trust domain, with or without a server.
pub(crate) struct Authority {
    pub(crate) name: TrustDomain,
    pub(crate) root: SigningKey,
    pub(crate) certificate: Vec<u8>,
    pub(crate) jwt: SigningKey,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::valid(name, now().minus_seconds(DAY), 30 * DAY)
    }

    pub(crate) fn valid(name: &str, from: Timestamp, seconds: u64) -> Self {
        let name: TrustDomain = name.parse().unwrap();
        let root = SigningKey::generate(Algorithm::Es256).unwrap();
        let validity = Validity::from_now(from, seconds);
        let certificate = root_certificate(&root, &name, validity, serial()).unwrap();
        Self {
            name,
            root,
            certificate,
            jwt: SigningKey::generate(Algorithm::Es256).unwrap(),
        }
    }

    /// A leaf and its key, issued at `at` for an hour.
    pub(crate) fn leaf(&self, path: &str, at: Timestamp) -> (Vec<Vec<u8>>, SigningKey) {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let spki = spki_der(key.public());
        let id: SpiffeId = format!("spiffe://{}{path}", self.name).parse().unwrap();
        let authority =
            IssuingAuthority::new(&self.name, self.certificate.clone(), &self.root).unwrap();
        let request = LeafRequest {
            spiffe_id: &id,
            dns_names: &[],
            spki_der: &spki,
            now: at,
            lifetime_seconds: 3_600,
            serial: serial(),
        };
        (vec![leaf_certificate(&authority, request).unwrap()], key)
    }

    pub(crate) fn keys(&self) -> BundleKeys {
        let jwt = SvidKey::try_from(self.jwt.public()).unwrap();
        BundleKeys {
            x509: X509Bundle::new(self.name.clone(), [self.certificate.clone()]).unwrap(),
            jwt: JwtBundle::new(self.name.clone(), [jwt]),
            wit: WitSvidBundle::new(self.name.clone(), []),
        }
    }

    pub(crate) fn bundle(&self, sequence: u64) -> String {
        let document = BundleDocument::new(self.name.clone(), self.keys(), sequence, 300);
        document.to_json().unwrap()
    }
}

const POLICY_INDEX: &str = r#"{"name": "own", "version": VERSION, "tools": {
  "fs/read": {"args": {"path": "string"}, "clear": ["path"]}
}}"#;
const POLICIES: &str =
    r#"@id("read") permit (principal, action == Chancery::Action::"fs/read", resource);"#;

/// A trust domain with a server.
pub(crate) struct Domain {
    folder: tempfile::TempDir,
    pub(crate) authority: Authority,
    trust_root: SigningKey,
    pub(crate) manifests: SigningKey,
    policy_key: SigningKey,
    pub(crate) web: Web,
    pub(crate) spiffe_at: SocketAddr,
    pub(crate) web_at: SocketAddr,
    pub(crate) nodes_at: SocketAddr,
    pub(crate) trust: VerifiedTrust,
    /// What it opted in to; in force from the next start.
    pub(crate) incubating: Incubating,
    serving: Vec<JoinHandle<()>>,
    /// Where it finds its signer.
    signer: PathBuf,
    /// What its log is on; from the next start.
    disk: Arc<dyn Storage>,
}

impl Domain {
    pub(crate) async fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let authority = Authority::new(name);
        let trust_root = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let manifests = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let policy_key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        std::fs::create_dir(data.join("signer")).unwrap();
        let keys = SignerKeys::create(&data.join("signer"), |key| {
            let certificate = authority.certificate.clone();
            let issuing =
                IssuingAuthority::new(&authority.name, certificate, &authority.root).unwrap();
            let made = intermediate_certificate(&issuing, key, now(), 20 * DAY, serial());
            Ok::<_, chancery_signer::KeysError>(made.unwrap())
        })
        .unwrap();
        let document = TrustDocument {
            format: TrustFormat::V1,
            version: 1,
            trust_domain: name.to_owned(),
            issued_at: now(),
            previous: None,
            threshold: 1,
            roots: vec![*trust_root.public()],
            x509_authorities: vec![base64url::encode(&authority.certificate)],
            token_authorities: vec![*keys.token.public()],
            jwt_authorities: vec![*keys.jwt.as_ref().unwrap().public()],
            delegation_authorities: vec![],
            access_token_authorities: vec![],
            manifest_issuers: vec![ManifestIssuer {
                issuer: format!("spiffe://{name}/issuer/manifests"),
                key: *manifests.public(),
            }],
            people: vec![],
            policy_signers: vec![*policy_key.public()],
            policy_quorum: None,
            snapshot_signers: vec![*keys.snapshot.public()],
            record_signers: vec![],
            witnesses: None,
            log_origins: vec![],
        };
        let trust = signed(&trust_root, document).verify(&AwsLc).unwrap();
        let origin = format!("{name}/log/server").parse().unwrap();
        let log = LocalSigner::open_or_create(&data.join("signer/log-key"), &origin).unwrap();
        let signer = Signer::new(keys, trust.clone(), log, &data.join("signer"), now).unwrap();
        let listener = OwnerListener::bind(&data.join("signer.sock")).unwrap();
        tokio::spawn(async move {
            let _ = signer.serve(listener).await;
        });
        let web = Web::new(&["localhost"], 0..DAY);
        let mut domain = Self {
            authority,
            trust_root,
            manifests,
            policy_key,
            web,
            spiffe_at: ([127, 0, 0, 1], 0).into(),
            web_at: ([127, 0, 0, 1], 0).into(),
            nodes_at: ([127, 0, 0, 1], 0).into(),
            trust,
            incubating: Incubating::NONE,
            serving: Vec::new(),
            signer: folder.path().join("signer.sock"),
            disk: Arc::new(LocalDisk),
            folder,
        };
        domain.serve().await;
        domain
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn journal(&self) -> Journal {
        let name = self.authority.name.to_string();
        let (log, keys) = (self.at("log"), self.at("log-key"));
        let disk = Arc::clone(&self.disk);
        let opening = tokio::task::spawn_blocking(move || {
            let origin: chancery_tlog::Origin = format!("{name}/log/server").parse().unwrap();
            // One that was stopped lets go of its log a moment after the last who knew it.
            for _ in 0..500 {
                let signer = LocalSigner::open_or_create(&keys, &origin).map(Arc::new);
                let config = Config {
                    storage: Arc::clone(&disk),
                    ..Config::new(log.clone(), origin.clone())
                };
                match signer.map(|signer| Journal::open(config, signer)) {
                    Ok(Ok(opened)) => return opened,
                    _ => std::thread::sleep(Duration::from_millis(20)),
                }
            }
            panic!("the log of the stopped server stays locked");
        });
        opening.await.unwrap()
    }

    /// What its log holds, when nobody serves any more.
    pub(crate) async fn entries(&mut self) -> Vec<Entry> {
        self.stop().await;
        let journal = self.journal().await;
        let entries = journal.entries(0..journal.size());
        let entries = entries.map(|read| Entry::parse(&read.unwrap().1).unwrap());
        entries.collect()
    }

    /// Writes entries of a second ago into its log, as a server does that is killed before its tables have
    /// heard of them.
    pub(crate) async fn enrolled(&mut self, events: Vec<Event>) {
        self.stop().await;
        let journal = self.journal().await;
        let entries = events.into_iter().map(|event| {
            let entry = Entry {
                origin: journal.origin().as_str().parse().unwrap(),
                at: now().minus_seconds(1),
                event,
            };
            entry.to_bytes().unwrap()
        });
        journal.append_all(entries.collect()).await.unwrap();
        tokio::task::spawn_blocking(move || drop(journal))
            .await
            .unwrap();
    }

    async fn serve(&mut self) {
        let journal = self.journal().await;
        let issuer = format!("https://localhost/{}", self.authority.name);
        let issuer: chancery_identity::jwt_svid::JwtIssuer = issuer.parse().unwrap();
        let config = ServerConfig {
            store: store(&self.folder).await,
            journal,
            signer: SignerClient::new(self.signer.clone()),
            trust: self.trust.clone(),
            trust_file: self.at("trust.json"),
            clock: Clock::new(Timestamp::from_micros(0)),
            refresh_hint: 120,
            svid_lifetime: chancery_server::SvidLifetime::default(),
            incubating: self.incubating,
            issuer: Some(issuer.clone()),
        };
        let server = Server::new(config).await.unwrap();
        let (certificate, key) = (self.at("web.pem"), self.at("web.key"));
        if !key.exists() {
            std::fs::write(&certificate, self.web.certificate_pem()).unwrap();
            create_private_file(&key, self.web.key_pem().as_bytes()).unwrap();
        }
        let endpoints = BundleEndpointConfig {
            https_spiffe: Some(self.spiffe_at),
            https_web: Some(WebEndpoint {
                listen: self.web_at,
                certificate,
                key,
                issuer: Some(issuer),
            }),
        };
        let endpoints = BundleEndpoints::bind(Arc::clone(&server), endpoints)
            .await
            .unwrap();
        let addresses = endpoints.addresses().unwrap();
        (self.spiffe_at, self.web_at) = (addresses[0], addresses[1]);
        let gateway = format!("spiffe://{}/service/gateway", self.authority.name);
        let home = NodeHome {
            gateway_address: ([192, 0, 2, 1], 8443).into(),
            gateway_spiffe_id: gateway.parse().unwrap(),
        };
        let nodes = NodeListener::bind(Arc::clone(&server), self.nodes_at, home);
        let nodes = nodes.await.unwrap();
        self.nodes_at = nodes.address().unwrap();
        let listener = OwnerListener::bind(&self.at("server.sock")).unwrap();
        self.serving.push(tokio::spawn(async move {
            tokio::select! {
                ended = server.serve(listener) => ended.unwrap(),
                ended = endpoints.serve() => ended.unwrap(),
                ended = nodes.serve() => ended.unwrap(),
            }
        }));
    }

    /// Nobody answers any more, neither at the endpoints.
    pub(crate) async fn stop(&mut self) {
        for serving in self.serving.drain(..) {
            serving.abort();
            let _ = serving.await;
        }
        // The listeners are closed a moment after whoever served is gone.
        for at in [self.spiffe_at, self.web_at, self.nodes_at] {
            while tokio::net::TcpStream::connect(at).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Another process over the same folder.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.serve().await;
    }

    /// Publishes a policy: before that there are no snapshots.
    pub(crate) async fn publish_policy(&self) {
        let request = self.policy(1, POLICIES, None);
        self.client().publish_policy(&request).await.unwrap();
    }

    /// A bundle that the policy signer signed, or somebody else.
    pub(crate) fn policy(
        &self,
        version: u64,
        policies: &str,
        somebody: Option<&SigningKey>,
    ) -> SignedBundle {
        let key = somebody.unwrap_or(&self.policy_key);
        let index = POLICY_INDEX.replace("VERSION", &version.to_string());
        let mut files = Files::from([
            ("bundle.json".to_owned(), index.into_bytes()),
            ("policies.cedar".to_owned(), policies.as_bytes().to_vec()),
        ]);
        let schema = schema_text(&Index::parse(&files).unwrap());
        files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
        let statement = SignedBundle::statement(bundle_digest(&files).unwrap());
        let files = files.into_iter();
        let files = files.map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap()));
        SignedBundle {
            files: files.collect(),
            kid: key.public().kid(),
            signature: base64url::encode(key.sign(&statement).unwrap()),
            approvals: Vec::new(),
        }
    }

    /// Has its disk and its signer watched from the next start on.
    pub(crate) fn watch(&mut self) -> (Arc<Dam>, Arc<Watched>) {
        let dam = Arc::<Dam>::default();
        self.disk = Arc::clone(&dam) as Arc<dyn Storage>;
        let watched = self.at("watched.sock");
        let before = std::mem::replace(&mut self.signer, watched);
        (dam, Watched::start(&self.signer, before))
    }

    pub(crate) fn client(&self) -> ServerClient {
        ServerClient::new(self.at("server.sock"))
    }

    /// One more authority of X.509-SVIDs is trusted: what a rotation begins with.
    pub(crate) async fn add_authority(&mut self) {
        let next = Authority::new(self.authority.name.as_str());
        self.trust_also(&next.certificate).await.unwrap();
    }

    /// One more authority of X.509-SVIDs is trusted, where it is one.
    pub(crate) async fn trust_also(&mut self, certificate: &[u8]) -> Result<(), ClientError> {
        self.trust_next(certificate, true).await
    }

    /// Another authority of X.509-SVIDs is trusted, and the one of before no more.
    pub(crate) async fn replace_authority(&mut self) {
        let next = Authority::new(self.authority.name.as_str());
        self.trust_next(&next.certificate, false).await.unwrap();
    }

    async fn trust_next(&mut self, certificate: &[u8], also: bool) -> Result<(), ClientError> {
        self.change_trust(|document| {
            if !also {
                document.x509_authorities.clear();
            }
            document
                .x509_authorities
                .push(base64url::encode(certificate));
        })
        .await
    }

    /// Installs the next version of the trust document.
    pub(crate) async fn change_trust(
        &mut self,
        change: impl FnOnce(&mut TrustDocument),
    ) -> Result<(), ClientError> {
        let mut document = self.trust.signed().trust.clone();
        document.version += 1;
        document.previous = Some(self.trust.digest());
        document.issued_at = now();
        change(&mut document);
        let signed = signed(&self.trust_root, document);
        let text = String::from_utf8(signed.to_bytes().unwrap()).unwrap();
        let request = TrustText { document: text };
        self.client().install_trust(&request).await?;
        self.trust = signed.verify(&AwsLc).unwrap();
        Ok(())
    }

    /// Changes how its relations are stored while nobody serves.
    pub(crate) async fn change_stored(&mut self, change: impl Fn(&mut FederationRow)) {
        self.stop().await;
        let store = store(&self.folder).await;
        for mut row in store.federations().await.unwrap() {
            change(&mut row);
            store.put_federation(&row).await.unwrap();
        }
    }

    /// Its tables, while nobody serves.
    pub(crate) async fn tables(&mut self) -> Store {
        self.stop().await;
        store(&self.folder).await
    }

    /// What the log says.
    pub(crate) fn logged(&self) -> Vec<Entry> {
        let reader = Reader::open(&self.at("log")).unwrap();
        let entries = reader.entries(0..reader.size().unwrap()).unwrap();
        let entries = entries.map(|read| Entry::parse(&read.unwrap().1).unwrap());
        entries.collect()
    }

    /// A connection to its tables beside the server's.
    pub(crate) async fn beside(&self) -> sqlx::AnyConnection {
        sqlx::any::install_default_drivers();
        let address = format!("sqlite://{}", self.at("chancery.db").display());
        sqlx::AnyConnection::connect(&address).await.unwrap()
    }

    /// What its root keys lift a revocation with.
    pub(crate) fn lifts(&self, revocation: Revocation) -> LiftRevocation {
        let lift = Lift {
            trust_domain: self.authority.name.to_string(),
            revocation,
            lifted_at: now(),
        };
        let signature = self.trust_root.sign(&lift.signing_input().unwrap());
        let signatures = vec![TrustSignature {
            kid: self.trust_root.public().kid(),
            signature: base64url::encode(signature.unwrap()),
        }];
        LiftRevocation {
            signed: SignedLift { lift, signatures },
            reason: "found".to_owned(),
        }
    }

    /// Where a test may keep something.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.at(name)
    }

    /// The bundle that it publishes.
    pub(crate) async fn bundle(&self) -> String {
        self.client().federations().await.unwrap().own.document
    }

    /// What another one adds to fetch from here by `https_spiffe`.
    pub(crate) async fn by_spiffe(&self) -> AddFederation {
        let endpoint = format!("spiffe://{}/service/server", self.authority.name);
        let url = format!("https://{}/", self.spiffe_at);
        spiffe(
            &self.authority.name,
            &url,
            &endpoint,
            Some(self.bundle().await),
        )
    }

    /// What another one adds to fetch from here by `https_web`.
    pub(crate) fn by_web(&self) -> AddFederation {
        let url = format!("https://localhost:{}/", self.web_at.port());
        web(&self.authority.name, &url, &self.web)
    }

    /// Waits for the first fetch since the start, which is nobody's.
    pub(crate) async fn settled(&self, name: &TrustDomain) {
        for _ in 0..1_000 {
            if self.relation(name).await.last_fetch.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nothing is fetched at the start");
    }

    pub(crate) async fn relation(&self, name: &TrustDomain) -> FederationView {
        let all = self.client().federations().await.unwrap().relations;
        let mut named = all
            .into_iter()
            .filter(|one| one.relationship.trust_domain() == name);
        named.next().unwrap()
    }
}

impl Drop for Domain {
    /// A log whose folder goes away under it ends the process: the server ends first.
    fn drop(&mut self) {
        self.serving.drain(..).for_each(|serving| serving.abort());
        let origin = format!("{}/log/server", self.authority.name)
            .parse()
            .unwrap();
        for _ in 0..500 {
            if LocalSigner::open_or_create(&self.at("log-key"), &origin).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The tables of a folder; those of a stopped server are free a moment later.
async fn store(folder: &tempfile::TempDir) -> Store {
    let path = |name: &str| -> PathBuf { Path::new(folder.path()).join(name) };
    for _ in 0..500 {
        if let Ok(keys) = Keyring::open(&path("keys")) {
            return Store::open(&path("chancery.db"), Arc::new(keys))
                .await
                .unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the keys of the stopped server stay locked");
}

pub(crate) fn spiffe(
    name: &TrustDomain,
    url: &str,
    endpoint: &str,
    bundle: Option<String>,
) -> AddFederation {
    let profile = EndpointProfile::HttpsSpiffe {
        endpoint: endpoint.parse().unwrap(),
    };
    AddFederation {
        relationship: Relationship::new(name.clone(), url.parse().unwrap(), profile).unwrap(),
        bundle,
        web_roots: None,
    }
}

pub(crate) fn web(name: &TrustDomain, url: &str, roots: &Web) -> AddFederation {
    let profile = EndpointProfile::HttpsWeb;
    AddFederation {
        relationship: Relationship::new(name.clone(), url.parse().unwrap(), profile).unwrap(),
        bundle: None,
        web_roots: Some(roots.root_pem()),
    }
}

fn signed(root: &SigningKey, trust: TrustDocument) -> SignedTrust {
    let input = SignedTrust::signing_input(&trust).unwrap();
    let signature = TrustSignature {
        kid: root.public().kid(),
        signature: base64url::encode(root.sign(&input).unwrap()),
    };
    SignedTrust {
        signatures: vec![signature],
        trust,
    }
}
