//! The control plane of the measured gateway, in this process: signer, server, a person, an agent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chancery_api::OwnerListener;
use chancery_api::server::{RegisterAgent, ServerClient};
use chancery_api::signer::SignerClient;
use chancery_crypto::{AwsLc, SigningKey, create_private_file, random_bytes};
use chancery_delegation::{Assertion, SoftwareAuthenticator};
use chancery_identity::trust::{
    DelegationAuthority, GatewayName, LogOrigin, ManifestIssuer, Person, PersonCredential, Role,
    SignedTrust, TrustDocument, TrustFormat, TrustSignature, VerifiedTrust,
};
use chancery_identity::{Incubating, TrustDomain};
use chancery_journal::{Config, Journal, Keyring, LocalSigner};
use chancery_policy::{Files, Index, SignedBundle, bundle_digest, schema_text};
use chancery_server::{Clock, RemoteSigner, Server, ServerConfig, SvidLifetime};
use chancery_signer::ca::{
    CaError, IssuingAuthority, SerialNumber, Validity, intermediate_certificate, root_certificate,
};
use chancery_signer::{KeysError, Signer, SignerKeys};
use chancery_store::Store;
use chancery_tlog::Origin;
use chancery_types::id::PersonId;
use chancery_types::{Algorithm, Digest, Timestamp, base64url};
use tokio::task::JoinSet;

use crate::{manifest, tool_server};

pub(crate) const DOMAIN: &str = "acme.example";
const YEAR: u64 = 365 * 86_400;
const INDEX: &str = r#"{"name": "measured", "version": 1, "tools": {
  "fs/read": {"args": {"path": "string"}, "clear": ["path"]}
}}"#;
const POLICY: &str = r#"
@id("read") permit (principal, action == Chancery::Action::"fs/read", resource);
@id("secret") forbid (principal, action == Chancery::Action::"fs/read", resource)
  when { context.args.path like "/reports/secret/*" };
"#;

/// The machine's time. A clock before 1970 reads as 1970, and everything is refused.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_micros(since.map_or(0, |since| since.as_micros() as u64))
}

/// Who consents to roots, with a passkey in software.
pub(crate) struct Principal {
    pub(crate) id: PersonId,
    key: SigningKey,
}

/// A running control plane; it ends when it is dropped.
pub(crate) struct Plane {
    pub(crate) client: ServerClient,
    pub(crate) principal: Principal,
    _serving: JoinSet<()>,
}

impl Principal {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            id: PersonId::from_random([1; 16]),
            key: SigningKey::generate(Algorithm::Es256)?,
        })
    }

    fn credential_id(&self) -> String {
        base64url::encode(self.id.to_string())
    }

    fn to_trust(&self) -> Person {
        Person {
            id: self.id,
            roles: vec![Role::Principal],
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

    pub(crate) fn consent(&self, challenge: &Digest) -> anyhow::Result<Assertion> {
        let id = self.credential_id();
        let mut passkey = SoftwareAuthenticator::new(&id, "localhost", "https://localhost", 0);
        Ok(passkey.assert(challenge, |bytes| self.key.sign_der(bytes))?)
    }
}

impl Plane {
    /// Makes and starts one in `data`, its sockets in `sockets`, with a policy and an agent.
    pub(crate) async fn start(
        data: &Path,
        sockets: &Path,
        gateways: &[GatewayName],
    ) -> anyhow::Result<Self> {
        let Founded {
            principal,
            policy_key,
            manifest_key,
            keys,
            trust,
            log,
        } = Founded::new(data, gateways)?;
        let mut serving = JoinSet::new();
        let signer = Signer::new(keys, trust.clone(), log, &data.join("signer"), now)?;
        let signer_socket = sockets.join("signer.sock");
        let listener = OwnerListener::bind(&signer_socket)?;
        serving.spawn(async move {
            let _ = signer.serve(listener).await;
        });
        let server = Server::new(server_config(data, signer_socket, trust).await?).await?;
        let server_socket = sockets.join("server.sock");
        let listener = OwnerListener::bind(&server_socket)?;
        serving.spawn(async move {
            let _ = server.serve(listener).await;
        });
        let client = ServerClient::new(server_socket);
        let policy = publish(&client, &policy_key).await?;
        let envelope = manifest::sign(&manifest_key, &tool_server::tools(), policy, now())?;
        let request = RegisterAgent {
            manifest: base64url::encode(envelope),
            ..RegisterAgent::default()
        };
        client.register_agent(&request).await?;
        Ok(Self {
            client,
            principal,
            _serving: serving,
        })
    }
}

/// The keys and the trust document of a new data folder.
pub(crate) struct Founded {
    pub(crate) policy_key: SigningKey,
    pub(crate) manifest_key: SigningKey,
    principal: Principal,
    keys: SignerKeys,
    trust: VerifiedTrust,
    log: LocalSigner,
}

impl Founded {
    /// Makes them in `data`, with these gateways.
    pub(crate) fn new(data: &Path, gateways: &[GatewayName]) -> anyhow::Result<Self> {
        for folder in ["signer", "server"] {
            std::fs::create_dir(data.join(folder))?;
        }
        let principal = Principal::new()?;
        let policy_key = SigningKey::generate(Algorithm::Ed25519)?;
        let manifest_key = SigningKey::generate(Algorithm::Ed25519)?;
        let (certificate, keys) = authorities(data)?;
        let (log, server_origin) = origin(data, "signer/log-key", "server")?;
        let mut log_origins = vec![server_origin];
        let mut record_signers = Vec::new();
        for name in gateways {
            let folder = data.join(name.service());
            std::fs::create_dir_all(&folder)?;
            let place = format!("{}/log-key", name.service());
            log_origins.push(origin(data, &place, &name.service())?.1);
            let record = SigningKey::generate(Algorithm::Ed25519)?;
            create_private_file(&folder.join("record.key"), record.pkcs8().expose())?;
            record_signers.push(*record.public());
        }
        let trust = sign_trust(TrustDocument {
            format: TrustFormat::V1,
            version: 1,
            trust_domain: DOMAIN.to_owned(),
            issued_at: now(),
            previous: None,
            threshold: 1,
            roots: Vec::new(),
            x509_authorities: vec![base64url::encode(&certificate)],
            token_authorities: vec![*keys.token.public()],
            jwt_authorities: vec![],
            delegation_authorities: vec![DelegationAuthority {
                issuer: format!("https://{DOMAIN}/authority"),
                key: *keys.delegation.public(),
            }],
            access_token_authorities: vec![],
            manifest_issuers: vec![ManifestIssuer {
                issuer: manifest::ISSUER.to_owned(),
                key: *manifest_key.public(),
            }],
            people: vec![principal.to_trust()],
            policy_signers: vec![*policy_key.public()],
            policy_quorum: None,
            snapshot_signers: vec![*keys.snapshot.public()],
            record_signers,
            witnesses: None,
            log_origins,
        })?;
        create_private_file(&data.join("trust.json"), &trust.signed().to_bytes()?)?;
        Ok(Self {
            policy_key,
            manifest_key,
            principal,
            keys,
            trust,
            log,
        })
    }
}

/// Waits until a server answers.
pub(crate) async fn until_answered(client: &ServerClient) {
    while client.trust().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The root of the X.509 authority, and the signer's keys below it.
fn authorities(data: &Path) -> anyhow::Result<(Vec<u8>, SignerKeys)> {
    let domain: TrustDomain = DOMAIN.parse()?;
    let root = SigningKey::generate(Algorithm::Es256)?;
    let serial = || random_bytes().map(SerialNumber::from_random);
    let validity = Validity::from_now(now(), YEAR);
    let certificate = root_certificate(&root, &domain, validity, serial()?)?;
    let keys = SignerKeys::create(&data.join("signer"), |key| -> Result<_, Failure> {
        let authority = IssuingAuthority::new(&domain, certificate.clone(), &root)?;
        Ok(intermediate_certificate(
            &authority,
            key,
            now(),
            YEAR / 12,
            serial().map_err(|error| Failure(error.into()))?,
        )?)
    })
    .map_err(|failure| failure.0)?;
    Ok((certificate, keys))
}

struct Failure(anyhow::Error);

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        Self(error.into())
    }
}

impl From<CaError> for Failure {
    fn from(error: CaError) -> Self {
        Self(error.into())
    }
}

pub(crate) fn origin(
    data: &Path,
    folder: &str,
    name: &str,
) -> anyhow::Result<(LocalSigner, LogOrigin)> {
    let origin: Origin = format!("{DOMAIN}/log/{name}").parse()?;
    let signer = LocalSigner::open_or_create(&data.join(folder), &origin)?;
    let known = LogOrigin {
        origin: origin.to_string(),
        writer: format!("spiffe://{DOMAIN}/service/{name}"),
        ed25519: signer.keys().ed25519().to_string(),
        ml_dsa_44: signer.keys().ml_dsa_44().to_string(),
    };
    Ok((signer, known))
}

fn sign_trust(document: TrustDocument) -> anyhow::Result<VerifiedTrust> {
    let root = SigningKey::generate(Algorithm::Ed25519)?;
    let trust = TrustDocument {
        roots: vec![*root.public()],
        ..document
    };
    let signature = TrustSignature {
        kid: root.public().kid(),
        signature: base64url::encode(root.sign(&SignedTrust::signing_input(&trust)?)?),
    };
    let signed = SignedTrust {
        signatures: vec![signature],
        trust,
    };
    Ok(signed.verify(&AwsLc)?)
}

pub(crate) async fn server_config(
    data: &Path,
    signer_socket: PathBuf,
    trust: VerifiedTrust,
) -> anyhow::Result<ServerConfig> {
    let signer = SignerClient::new(signer_socket);
    let (folder, remote) = (data.join("server/log"), signer.clone());
    let runtime = tokio::runtime::Handle::current();
    let origin: Origin = format!("{DOMAIN}/log/server").parse()?;
    let journal = tokio::task::spawn_blocking(move || {
        let signer = RemoteSigner::new(origin.clone(), remote, runtime);
        Journal::open(Config::new(folder, origin), Arc::new(signer))
    });
    Ok(ServerConfig {
        store: Store::open(
            &data.join("server/chancery.db"),
            Arc::new(Keyring::open(&data.join("server/keys"))?),
        )
        .await?,
        journal: journal.await??,
        signer,
        trust,
        trust_file: data.join("server/trust.json"),
        clock: Clock::new(Timestamp::from_micros(0)),
        svid_lifetime: SvidLifetime::default(),
        refresh_hint: 300,
        issuer: None,
        incubating: Incubating::NONE,
    })
}

pub(crate) async fn publish(client: &ServerClient, key: &SigningKey) -> anyhow::Result<Digest> {
    let mut files = Files::from([
        ("bundle.json".to_owned(), INDEX.as_bytes().to_vec()),
        ("policies.cedar".to_owned(), POLICY.as_bytes().to_vec()),
    ]);
    let schema = schema_text(&Index::parse(&files)?);
    files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
    let digest = bundle_digest(&files)?;
    let statement = SignedBundle::statement(digest);
    let text = |(path, bytes)| Ok((path, String::from_utf8(bytes)?));
    let files: anyhow::Result<BTreeMap<_, _>> = files.into_iter().map(text).collect();
    let request = SignedBundle {
        files: files?,
        kid: key.public().kid(),
        signature: base64url::encode(key.sign(&statement)?),
        approvals: Vec::new(),
    };
    client.publish_policy(&request).await?;
    Ok(digest)
}
