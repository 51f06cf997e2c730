use std::path::PathBuf;

use chancery_identity::TrustDomain;
use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: AgentCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Makes and signs a manifest with the deployment's manifest key.
    Manifest(ManifestArgs),
    /// Registers an agent by its signed manifest.
    Register(RegisterArgs),
    /// Lists the registered agents.
    List,
    /// Lists the instances, newest first.
    Instances,
}

#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    /// The agent's name: the last part of its SPIFFE ID.
    #[arg(long)]
    pub(crate) name: String,
    /// The program that instances of the agent run; its digest is bound.
    #[arg(long, value_name = "FILE")]
    pub(crate) program: PathBuf,
    /// The system prompt, if the agent has one; its digest is bound.
    #[arg(long, value_name = "FILE")]
    pub(crate) prompt: Option<PathBuf>,
    /// What the agent is for.
    #[arg(long, value_name = "TEXT")]
    pub(crate) intent: String,
    /// The envelope to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// The signed manifest.
    pub(crate) manifest: PathBuf,
    /// A foreign trust domain whose bundle instances of the agent are handed. May be repeated; what a
    /// registration names takes the place of what the one before named.
    #[arg(long, value_name = "TRUST_DOMAIN")]
    pub(crate) federates_with: Vec<TrustDomain>,
    /// An agent whose instances its own may start, by name or SPIFFE ID. May be repeated; none without.
    #[arg(long, value_name = "AGENT")]
    pub(crate) may_spawn: Vec<String>,
    /// How many instances may live at once that one of its own started.
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 100,
        requires = "may_spawn"
    )]
    pub(crate) spawn_at_once: u64,
    /// Lets them go on when the one that started them has ended, where it asks for that.
    #[arg(long, requires = "may_spawn")]
    pub(crate) spawn_outlive: bool,
}
