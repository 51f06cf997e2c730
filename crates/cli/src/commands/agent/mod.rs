//! `chancery agent`.

mod catalog;
mod manifest;

pub(crate) use catalog::{Catalog, ListedTool, list_tools};
pub(crate) use manifest::{ManifestDraft, sign};

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::server::{Agent, InstanceState, MaySpawn, RegisterAgent, ServerClient};
use chancery_crypto::create_private_file;
use chancery_identity::{AgentId, TrustDomain};
use chancery_types::{Digest, base64url};
use serde::Serialize;

use super::run::agent_id;
use crate::args::{AgentArgs, AgentCommand, Format, ManifestArgs};
use crate::deployment::Layout;
use crate::gateway_config::GatewayFile;
use crate::output;

pub(super) async fn run(format: Format, args: AgentArgs) -> anyhow::Result<ExitCode> {
    let layout = super::layout(&args.data)?;
    let server = layout.server_client();
    match args.command {
        AgentCommand::Manifest(args) => make(format, &layout, &server, args).await?,
        AgentCommand::Register(args) => {
            let agents = args.may_spawn.iter().map(|name| agent_id(&layout, name));
            let agents: Vec<AgentId> = agents.collect::<anyhow::Result<_>>()?;
            let may_spawn = (!agents.is_empty()).then_some(MaySpawn {
                agents,
                at_once: args.spawn_at_once,
                outlive: args.spawn_outlive,
            });
            let agent = register(&server, &args.manifest, args.federates_with, may_spawn).await?;
            output::result(format, &agent, || {
                format!(
                    "{} registered, manifest {}, entry {}",
                    agent.agent_id, agent.manifest_digest, agent.log_index
                )
            })?;
        }
        AgentCommand::List => {
            let agents = server.agents().await?;
            output::result(format, &agents, || {
                let rows = agents.agents.iter().map(|agent| {
                    [
                        agent.agent_id.clone(),
                        agent.manifest_digest.to_string(),
                        agent.expires_at.to_string(),
                    ]
                });
                output::table(["agent", "manifest", "expires"], rows)
            })?;
        }
        AgentCommand::Instances => {
            let instances = server.instances().await?;
            output::result(format, &instances, || {
                let rows = instances.instances.iter().map(|instance| {
                    let state = match instance.state {
                        InstanceState::Running => "running",
                        InstanceState::Ended => "ended",
                    };
                    [
                        instance.instance_id.to_string(),
                        instance.agent_id.clone(),
                        state.to_owned(),
                        instance.isolation.clone(),
                    ]
                });
                output::table(["instance", "agent", "state", "isolation"], rows)
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Registers an agent by the envelope in a file.
pub(crate) async fn register(
    server: &ServerClient,
    manifest: &Path,
    federates_with: Vec<TrustDomain>,
    may_spawn: Option<MaySpawn>,
) -> anyhow::Result<Agent> {
    let envelope = std::fs::read(manifest).with_context(|| manifest.display().to_string())?;
    let request = RegisterAgent {
        manifest: base64url::encode(envelope),
        federates_with,
        may_spawn,
    };
    server
        .register_agent(&request)
        .await
        .with_context(|| manifest.display().to_string())
}

#[derive(Serialize)]
struct Made<'a> {
    file: &'a Path,
    agent_id: String,
    code: Digest,
    policy: Digest,
    catalog: Digest,
}

async fn make(
    format: Format,
    layout: &Layout,
    server: &ServerClient,
    args: ManifestArgs,
) -> anyhow::Result<()> {
    let status = server.status().await?;
    let config = GatewayFile::read(&layout.gateway_config())?;
    let catalog = Catalog::of(&status.trust_domain, &config).await?;
    let program =
        std::fs::read(&args.program).with_context(|| args.program.display().to_string())?;
    let prompt = match &args.prompt {
        Some(path) => Some(Digest::of(
            std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        )),
        None => None,
    };
    let draft = ManifestDraft {
        trust_domain: status.trust_domain,
        name: args.name,
        intent: args.intent,
        code: Digest::of(program),
        prompt,
        policy: status.policy_digest,
        catalog,
    };
    let envelope = sign(&draft, &layout.manifest_key()?)?;
    create_private_file(&args.out, &envelope)?;
    let made = Made {
        file: &args.out,
        agent_id: draft.agent_id(),
        code: draft.code,
        policy: draft.policy,
        catalog: draft.catalog.root()?,
    };
    output::result(format, &made, || {
        format!(
            "{}: signed manifest of {}",
            args.out.display(),
            made.agent_id
        )
    })
}
