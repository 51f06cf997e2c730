//! Registrations: made by hand, shown, taken out, written as files.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use chancery_api::server::{Agent, MaySpawn, RegisterAgent, RetireAgent, ServerClient};
use chancery_identity::registration::RegistrationFile;
use chancery_identity::{AgentId, RegistrationTerms};
use chancery_types::{Digest, base64url};
use serde::Serialize;

use crate::args::{Format, RegisterArgs};
use crate::commands::run::agent_id;
use crate::deployment::Layout;
use crate::output;

/// The longest name that a file is given.
const MAX_NAME_BYTES: usize = 200;

/// Registers an agent by the envelope in a file, and what `request` says beside it.
pub(crate) async fn register(
    server: &ServerClient,
    manifest: &Path,
    request: RegisterAgent,
) -> anyhow::Result<Agent> {
    let envelope = fs::read(manifest).with_context(|| manifest.display().to_string())?;
    let request = RegisterAgent {
        manifest: base64url::encode(envelope),
        ..request
    };
    server
        .register_agent(&request)
        .await
        .with_context(|| manifest.display().to_string())
}

/// What the arguments say beside the manifest.
pub(super) fn request(layout: &Layout, args: RegisterArgs) -> anyhow::Result<RegisterAgent> {
    let agents = args.may_spawn.iter().map(|name| agent_id(layout, name));
    let agents: BTreeSet<AgentId> = agents.collect::<anyhow::Result<_>>()?;
    Ok(RegisterAgent {
        federates_with: args.federates_with,
        may_spawn: (!agents.is_empty()).then_some(MaySpawn {
            agents,
            at_once: args.spawn_at_once,
            outlive: args.spawn_outlive,
        }),
        terms: RegistrationTerms {
            dns_names: args.dns_name.into_iter().collect(),
            hint: args.hint,
            x509_svid_seconds: args.x509_svid_lifetime,
            jwt_svid_seconds: args.jwt_svid_lifetime,
            isolation: args
                .require_isolation
                .then_some(chancery_identity::Isolation::Isolated),
            attestation_level: args.require_attestation,
        },
        ..RegisterAgent::default()
    })
}

pub(super) async fn show(
    format: Format,
    server: &ServerClient,
    agent_id: &AgentId,
) -> anyhow::Result<()> {
    let agents = server.agents().await?.agents;
    let agent = agents
        .into_iter()
        .find(|agent| agent.agent_id == agent_id.as_str());
    let Some(agent) = agent else {
        bail!("{agent_id} is not registered (agent_unknown); `chancery agent list` shows what is");
    };
    let mut members = serde_json::to_value(&agent)?;
    let terms = members.as_object_mut().and_then(|it| it.remove("terms"));
    // For people, as `agent list` shows it.
    if let Some(expires_at) = members.get_mut("expires_at") {
        *expires_at = agent.expires_at.to_string().into();
    }
    output::result(format, &agent, || {
        let mut text = String::new();
        // What the SVIDs of its instances say stands last.
        let parts = [Some(&members), terms.as_ref()].into_iter().flatten();
        for (name, value) in parts.filter_map(serde_json::Value::as_object).flatten() {
            line(&mut text, name, value);
        }
        text
    })
}

fn line(text: &mut String, name: &str, value: &serde_json::Value) {
    let _ = match value.as_str() {
        Some(plain) => writeln!(text, "{name:18} {plain}"),
        None => writeln!(text, "{name:18} {value}"),
    };
}

pub(super) async fn retire(
    format: Format,
    server: &ServerClient,
    agent_id: &AgentId,
    reason: String,
) -> anyhow::Result<()> {
    let request = RetireAgent {
        agent_id: agent_id.to_string(),
        reason,
        expected: None,
    };
    let retired = server.retire_agent(&request).await?;
    output::result(format, &retired, || {
        let ended = match retired.instances.len() {
            0 => "no instance of it had anything".to_owned(),
            1 => "one instance was ended and is revoked".to_owned(),
            many => format!("{many} instances were ended and are revoked"),
        };
        format!(
            "{} retired, entry {}: {ended}",
            retired.agent_id, retired.log_index
        )
    })
}

#[derive(Serialize)]
struct Exported {
    agent_id: String,
    file: String,
}

/// Writes every registration as a file that `chancery apply` reads, with its manifest beside it.
pub(super) async fn export(
    format: Format,
    server: &ServerClient,
    dir: &Path,
) -> anyhow::Result<()> {
    let shown = dir.display();
    fs::create_dir_all(dir).with_context(|| shown.to_string())?;
    let mut there = fs::read_dir(dir).with_context(|| shown.to_string())?;
    anyhow::ensure!(
        there.next().is_none(),
        "{shown} is not empty; name a folder that is"
    );
    let mut files = Vec::new();
    for agent in server.agents().await?.agents {
        let name = file_name(&agent.agent_id)?;
        let manifest = server.manifest(agent.manifest_digest).await?.manifest;
        let envelope = base64url::decode(&manifest).context("manifest")?;
        let own = format!("{name}.manifest");
        let federates_with: BTreeSet<_> = agent.federates_with.into_iter().collect();
        let file = RegistrationFile::new(&own, federates_with, agent.may_spawn, agent.terms)?;
        write_new(&dir.join(&own), &envelope)?;
        let path = dir.join(format!("{name}.json"));
        write_new(&path, file.to_text()?.as_bytes())?;
        files.push(Exported {
            agent_id: agent.agent_id,
            file: path.display().to_string(),
        });
    }
    output::result(format, &files, || {
        let lines = files
            .iter()
            .map(|one| format!("{}: {}\n", one.file, one.agent_id));
        lines.collect()
    })
}

/// A file's name for an agent: no two agents have the same one.
fn file_name(agent_id: &str) -> anyhow::Result<String> {
    let agent: AgentId = agent_id.parse()?;
    let path = agent.as_spiffe_id().path();
    // No SPIFFE ID has a plus sign.
    let name = path
        .strip_prefix("/agent/")
        .unwrap_or(path)
        .replace('/', "+");
    Ok(
        match name.len() <= MAX_NAME_BYTES && !name.starts_with('.') {
            true => name,
            false => Digest::of(agent_id).to_hex(),
        },
    )
}

fn write_new(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::File::create_new(path)
        .and_then(|mut file| file.write_all(content))
        .with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_agents_are_written_to_one_file() {
        let long = format!("spiffe://td/agent/{}", "a".repeat(MAX_NAME_BYTES + 1));
        let names: [(&str, &str); 7] = [
            ("spiffe://td/agent/hello", "hello"),
            ("spiffe://td/hello", "+hello"),
            ("spiffe://td/agent/a/b", "a+b"),
            ("spiffe://td/agent/a.b", "a.b"),
            ("spiffe://td/agent/a-b", "a-b"),
            (
                "spiffe://td/agent/.hidden",
                &Digest::of("spiffe://td/agent/.hidden").to_hex(),
            ),
            (&long, &Digest::of(&long).to_hex()),
        ];
        for (agent, name) in names {
            assert_eq!(file_name(agent).unwrap(), name);
        }
        assert!(file_name("spiffe://td").is_err());
    }
}
