//! A deployment whose parts are processes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use chancery_api::server::{RegisterAgent, ServerClient};
use chancery_api::{ClientError, UnixClient};
use chancery_crypto::{SigningKey, create_private_file};
use chancery_identity::trust::{ManifestIssuer, TrustDocument, TrustFormat};
use chancery_types::{Algorithm, Digest, base64url};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::parts::{NODE, SERVER, SIGNER, operator_socket, server_socket};
use super::{agent, usage};
use crate::options::Options;
use crate::plane::{DOMAIN, authorities, now, origin, publish, sign_trust};
use crate::{manifest, tool_server};

/// Signer, server and node; they end when it is dropped.
pub(crate) struct Deployment {
    pub(crate) client: ServerClient,
    signer: Child,
    server: Child,
    node: Child,
    data: TempDir,
    sockets: TempDir,
}

impl Deployment {
    /// Makes and starts one, in which so many agents are registered, each with this program as its code.
    pub(crate) async fn start(
        options: &Options,
        agents: usize,
        lifetime_seconds: u64,
    ) -> anyhow::Result<Self> {
        let (data, sockets) = (tempfile::tempdir_in(&options.folder)?, tempfile::tempdir()?);
        let (policy_key, manifest_key) = prepare(data.path())?;
        let signer = start(SIGNER, data.path(), sockets.path(), &[])?;
        let lifetime = lifetime_seconds.to_string();
        let server = start(SERVER, data.path(), sockets.path(), &[&lifetime])?;
        let client = ServerClient::new(server_socket(sockets.path()));
        while client.trust().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let policy = publish(&client, &policy_key).await?;
        let code = Digest::of_reader(std::fs::File::open(std::env::current_exe()?)?)?;
        for number in 0..agents {
            let tools = tool_server::tools();
            let name = agent(number);
            let envelope =
                manifest::sign_for(&manifest_key, (&name, code), (&tools, policy), now())?;
            let request = RegisterAgent {
                manifest: base64url::encode(envelope),
                ..RegisterAgent::default()
            };
            client.register_agent(&request).await?;
        }
        let node = start(NODE, data.path(), sockets.path(), &[])?;
        let deployment = Self {
            client,
            signer,
            server,
            node,
            data,
            sockets,
        };
        deployment.node_serves().await?;
        Ok(deployment)
    }

    /// Kills the node and starts it again: it has the launches that it had, and no key.
    pub(crate) async fn restart_node(&mut self) -> anyhow::Result<()> {
        self.node.kill().await?;
        self.node = start(NODE, self.data.path(), self.sockets.path(), &[])?;
        self.node_serves().await
    }

    /// Kills the server and starts it again, with SVIDs that live so long from then on.
    pub(crate) async fn restart_server(&mut self, lifetime_seconds: u64) -> anyhow::Result<()> {
        self.server.kill().await?;
        let lifetime = lifetime_seconds.to_string();
        self.server = start(SERVER, self.data.path(), self.sockets.path(), &[&lifetime])?;
        while self.client.trust().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn node_serves(&self) -> anyhow::Result<()> {
        let operator = UnixClient::new(operator_socket(self.sockets.path()));
        while let Err(ClientError::Connect { .. }) = operator.get::<Value>("/v1/ready").await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    pub(crate) fn sockets(&self) -> &Path {
        self.sockets.path()
    }

    /// What each part has used so far, by name.
    pub(crate) fn usage(&self) -> anyhow::Result<[(&'static str, usage::Usage); 3]> {
        let of = |child: &Child| usage::Usage::of(child.id().context("a part has ended")?);
        Ok([
            ("signer", of(&self.signer)?),
            ("server", of(&self.server)?),
            ("node", of(&self.node)?),
        ])
    }
}

/// Keys and trust document of a new data folder; who signs policies and manifests.
fn prepare(data: &Path) -> anyhow::Result<(SigningKey, SigningKey)> {
    for folder in ["signer", "server"] {
        std::fs::create_dir(data.join(folder))?;
    }
    let policy_key = SigningKey::generate(Algorithm::Ed25519)?;
    let manifest_key = SigningKey::generate(Algorithm::Ed25519)?;
    let (certificate, keys) = authorities(data)?;
    let (_, server_origin) = origin(data, "signer/log-key", "server")?;
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
        delegation_authorities: vec![],
        access_token_authorities: vec![],
        manifest_issuers: vec![ManifestIssuer {
            issuer: manifest::ISSUER.to_owned(),
            key: *manifest_key.public(),
        }],
        people: vec![],
        policy_signers: vec![*policy_key.public()],
        snapshot_signers: vec![*keys.snapshot.public()],
        record_signers: vec![],
        witnesses: None,
        log_origins: vec![server_origin],
    })?;
    create_private_file(&data.join("trust.json"), &trust.signed().to_bytes()?)?;
    Ok((policy_key, manifest_key))
}

fn start(part: &str, data: &Path, sockets: &Path, more: &[&str]) -> anyhow::Result<Child> {
    let child = Command::new(std::env::current_exe()?)
        .arg(part)
        .arg(data)
        .arg(sockets)
        .args(more)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}
