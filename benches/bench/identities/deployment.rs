//! A deployment whose parts are processes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use chancery_api::server::{RegisterAgent, ServerClient};
use chancery_api::{ClientError, UnixClient};
use chancery_types::{Digest, base64url};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::parts::{NODE, SERVER, SIGNER, operator_socket, server_socket};
use super::{agent, usage};
use crate::options::Options;
use crate::plane::{Founded, now, publish, until_answered};
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
        // What the signer is to hold, its log key among it, is let go of at once.
        let Founded {
            policy_key,
            manifest_key,
            ..
        } = Founded::new(data.path(), &[])?;
        let signer = start(SIGNER, data.path(), sockets.path(), &[])?;
        let lifetime = lifetime_seconds.to_string();
        let server = start(SERVER, data.path(), sockets.path(), &[&lifetime])?;
        let client = ServerClient::new(server_socket(sockets.path()));
        until_answered(&client).await;
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
        until_answered(&self.client).await;
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
