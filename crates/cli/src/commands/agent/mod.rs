//! `chancery agent`.

mod catalog;
mod manifest;
mod registration;

pub(crate) use catalog::{Catalog, ListedTool, list_tools};
pub(crate) use manifest::{ManifestDraft, sign};
pub(crate) use registration::register;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chancery_api::server::ServerClient;
use chancery_crypto::create_private_file;
use chancery_identity::AgentId;
use chancery_types::Digest;
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
            let manifest = args.manifest.clone();
            let request = registration::request(&layout, args)?;
            let agent = register(&server, &manifest, request).await?;
            output::result(format, &agent, || {
                format!(
                    "{} registered, manifest {}, entry {}",
                    agent.agent_id, agent.manifest_digest, agent.log_index
                )
            })?;
        }
        AgentCommand::Show { agent } => {
            let agent_id = agent_id(&layout, &agent)?;
            registration::show(format, &server, &agent_id).await?;
        }
        AgentCommand::Retire { agent, reason } => {
            let agent_id = agent_id(&layout, &agent)?;
            registration::retire(format, &server, &agent_id, reason).await?;
        }
        AgentCommand::Export { dir } => registration::export(format, &server, &dir).await?,
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
                    [
                        instance.instance_id.to_string(),
                        instance.agent_id.clone(),
                        instance.state.as_str().to_owned(),
                        instance.isolation.clone(),
                    ]
                });
                output::table(["instance", "agent", "state", "isolation"], rows)
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the name of an agent is made of.
const NAME: &str = "expected letters, digits, dots, dashes and underscores, as in `desk-2`, and slashes \
                    between parts, as in `billing/desk`";

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
    crate::commands::absent(&args.out)?;
    let status = server.status().await?;
    // Judged by what the registration will name, before anything is measured.
    let agent: AgentId = format!("spiffe://{}/agent/{}", status.trust_domain, args.name)
        .parse()
        .with_context(|| format!("--name {:?}: {NAME}", args.name))?;
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
        agent_id: agent.to_string(),
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
