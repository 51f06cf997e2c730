//! The deployment of a demo: `chancery up` in a process of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::run_folder::RunFolder;
use crate::deployment::Layout;
use crate::gateway_config::ToolServer;

/// How long a deployment may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The trust domain of a demo.
pub(super) const TRUST_DOMAIN: &str = "demo.example";

/// A running deployment.
#[derive(Debug)]
pub(super) struct Office {
    process: Child,
    pub(super) layout: Layout,
    pub(super) enrol_code: String,
    opened: Value,
}

impl Office {
    /// Starts a deployment and waits until it has opened everything.
    pub(super) async fn start(
        run: &RunFolder,
        server: &str,
        tools: &ToolServer,
    ) -> anyhow::Result<Self> {
        let mut process = Command::new(own_program()?)
            .args(["--format", "json", "up", "--data"])
            .arg(run.data())
            .args(["--trust-domain", TRUST_DOMAIN, "--gateway-port"])
            .arg(free_port()?.to_string())
            .arg("--policy")
            .arg(run.policy())
            .arg("--tool-server")
            .arg(format!("{server}={}", quoted(tools)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(run.log("up")?)
            .kill_on_drop(true)
            .spawn()
            .context("chancery up")?;
        let opened = tokio::time::timeout(PATIENCE, first_document(&mut process))
            .await
            .with_context(|| format!("`chancery up` says nothing; see {}", run.log_path("up")))?
            .with_context(|| format!("`chancery up` failed; see {}", run.log_path("up")))?;
        let code = opened.get("enrol_code").and_then(Value::as_str);
        let enrol_code = code
            .context("`chancery up` printed no one-time code")?
            .to_owned();
        Ok(Self {
            process,
            layout: Layout::open(&run.data())?,
            enrol_code,
            opened,
        })
    }

    /// The processes, each with its id.
    pub(super) fn processes(&self) -> String {
        let processes = self.opened.get("processes").and_then(Value::as_object);
        let processes = processes.into_iter().flatten();
        let named: Vec<String> = processes.map(|(name, id)| format!("{name} {id}")).collect();
        named.join(", ")
    }

    /// Stops everything and waits for the end.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.process.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        ended.context("`chancery up` does not end")??;
        Ok(())
    }
}

/// This very program.
pub(super) fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .context("own program")
}

async fn first_document(process: &mut Child) -> anyhow::Result<Value> {
    let stdout = process.stdout.as_mut().context("no output")?;
    let mut text = Vec::new();
    loop {
        if stdout.read_buf(&mut text).await? == 0 {
            bail!("it ended");
        }
        if let Ok(value) = serde_json::from_slice(&text) {
            return Ok(value);
        }
    }
}

fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("127.0.0.1")?;
    Ok(listener.local_addr().context("127.0.0.1")?.port())
}

fn quoted(tools: &ToolServer) -> String {
    let words = std::iter::once(&tools.command).chain(&tools.args);
    words
        .map(|word| format!("'{word}'"))
        .collect::<Vec<_>>()
        .join(" ")
}
