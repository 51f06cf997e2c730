use std::path::PathBuf;

use chancery_identity::{AttestationLevel, DnsName, Hint, SvidSeconds, TrustDomain};
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
    /// Shows one registration.
    Show {
        /// The agent: its name or its SPIFFE ID.
        agent: String,
    },
    /// Takes an agent out: it is registered no more, and every instance of it that runs is ended.
    Retire {
        /// The agent: its name or its SPIFFE ID.
        agent: String,
        /// Why. The log commits to it; the revocations of its instances, if there are any, keep it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Writes every registration as a file that `apply` reads, with its manifest beside it.
    Export {
        /// The folder; it is made where it is not there, and must be empty.
        dir: PathBuf,
    },
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
    /// A DNS name in the X.509-SVIDs of its instances, beside their SPIFFE ID. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) dns_name: Vec<DnsName>,
    /// What tells its instances' SVIDs from others at the Workload API.
    #[arg(long, value_name = "TEXT")]
    pub(crate) hint: Option<Hint>,
    /// How many seconds an X.509-SVID of its instances lives: 10 to what `up --svid-lifetime` says.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) x509_svid_lifetime: Option<SvidSeconds>,
    /// How many seconds a JWT-SVID or WIT-SVID of its instances lives: 10 to 300 at most.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) jwt_svid_lifetime: Option<SvidSeconds>,
    /// Refuses instances that have no namespaces of their own.
    #[arg(long)]
    pub(crate) require_isolation: bool,
    /// Refuses instances that less vouches for: software-only/process, software-only/launch, tpm, sev-snp
    /// or tdx.
    #[arg(long, value_name = "LEVEL")]
    pub(crate) require_attestation: Option<AttestationLevel>,
}
