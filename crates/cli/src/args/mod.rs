//! The command line, one file for each group of commands.

mod agent;
mod apply;
mod authority;
mod brake;
mod broker;
mod connect;
mod consent;
mod console;
mod delegate;
mod delegation;
mod demo;
mod erase;
mod evidence;
mod federation;
mod graph;
mod log;
mod mission;
mod node;
mod parts;
mod people;
mod policy;
mod presentation;
mod recording;
mod revoke;
mod run;
mod session;
mod token;
mod trust;
mod up;
mod witness;

pub(crate) use agent::{AgentArgs, AgentCommand, ManifestArgs, RegisterArgs};
pub(crate) use apply::ApplyArgs;
pub(crate) use authority::{AuthorityArgs, AuthorityCommand, Kind, PrepareArgs};
pub(crate) use brake::{BrakeArgs, BrakeCommand, BrakeTarget, BrakeWhat};
pub(crate) use broker::{BrokerArgs, BrokerCommand};
pub(crate) use connect::ConnectArgs;
pub(crate) use consent::{ConsentArgs, ConsentCommand, NewConsentArgs, UseConsentArgs};
pub(crate) use console::{ConsoleArgs, InviteArgs, PersonRole};
pub(crate) use delegate::DelegateArgs;
pub(crate) use delegation::{DelegationArgs, DelegationCommand};
pub(crate) use demo::DemoArgs;
pub(crate) use erase::EraseArgs;
pub(crate) use evidence::{EvidenceArgs, VerifyArgs, WhyArgs};
pub(crate) use federation::{AddArgs, FederationArgs, FederationCommand, Profile};
pub(crate) use graph::{GraphArgs, GraphOf};
pub(crate) use log::{
    ExportAs, KeyArgs, LogArgs, LogCommand, LogName, MonitorArgs, ProveArgs, SucceedArgs,
    VerifyProofArgs,
};
pub(crate) use mission::{MissionArgs, MissionCommand, NewMissionArgs};
pub(crate) use node::{JoinArgs, NodeArgs, NodeCommand, PcrValue, TpmArgs, TpmKey};
pub(crate) use parts::{LedgerArgs, LedgerCommand, PartArgs};
pub(crate) use people::{AnswerArgs, ApprovalsArgs, ApprovalsCommand};
pub(crate) use policy::{
    PolicyArgs, PolicyCommand, PolicyDiffArgs, PolicySignArgs, PolicySuggestArgs, PolicyUnusedArgs,
    PolicyWhyArgs,
};
pub(crate) use presentation::{
    ChallengeArgs, MakePresentationArgs, PresentationArgs, PresentationCommand,
    VerifyPresentationArgs,
};
pub(crate) use recording::{AppendArgs, SvidArgs, Until, WriteArgs};
pub(crate) use revoke::{DepartArgs, RevokeArgs, RevokeCommand};
pub(crate) use run::{IsolationMode, NetworkMode, RosterArgs, RunArgs, SpawnArgs};
pub(crate) use session::{SessionArgs, SessionCommand};
pub(crate) use token::{ExchangeArgs, KeysArgs, MetadataArgs, ProofArgs, TokenArgs, TokenCommand};
pub(crate) use trust::{EnrolArgs, TrustArgs, TrustChangeArgs, TrustCommand, TrustWitnessArgs};
pub(crate) use up::{BundleArgs, UpArgs, X509Root};
pub(crate) use witness::WitnessArgs;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Identity and governance for AI agents: every instance a verified identity, every authority a
/// signed delegation from a person, every call decided and logged where the agent cannot reach.
#[derive(Debug, Parser)]
#[command(name = "chancery", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 refused, failed or not verified; 2 wrong \
usage; 3 something that is needed is out of reach; 4 `apply --plan` found a difference. `run` returns its command's code.";

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// How results are written to standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// A picture; of `graph` alone, as the next two.
    #[value(hide = true)]
    Svg,
    /// A Mermaid flowchart.
    #[value(hide = true)]
    Mermaid,
    /// A graph in the DOT language.
    #[value(hide = true)]
    Dot,
}

impl Format {
    /// Whether only pictures are written so.
    pub(crate) const fn is_picture(self) -> bool {
        matches!(self, Self::Svg | Self::Mermaid | Self::Dot)
    }
}

/// A reference document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReferencePart {
    /// The command line.
    Cli,
    /// The entries of the logs.
    Events,
    /// The entries of the logs, as a JSON Schema.
    EventsSchema,
    /// The reason codes.
    Reasons,
    /// The metrics.
    Metrics,
}

/// The data folder of a deployment.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataArgs {
    /// The data folder of the deployment.
    #[arg(
        long,
        env = "CHANCERY_DATA",
        value_name = "DIR",
        default_value = "chancery-data",
        global = true
    )]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs one governed mission, from a person to an offline proof, and tells it as a story.
    Demo(DemoArgs),
    /// Runs a whole deployment on this machine: signer, server, node and gateway.
    Up(Box<UpArgs>),
    /// Shows and changes the trust document.
    Trust(TrustArgs),
    /// Shows, rotates and revokes the authorities that sign SVIDs and tokens.
    Authority(AuthorityArgs),
    /// Relations to foreign trust domains, whose SVIDs workloads can then verify.
    Federation(FederationArgs),
    /// Brokers, which obtain the SVIDs of workloads of this machine by a reference.
    Broker(BrokerArgs),
    /// Makes, registers, retires and lists agents.
    Agent(AgentArgs),
    /// Registers the agents whose registrations are files in a folder, as `--plan` shows it first.
    Apply(ApplyArgs),
    /// Checks and publishes policy bundles.
    Policy(PolicyArgs),
    /// Writes and checks mission documents.
    Mission(MissionArgs),
    /// Grants an instance authority on a person's behalf.
    Delegate(DelegateArgs),
    /// Signs, shows and uses standing consents, for work that recurs unattended.
    Consent(ConsentArgs),
    /// Says where delegated authority stands.
    Delegation(DelegationArgs),
    /// Withdraws authority before its time, everywhere at once.
    Revoke(RevokeArgs),
    /// Stops what runs, at the gateway and at once: a tool, a session, an agent, a person's, or all.
    Brake(BrakeArgs),
    /// Open sessions: what they used up, what they have read, and all that is permitted now.
    Session(SessionArgs),
    /// Erases everything that is kept of a person, for good; every proof stays valid.
    Erase(EraseArgs),
    /// Starts a command as an isolated agent instance.
    Run(RunArgs),
    /// Inside an agent: speaks MCP on standard input and output for an unmodified client.
    Connect(ConnectArgs),
    /// Inside an agent: starts others, one or many, each with a narrower delegation.
    Spawn(SpawnArgs),
    /// Who is there and who was, for what, on whose behalf and until when. Inside an agent: what it
    /// started itself.
    Roster(RosterArgs),
    /// Access tokens for relying parties outside, against a delegation.
    Token(TokenArgs),
    /// Presentations: one object that proves to a relying party what an instance is and may do.
    Presentation(PresentationArgs),
    /// Hosts that join the deployment: admits one, is one, lists them, puts one out.
    Node(NodeArgs),
    /// Lists and answers requests for a person's approval.
    Approvals(ApprovalsArgs),
    /// Copies a session's evidence into a folder that `verify` reads.
    Evidence(EvidenceArgs),
    /// Tells the whole story of one action, with proofs.
    Why(WhyArgs),
    /// Draws who could do what on whose behalf, and who did, from verified logs.
    Graph(GraphArgs),
    /// Verifies evidence offline, from the trust document alone.
    Verify(VerifyArgs),
    /// Reads, serves, checks, watches and exports the logs.
    Log(LogArgs),
    /// Cosigns the checkpoints of others' logs, each only where it continues what was cosigned last.
    Witness(WitnessArgs),
    /// The demo's tool server: MCP on standard input and output over a SQLite ledger.
    Ledger(LedgerArgs),
    /// Runs the signer alone; `up` does so.
    #[command(hide = true)]
    Signer(PartArgs),
    /// Runs the server alone; `up` does so.
    #[command(hide = true)]
    Server(PartArgs),
    /// Runs the gateway alone; `up` does so.
    #[command(hide = true)]
    Gateway(PartArgs),
    /// The inner half of `run`.
    #[command(hide = true)]
    SandboxShim {
        /// What the outer half passes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Writes a reference document from the code.
    #[command(hide = true)]
    Reference {
        /// Which one.
        #[arg(value_enum)]
        part: ReferencePart,
    },
    /// The demo's orchestrator and workers.
    #[command(hide = true)]
    DemoAgent {
        /// Which one, and what it is given.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}
