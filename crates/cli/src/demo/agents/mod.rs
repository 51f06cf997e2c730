//! The demo's agents: what runs inside the sandbox. They know MCP, the SPIFFE Workload API and the
//! bridge's socket, and nothing of keys or policies.

pub(crate) mod orchestrator;
mod tools;
pub(crate) mod worker;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;

/// Runs one of the demo's agents.
pub(crate) async fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let (role, rest) = args.split_first().context("which agent")?;
    match (role.as_str(), rest) {
        ("orchestrator", [plan]) => orchestrator::run(plan).await?,
        ("worker", [task]) => worker::run(task).await?,
        _ => bail!(
            "the demo has no agent {role:?} with {} arguments",
            rest.len()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what happened, one JSON document a line.
fn tell(event: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, event)?;
    writeln!(out)
        .and_then(|()| out.flush())
        .context("standard output")
}

/// The socket of the own bridge.
fn bridge_socket() -> anyhow::Result<std::path::PathBuf> {
    let path = std::env::var_os(super::BRIDGE_VARIABLE);
    path.map(Into::into)
        .context("no bridge: this program is started by `chancery run`")
}

/// The error code and reason of a refused call.
fn refusal(error: &rmcp::ServiceError) -> Option<(i32, String)> {
    let rmcp::ServiceError::McpError(error) = error else {
        return None;
    };
    let reason = error
        .data
        .as_ref()
        .and_then(|data| data.get("reason"))
        .and_then(Value::as_str);
    Some((error.code.0, reason.unwrap_or_default().to_owned()))
}
