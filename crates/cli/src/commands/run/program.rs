use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chancery_identity::AgentId;

use super::{Program, named};
use crate::deployment::Layout;

/// Names of programs that run what their first argument says.
const INTERPRETERS: [&str; 9] = [
    "python", "node", "bash", "sh", "dash", "perl", "ruby", "deno", "bun",
];

/// Finds a command as a shell would, and the file that is the agent's code.
pub(super) fn find(command: &[String]) -> anyhow::Result<Program> {
    let name = named(command)?;
    let executable = if name.contains('/') {
        PathBuf::from(name)
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|candidate| candidate.is_file())
            .with_context(|| format!("{name}: no such command in PATH"))?
    };
    let executable = executable
        .canonicalize()
        .with_context(|| executable.display().to_string())?;
    let script = command
        .get(1)
        .map(Path::new)
        .filter(|script| script.is_file());
    let code = match script {
        Some(script) if is_interpreter(&executable) => script
            .canonicalize()
            .with_context(|| script.display().to_string())?,
        _ => executable.clone(),
    };
    Ok(Program { executable, code })
}

fn is_interpreter(program: &Path) -> bool {
    let name = program
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let plain = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    INTERPRETERS.contains(&plain)
}

/// The agent that is meant: a SPIFFE ID, or a name in the own trust domain.
pub(crate) fn agent_id(layout: &Layout, text: &str) -> anyhow::Result<AgentId> {
    if text.starts_with("spiffe://") {
        return text.parse().with_context(|| format!("--agent {text}"));
    }
    let domain = layout.trust()?.trust_domain.clone();
    format!("spiffe://{domain}/agent/{text}")
        .parse()
        .with_context(|| format!("--agent {text}"))
}
